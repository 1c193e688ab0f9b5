import { createHash } from 'node:crypto';
import type { Clock } from '#core/clock.ts';
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

/** An event with the tenant's count up to and including it. */
export interface CountedEvent {
  readonly event: MachineEvent;
  readonly cumulativeItems: number;
}

/**
 * One ordering key of a stream, with a numbering of its own: requests one after another, so that events have the order of their numbers.
 * What was refused leaves its numbers to the next; after a failure that leaves open whether the events are durable, a new epoch begins, so
 * that no number is ever that of two events.
 */
export class Lane {
  readonly #source: string;
  readonly #clock: Clock;
  readonly #send: (messages: readonly OutgoingMessage[]) => Promise<void>;
  #epoch: number;
  #nextSeq = 1;
  #last: Promise<unknown> = Promise.resolve();

  constructor(source: string, clock: Clock, send: (messages: readonly OutgoingMessage[]) => Promise<void>) {
    this.#source = source;
    this.#clock = clock;
    this.#send = send;
    this.#epoch = clock.nowMs();
  }

  /** How many of the events, from the first, are durable, and why the next is not. */
  publish(events: readonly CountedEvent[]): Promise<{ readonly durable: number; readonly error?: unknown }> {
    const published = this.#last.then(() => this.#publish(events));
    this.#last = published;
    return published;
  }

  async #publish(events: readonly CountedEvent[]): Promise<{ durable: number; error?: unknown }> {
    let durable = 0;
    while (durable < events.length) {
      const part = events.slice(durable, durable + fitting(events, durable));
      const stamp = { source: this.#source, epoch: this.#epoch };
      try {
        await this.#send(
          part.map(({ event, cumulativeItems }, index) =>
            encode(event, { ...stamp, seq: this.#nextSeq + index, cumulativeItems }),
          ),
        );
      } catch (error) {
        if (!CERTAIN.has(codeOf(error))) this.#beginEpoch();
        return { durable, error };
      }
      durable += part.length;
      this.#nextSeq += part.length;
    }
    return { durable };
  }

  #beginEpoch(): void {
    this.#epoch = Math.max(this.#clock.nowMs(), this.#epoch + 1);
    this.#nextSeq = 1;
  }
}

/** The lane that a machine is always in. */
export function laneOf(key: MachineKey, lanes: number): number {
  return createHash('sha1').update(key).digest().readUInt32BE(0) % lanes;
}

/** How many of the events from there fit into one request: at least one. */
function fitting(events: readonly CountedEvent[], from: number): number {
  let bytes = 0;
  let count = 0;
  while (from + count < events.length && count < MAX_REQUEST_EVENTS) {
    bytes += events[from + count]!.event.payload.byteLength + ATTRIBUTE_BYTES;
    if (count > 0 && bytes > MAX_REQUEST_BYTES) break;
    count++;
  }
  return count;
}
