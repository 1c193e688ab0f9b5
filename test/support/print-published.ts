import type { MachineEvent } from '#core/domain/event.ts';
import type { EventStream } from '#core/ports/event-stream.ts';

/** For a process that a test kills: publishes the events, JSON but for their payloads, to `metrics`, and prints how many are durable as a line. */
export async function printPublished(stream: EventStream, events: string): Promise<void> {
  const given = JSON.parse(events) as readonly Omit<MachineEvent, 'payload'>[];
  const { failed } = await stream.publish(
    'metrics',
    given.map((event) => ({ ...event, payload: new Uint8Array(0) })),
  );
  process.stdout.write(`${given.length - failed.length}\n`);
}
