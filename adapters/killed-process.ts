import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { MachineEvent } from '#core/domain/event.ts';
import type { CheckpointStore } from '#core/ports/checkpoint-store.ts';
import type { EventStream } from '#core/ports/event-stream.ts';

/** One that says nothing for longer hangs. */
const SAYS_WITHIN_MS = 120_000;

/** Starts a program as a process of its own, kills it without notice once it has printed a line, and returns that. */
export async function firstLineOf(program: string, args: readonly string[]): Promise<string> {
  const child = spawn(process.execPath, [program, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
    // Under a test runner it is that one's own, with the credentials.
    env: { ...process.env },
    ...{ timeout: SAYS_WITHIN_MS, killSignal: 'SIGKILL' },
  });
  const kill = (): void => void child.kill('SIGKILL');
  process.once('exit', kill);
  const exited = once(child, 'exit');
  try {
    for await (const line of createInterface({ input: child.stdout })) return line;
  } finally {
    kill();
    await exited;
    process.off('exit', kill);
  }
  throw new Error(`${program} said nothing`);
}

/** For such a process: consumes `metrics` for a group, prints the ids of the first batch as a line of JSON, and never settles it. */
export async function printFirstBatch(stream: EventStream, group: string): Promise<void> {
  await stream.subscribe(
    'metrics',
    group,
    (batch) => {
      process.stdout.write(`${JSON.stringify(batch.events.map((event) => event.eventId))}\n`);
      return new Promise(() => undefined);
    },
    { maxBatchEvents: 7 },
  );
}

/** For such a process: publishes the events, JSON but for their payloads, to `metrics`, and prints how many are durable as a line. */
export async function printPublished(stream: EventStream, events: string): Promise<void> {
  const given = JSON.parse(events) as readonly Omit<MachineEvent, 'payload'>[];
  const { failed } = await stream.publish(
    'metrics',
    given.map((event) => ({ ...event, payload: new Uint8Array(0) })),
  );
  process.stdout.write(`${given.length - failed.length}\n`);
}

/** For such a process: what it says of itself is never known to others. */
export const FORGOTTEN_CHECKPOINTS: Pick<CheckpointStore, 'load' | 'save'> = {
  load: async () => undefined,
  save: async (_name, state, version) => ({ version: version + 1, state }),
};
