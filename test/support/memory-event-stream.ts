import type { MachineEvent, StampedEvent, StreamName } from '#core/domain/event.ts';
import { machineRef, type TenantId } from '#core/domain/ids.ts';
import { PortError } from '#core/errors.ts';
import type { PublishResult, ReadableTail, Subscription } from '#core/ports/event-stream.ts';

/**
 * The publishing half of an event stream, in memory: it is durable when it says so, can be held up, and can be made to fail, for tests of
 * what stands in front of a stream. Consumers are tested on the embedded stream.
 */
export class MemoryEventStream implements ReadableTail {
  readonly #events = new Map<StreamName, StampedEvent[]>();
  readonly #cumulative = new Map<string, number>();
  /** How many publishes were asked for, failed ones included. */
  publishes = 0;
  /** Set to make each publish fail; `alsoAppends` makes the events durable although the caller hears of a failure. */
  failure: { readonly error: PortError; readonly alsoAppends?: boolean } | undefined;
  #held: PromiseWithResolvers<void> | undefined;

  /** Publishes wait from now on, until {@link release}. */
  hold(): void {
    this.#held ??= Promise.withResolvers();
  }

  release(): void {
    this.#held?.resolve();
    this.#held = undefined;
  }

  events(stream: StreamName): readonly StampedEvent[] {
    return this.#events.get(stream) ?? [];
  }

  async publish(stream: StreamName, events: readonly MachineEvent[]): Promise<PublishResult> {
    this.publishes++;
    const { failure } = this;
    await this.#held?.promise;
    if (failure === undefined || failure.alsoAppends === true) this.#append(stream, events);
    if (failure !== undefined) throw failure.error;
    return { failed: [] };
  }

  async *readTail(
    stream: StreamName,
    { maxEvents, sinceMs }: { readonly maxEvents: number; readonly sinceMs: number },
  ): AsyncGenerator<readonly StampedEvent[]> {
    const recent = this.events(stream).filter((event) => event.acceptedAtMs >= sinceMs);
    yield recent.slice(-maxEvents);
  }

  async declareGroup(): Promise<void> {
    // Nothing is consumed here.
  }

  async forgetGroup(): Promise<void> {
    // No more than there is of them.
  }

  subscribe(): Promise<Subscription> {
    return Promise.reject(new PortError('unimplemented', 'this stream is for publishers'));
  }

  async close(): Promise<void> {
    this.release();
  }

  #append(stream: StreamName, events: readonly MachineEvent[]): void {
    const log = this.#events.get(stream) ?? [];
    this.#events.set(stream, log);
    for (const event of events) {
      const tenant: TenantId = machineRef(event.key).tenant;
      const cumulativeItems = (this.#cumulative.get(`${stream}/${tenant}`) ?? 0) + event.items;
      this.#cumulative.set(`${stream}/${tenant}`, cumulativeItems);
      log.push({ ...event, source: 'memory', epoch: 1, seq: log.length + 1, cumulativeItems });
    }
  }
}
