import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

const STOP_WITHIN_MS = 10_000;
const FIRST_RESTART_MS = 200;
const LONGEST_RESTART_MS = 10_000;
/** A process that lived this long was well: its next failure starts from the shortest delay again. */
const WELL_AFTER_MS = 30_000;

export interface SupervisedProcess {
  readonly name: string;
  /** The TypeScript file that it runs. */
  readonly entry: string;
  readonly env: Readonly<Record<string, string>>;
}

export interface Supervised {
  readonly name: string;
  /** Its process id while it runs. */
  pid(): number | undefined;
  restarts(): number;
  ready(): boolean;
  /** Asks it to stop; after 10 s it is killed. It is not started again. */
  stop(): Promise<void>;
}

/**
 * Runs a service as a child process and starts it again when it ends unasked, with a growing delay. Resolves when the child first says
 * `ready`; rejects when it ends before that. The child stops by itself when this process is gone (it sees its channel close).
 */
export async function supervise(
  service: SupervisedProcess,
  onRestart: (name: string, cause: string) => void,
): Promise<Supervised> {
  let child: ChildProcess | undefined;
  let isReady = false;
  let stopping = false;
  let restarts = 0;
  let delayMs = FIRST_RESTART_MS;
  const stopped = new AbortController();

  const launch = (): ChildProcess => {
    const startedAt = performance.now();
    isReady = false;
    const started = fork(service.entry, [], {
      env: { ...process.env, ...service.env },
      execArgv: ['--disable-warning=ExperimentalWarning'],
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    started.on('message', (message) => {
      if (message === 'ready') isReady = true;
    });
    started.on('exit', (code, signal) => {
      isReady = false;
      if (stopping) return;
      if (performance.now() - startedAt > WELL_AFTER_MS) delayMs = FIRST_RESTART_MS;
      void restartLater(`ended with ${signal ?? `code ${String(code)}`}`);
    });
    return started;
  };

  const restartLater = async (cause: string): Promise<void> => {
    restarts += 1;
    onRestart(service.name, cause);
    const waitMs = delayMs;
    delayMs = Math.min(delayMs * 2, LONGEST_RESTART_MS);
    await sleep(waitMs, undefined, { signal: stopped.signal }).catch(() => undefined);
    if (!stopping) child = launch();
  };

  const supervised: Supervised = {
    name: service.name,
    pid: () => (child?.exitCode === null ? child.pid : undefined),
    restarts: () => restarts,
    ready: () => isReady,
    stop: async () => {
      stopping = true;
      stopped.abort();
      if (!child || child.exitCode !== null || child.signalCode !== null) return;
      const exit = once(child, 'exit');
      child.kill('SIGTERM');
      const timer = setTimeout(() => child?.kill('SIGKILL'), STOP_WITHIN_MS);
      await exit;
      clearTimeout(timer);
    },
  };

  child = launch();
  await firstReady(child, service.name).catch(async (error: unknown) => {
    await supervised.stop();
    throw error;
  });
  return supervised;
}

function firstReady(child: ChildProcess, name: string): Promise<void> {
  return new Promise((resolve, reject) => {
    child.on('message', (message) => {
      if (message === 'ready') resolve();
      if (typeof message === 'object' && 'error' in message) reject(new Error(String(message.error)));
    });
    child.once('exit', (code, signal) => {
      reject(
        new Error(`${name} ended before it was ready (${signal ?? `code ${String(code)}`}); its messages are above`),
      );
    });
  });
}
