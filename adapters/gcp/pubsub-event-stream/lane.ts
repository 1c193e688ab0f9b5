import { createHash } from 'node:crypto';
import type { Clock } from '#core/clock.ts';
import { countItems, type PublishedEpoch } from '#core/delivery/accounts/stream-accounts.ts';
import type { MachineEvent } from '#core/domain/event.ts';
import type { MachineKey } from '#core/domain/ids.ts';
import { codeOf, type PortErrorCode } from '#core/errors.ts';
import type { OutgoingMessage } from './client.ts';
import { encode } from './envelope.ts';

/** Of Pub/Sub's 1,000 messages and 10 MB a request, with room for attributes. */
const MAX_REQUEST_EVENTS = 1000;
const MAX_REQUEST_BYTES = 9_000_000;
const ATTRIBUTE_BYTES = 1000;

/** Whoever sees one of these knows that nothing was made durable. */
const CERTAIN: ReadonlySet<PortErrorCode> = new Set([
  'failed_precondition',
  'invalid_argument',
  'not_found',
  'permission_denied',
  'resource_exhausted',
  'unimplemented',
]);

export interface LaneParts {
  readonly source: string;
  readonly clock: Clock;
  readonly firstEpoch: number;
  readonly send: (messages: readonly OutgoingMessage[]) => Promise<void>;
  /** Told of what became durable. */
  readonly published: (epoch: PublishedEpoch) => void;
}

/**
 * One ordering key of a stream, with a numbering of its own: requests one after another, so that events have the order of their numbers.
 * What was refused leaves its numbers to the next; after a failure that leaves open whether the events are durable, a new epoch begins, so
 * that no number is ever that of two events.
 */
export class Lane {
  readonly #parts: LaneParts;
  #epoch: number;
  #nextSeq = 1;
  /** Durable in this epoch, by tenant. */
  #items: ReadonlyMap<string, number> = new Map();
  #last: Promise<unknown> = Promise.resolve();

  constructor(parts: LaneParts) {
    this.#parts = parts;
    this.#epoch = parts.firstEpoch;
  }

  /** How many of the events, from the first, are durable, and why the next is not. */
  publish(events: readonly MachineEvent[]): Promise<{ readonly durable: number; readonly error?: unknown }> {
    const published = this.#last.then(() => this.#publish(events));
    this.#last = published;
    return published;
  }

  async #publish(events: readonly MachineEvent[]): Promise<{ durable: number; error?: unknown }> {
    const { source, send, published } = this.#parts;
    let durable = 0;
    while (durable < events.length) {
      const part = events.slice(durable, durable + fitting(events, durable));
      const stamp = { source, epoch: this.#epoch };
      const items = new Map(this.#items);
      try {
        await send(
          part.map((event, index) =>
            encode(event, { ...stamp, seq: this.#nextSeq + index, cumulativeItems: countItems(items, event) }),
          ),
        );
      } catch (error) {
        if (!CERTAIN.has(codeOf(error))) this.#beginEpoch();
        return { durable, error };
      }
      durable += part.length;
      this.#nextSeq += part.length;
      this.#items = items;
      published({ ...stamp, seq: this.#nextSeq - 1, items });
    }
    return { durable };
  }

  #beginEpoch(): void {
    this.#epoch = Math.max(this.#parts.clock.nowMs(), this.#epoch + 1);
    this.#nextSeq = 1;
    this.#items = new Map();
  }
}

/** The lane that a machine is always in. */
export function laneOf(key: MachineKey, lanes: number): number {
  return createHash('sha1').update(key).digest().readUInt32BE(0) % lanes;
}

/** How many of the events from there fit into one request: at least one. */
function fitting(events: readonly MachineEvent[], from: number): number {
  let bytes = 0;
  let count = 0;
  while (from + count < events.length && count < MAX_REQUEST_EVENTS) {
    bytes += events[from + count]!.payload.byteLength + ATTRIBUTE_BYTES;
    if (count > 0 && bytes > MAX_REQUEST_BYTES) break;
    count++;
  }
  return count;
}
