import { retry } from '../delivery/retry.ts';
import type { MachineEvent, StreamName } from '../domain/event.ts';
import { PortError, type CallOptions } from '../errors.ts';
import type { EventStream } from '../ports/event-stream.ts';

/**
 * Resolves once every event is durable. Where a provider took only part of a batch, what failed is published again together with the later
 * events of its machine, so that the last copies are in order; a copy too many is recognised by its id.
 *
 * @throws PortError of the last attempt.
 */
export async function publishAll(
  stream: Pick<EventStream, 'publish'>,
  name: StreamName,
  events: readonly MachineEvent[],
  options: CallOptions = {},
): Promise<void> {
  let rest = events;
  const attempt = async (): Promise<void> => {
    if (rest.length === 0) return;
    const { failed } = await stream.publish(name, rest, options);
    rest = fromFirstFailed(
      rest,
      failed.map((each) => each.index),
    );
    const [first] = failed;
    if (first) throw new PortError(first.code, `${failed.length} events are not yet durable on ${name}`);
  };
  await retry(attempt, undefined, options);
}

function fromFirstFailed(events: readonly MachineEvent[], failed: readonly number[]): readonly MachineEvent[] {
  const indexes = new Set(failed);
  const held = new Set<string>();
  return events.filter(({ key }, index) => {
    if (indexes.has(index)) held.add(key);
    return held.has(key);
  });
}
