import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { PortError, type PortErrorCode } from '#core/errors.ts';

const STOP_WITHIN_MS = 10_000;
const FIRST_RESTART_MS = 200;
const LONGEST_RESTART_MS = 10_000;
/** V8 would let it grow to 128 MiB a process on a machine with much memory. Three times this is taken at most. */
const YOUNG_GENERATION = '--max-semi-space-size=16';
/** A process that lived this long was well: its next failure starts from the shortest delay again. */
const WELL_AFTER_MS = 30_000;
/** When services that are stopped one after the other have taken so long, the others are asked all at once. */
const HURRY_AFTER_MS = 6_000;
const STOP_ALL_WITHIN_MS = 9_000;

export interface SupervisedProcess {
  readonly name: string;
  /** The TypeScript file that it runs. */
  readonly entry: string;
  /** Asked at each start: a port that was free to choose is kept from the second on. */
  readonly env: () => Readonly<Record<string, string>>;
}

export interface Supervised {
  readonly name: string;
  /** Its process id while it runs. */
  pid(): number | undefined;
  restarts(): number;
  ready(): boolean;
  /** Has it read its certificate files again. One that is just being started does so by itself, and could not take the signal yet. */
  renewCertificates(): void;
  /** Asks it to stop; after 10 s, or as long as is said the first time, it is killed. It is not started again. */
  stop(withinMs?: number): Promise<void>;
}

/**
 * Runs a service as a child process and starts it again when it ends unasked, with a growing delay. Resolves when the child first says
 * `ready`; rejects when it ends before that, or the signal says to stop. Once it says so a child that ends is not started again: who stops the
 * platform may have asked all processes of its group. The child stops by itself when this process is gone (it sees its
 * channel close). What it prints goes to standard error: standard output is for results.
 */
export async function supervise(
  service: SupervisedProcess,
  onRestart: (name: string, cause: string) => void,
  signal?: AbortSignal,
): Promise<Supervised> {
  signal?.throwIfAborted();
  let child: ChildProcess | undefined;
  let isReady = false;
  let stopping: Promise<void> | undefined;
  let restarts = 0;
  let delayMs = FIRST_RESTART_MS;
  const stopped = new AbortController();

  const launch = (): ChildProcess => {
    const startedAt = performance.now();
    isReady = false;
    const started = fork(service.entry, [], {
      // DuckDB's threads leave memory behind in as many arenas as there are; with two they wait for one another.
      env: { MALLOC_ARENA_MAX: '8', ...process.env, ...service.env() },
      execArgv: ['--disable-warning=ExperimentalWarning', YOUNG_GENERATION],
      stdio: ['ignore', 2, 2, 'ipc'],
    });
    started.on('message', (message) => {
      if (message === 'ready') isReady = true;
    });
    started.on('exit', (code, endedBy) => {
      isReady = false;
      if (stopping || signal?.aborted) return;
      if (performance.now() - startedAt > WELL_AFTER_MS) delayMs = FIRST_RESTART_MS;
      void restartLater(`ended with ${endedBy ?? `code ${String(code)}`}`);
    });
    return started;
  };

  const restartLater = async (cause: string): Promise<void> => {
    restarts += 1;
    onRestart(service.name, cause);
    const waitMs = delayMs;
    delayMs = Math.min(delayMs * 2, LONGEST_RESTART_MS);
    await sleep(waitMs, undefined, { signal: stopped.signal }).catch(() => undefined);
    if (!stopping && !signal?.aborted) child = launch();
  };

  const stop = async (withinMs: number): Promise<void> => {
    stopped.abort();
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, 'exit');
    child.kill('SIGTERM');
    const timer = setTimeout(() => child?.kill('SIGKILL'), withinMs);
    await exit;
    clearTimeout(timer);
  };

  const supervised: Supervised = {
    name: service.name,
    pid: () => (child?.exitCode === null && child.signalCode === null ? child.pid : undefined),
    restarts: () => restarts,
    ready: () => isReady,
    renewCertificates: () => {
      if (isReady) child?.kill('SIGHUP');
    },
    stop: (withinMs = STOP_WITHIN_MS) => (stopping ??= stop(withinMs)),
  };

  child = launch();
  try {
    await firstReady(child, service.name, signal);
    return supervised;
  } catch (error) {
    await supervised.stop();
    throw error;
  }
}

/** Stops services one after the other, each when the one before has ended; all within 10 s, whatever they do. */
export async function stopInOrder(services: readonly Supervised[]): Promise<void> {
  const began = performance.now();
  const left = (): number => Math.max(0, STOP_ALL_WITHIN_MS - (performance.now() - began));
  const hurry = new AbortController();
  const hurried = sleep(HURRY_AFTER_MS, undefined, { signal: hurry.signal }).catch(() => undefined);
  for (const service of services) await Promise.race([service.stop(left()), hurried]);
  hurry.abort();
  await Promise.all(services.map((service) => service.stop(left())));
}

function firstReady(child: ChildProcess, name: string, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    signal?.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
    child.on('message', (message) => {
      if (message === 'ready') resolve();
      if (typeof message === 'object' && 'error' in message) {
        const { error, code } = message as { readonly error: string; readonly code: PortErrorCode };
        reject(new PortError(code, error));
      }
    });
    child.once('exit', (code, endedBy) => {
      reject(
        new Error(`${name} ended before it was ready (${endedBy ?? `code ${String(code)}`}); its messages are above`),
      );
    });
  });
}
