import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { until } from './platform-process.ts';
import { counterOf, readingsOfMessage } from './load/publisher.ts';
import type { FloodResult, FloodTask } from './load/http-flood.ts';
import type { LoadResult, LoadTask } from './load/main.ts';

const FLOOD = fileURLToPath(new URL('./load/http-flood.ts', import.meta.url));
const GENERATOR = fileURLToPath(new URL('./load/main.ts', import.meta.url));

export interface RunningLoad extends AsyncDisposable {
  /** Rejects when the generator fails. */
  readonly result: Promise<LoadResult>;
  /** Resolves when the first acknowledgements are in the file; rejects when the generator ends without any. */
  begun(ackFile: string): Promise<void>;
  /** Ends the sending before its time is over. */
  finish(): Promise<LoadResult>;
}

/** Starts the load generator as a process; disposing ends it where it still runs. */
export function startLoad(task: Omit<LoadTask, 'host'>): RunningLoad {
  const child = spawn(
    process.execPath,
    [GENERATOR, JSON.stringify({ host: '127.0.0.1', ...task } satisfies LoadTask)],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const closed = once(child, 'close') as Promise<[number | null]>;
  const result = closed.then(([code]) => {
    if (code === 0) return JSON.parse(stdout) as LoadResult;
    throw new Error(`the load generator ended with code ${code}: ${stderr}`);
  });
  result.catch(() => undefined);
  return {
    result,
    begun: async (ackFile) => {
      let ended = false;
      void closed.then(() => (ended = true));
      await until('the load has begun', async () => ended || acknowledgedIds(ackFile).length > 0);
      if (acknowledgedIds(ackFile).length === 0)
        throw new Error(`nothing was acknowledged: ${JSON.stringify(await result)}`);
    },
    finish: () => {
      child.kill('SIGTERM');
      return result;
    },
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL');
      await closed;
    },
  };
}

/** What generators sent under an id: the readings of the message, or undefined where none of them sent it. */
export function readingsSent(
  metrics: readonly string[],
  ...results: readonly Pick<LoadResult, 'sentUnder'>[]
): (id: string) => Readonly<Record<string, number>> | undefined {
  return (id) => {
    const { prefix, counter } = counterOf(id);
    const wasSent = results.some(({ sentUnder }) => counter < (sentUnder[prefix] ?? 0));
    return wasSent ? readingsOfMessage(metrics, counter) : undefined;
  };
}

/** Starts a flood of HTTP requests as a process of its own; resolves when it is over. */
export async function startFlood(task: FloodTask): Promise<FloodResult> {
  const child = spawn(process.execPath, [FLOOD, JSON.stringify(task)], { stdio: ['ignore', 'pipe', 'inherit'] });
  let stdout = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`the flood ended with code ${code}`);
  return JSON.parse(stdout) as FloodResult;
}

/** The message ids that were acknowledged and whose acknowledgement is on the disk. */
export function acknowledgedIds(ackFile: string): readonly string[] {
  return existsSync(ackFile) ? readFileSync(ackFile, 'utf8').split('\n').filter(Boolean) : [];
}
