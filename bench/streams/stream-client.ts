import type { MachineEvent } from '#core/domain/event.ts';
import type { EventStream } from '#core/ports/event-stream.ts';

/** What the bench drives: an adapter through its port, or the vendor's client in a bare loop. */
export interface StreamClient {
  /** Called once, before anything is published. */
  declare(): Promise<void>;
  /** Resolves once all events are durable, in their order. @throws where one is not. */
  publish(events: readonly MachineEvent[]): Promise<void>;
  /** Gives each payload to `take`, from the oldest on, and commits its progress as it goes; where it can be slowed down, it awaits `turn` after each batch. */
  consume(take: (payload: Uint8Array) => void, turn: () => Promise<void>): Promise<void>;
  close(): Promise<void>;
}

/** What a client needs to find a fresh stream on the peer, as JSON can carry it. */
export type Place = Readonly<Record<string, unknown>>;

export interface RunningPeer extends AsyncDisposable {
  /** Makes a stream that nobody used. */
  fresh(): Promise<Place>;
}

/** A server that stands for a provider's stream, the adapter for it, and the least that a program without the adapter would do. */
export interface StreamPeer {
  readonly adapter: string;
  /** What the bare loop does, and what else is to be known of the figures. */
  readonly notes: string;
  /** Events a second at which the latency from publish to handler is measured. */
  readonly pacedPerS: number;
  /** Of a peer that does not bear more that wait: a phase of publishing ends with them. */
  readonly mostEvents?: number;
  start(): Promise<RunningPeer>;
  openAdapter(place: Place): Promise<StreamClient>;
  openBare(place: Place): Promise<StreamClient>;
}

const STREAM = 'metrics';
const GROUP = 'bench';
const BATCH_EVENTS = 1000;

/** An adapter, as a service uses it: what it handled is acknowledged batch by batch. */
export function throughPort(stream: EventStream): StreamClient {
  return {
    declare: () => stream.declareGroup(STREAM, GROUP),
    publish: async (events) => {
      const { failed } = await stream.publish(STREAM, events);
      if (failed.length > 0) throw new Error(`${failed.length} of ${events.length} events: ${failed[0]!.code}`);
    },
    consume: async (take, turn) => {
      await stream.subscribe(
        STREAM,
        GROUP,
        async (batch) => {
          for (const { payload } of batch.events) take(payload);
          await turn();
          await batch.ack();
        },
        { maxBatchEvents: BATCH_EVENTS },
      );
    },
    close: () => stream.close(),
  };
}

/**
 * For a bare client that has one request under way at a time: what is published meanwhile goes together with the next, as the adapters do it, so
 * that both fill their requests alike.
 */
export function gathering<Item>(
  maxItems: number,
  send: (items: readonly Item[]) => Promise<void>,
): (items: readonly Item[]) => Promise<void> {
  let waiting: { readonly items: readonly Item[]; readonly done: PromiseWithResolvers<undefined> }[] = [];
  let isSending = false;
  const sendAll = async (): Promise<void> => {
    isSending = true;
    while (waiting.length > 0) {
      let count = 0;
      let items = 0;
      while (count < waiting.length && (count === 0 || items + waiting[count]!.items.length <= maxItems))
        items += waiting[count++]!.items.length;
      const sent = waiting.slice(0, count);
      waiting = waiting.slice(count);
      try {
        await send(sent.flatMap((each) => each.items));
        for (const { done } of sent) done.resolve(undefined);
      } catch (error) {
        for (const { done } of sent) done.reject(error);
      }
    }
    isSending = false;
  };
  return (items) => {
    const done = Promise.withResolvers<undefined>();
    waiting.push({ items, done });
    if (!isSending) void sendAll();
    return done.promise;
  };
}
