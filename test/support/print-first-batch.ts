import type { EventStream } from '#core/ports/event-stream.ts';

/** For a process that a test kills: consumes `metrics` for a group, prints the ids of the first batch as a line of JSON, and never settles it. */
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
