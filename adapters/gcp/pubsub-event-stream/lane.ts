import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '#core/clock.ts';
import { countItems, type PublishedEpoch } from '#core/delivery/accounts/stream-accounts.ts';
import type { MachineEvent } from '#core/domain/event.ts';
import type { MachineKey } from '#core/domain/ids.ts';
import { codeOf, messageOf, PortError, type PortErrorCode } from '#core/errors.ts';
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
  /** How long the first of a request waits for more, while no other is under way. */
  readonly gatherMs: number;
  readonly send: (messages: readonly OutgoingMessage[]) => Promise<void>;
  /** Told of what became durable. */
  readonly published: (epoch: PublishedEpoch) => void;
}

/** What one call publishes. */
interface Call {
  readonly events: readonly MachineEvent[];
  durable: number;
  readonly done: PromiseWithResolvers<Published>;
}

/** How many of the events, from the first, are durable, and why the next is not. */
export interface Published {
  readonly durable: number;
  readonly error?: unknown;
}

/**
 * One ordering key of a stream, with a numbering of its own: requests one after another, so that events have the order of their numbers, and what
 * is published while one is under way goes together with the next, or fails with it. What was refused leaves its numbers to the next; after a failure that leaves open
 * whether the events are durable, a new epoch begins, so that no number is ever that of two events.
 */
export class Lane {
  readonly #parts: LaneParts;
  readonly #waiting: Call[] = [];
  #isSending = false;
  #epoch: number;
  #nextSeq = 1;
  /** Durable in this epoch, by tenant. */
  #items: ReadonlyMap<string, number> = new Map();

  constructor(parts: LaneParts) {
    this.#parts = parts;
    this.#epoch = parts.firstEpoch;
  }

  publish(events: readonly MachineEvent[]): Promise<Published> {
    if (events.length === 0) return Promise.resolve({ durable: 0 });
    const done = Promise.withResolvers<Published>();
    this.#waiting.push({ events, durable: 0, done });
    if (!this.#isSending) void this.#sendAll();
    return done.promise;
  }

  async #sendAll(): Promise<void> {
    this.#isSending = true;
    const { gatherMs } = this.#parts;
    if (gatherMs > 0) await sleep(gatherMs);
    while (this.#waiting.length > 0) {
      const request = nextRequest(this.#waiting);
      let failure: { readonly error: unknown } | undefined;
      try {
        await this.#send(request.flatMap(({ part }) => part));
      } catch (error) {
        failure = { error };
      }
      for (const { call, part } of request) {
        if (!failure) call.durable += part.length;
        if (!failure && call.durable < call.events.length) continue;
        // All that a request has is of the first that wait, in their order.
        this.#waiting.shift();
        call.done.resolve({ durable: call.durable, ...failure });
      }
      if (failure) this.#failWaiting(failure.error);
    }
    this.#isSending = false;
  }

  /** They may be of a machine whose event before them failed, and would overtake it. */
  #failWaiting(cause: unknown): void {
    const error = new PortError('unavailable', `what was published before it failed: ${messageOf(cause)}`, { cause });
    for (const { durable, done } of this.#waiting.splice(0)) done.resolve({ durable, error });
  }

  async #send(events: readonly MachineEvent[]): Promise<void> {
    const { source, send, published } = this.#parts;
    const stamp = { source, epoch: this.#epoch };
    const items = new Map(this.#items);
    try {
      await send(
        events.map((event, index) =>
          encode(event, { ...stamp, seq: this.#nextSeq + index, cumulativeItems: countItems(items, event) }),
        ),
      );
    } catch (error) {
      if (!CERTAIN.has(codeOf(error))) this.#beginEpoch();
      throw error;
    }
    this.#nextSeq += events.length;
    this.#items = items;
    published({ ...stamp, seq: this.#nextSeq - 1, items });
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

interface PartOfCall {
  readonly call: Call;
  readonly part: readonly MachineEvent[];
}

/** As many of the events that wait, from the first on, as fit into one request: at least one. */
function nextRequest(waiting: readonly Call[]): readonly PartOfCall[] {
  const request: PartOfCall[] = [];
  let bytes = 0;
  let count = 0;
  for (const call of waiting) {
    const part: MachineEvent[] = [];
    for (const event of call.events.slice(call.durable)) {
      bytes += event.payload.byteLength + ATTRIBUTE_BYTES;
      if (count === MAX_REQUEST_EVENTS || (count > 0 && bytes > MAX_REQUEST_BYTES)) break;
      part.push(event);
      count++;
    }
    if (part.length > 0) request.push({ call, part });
    if (part.length < call.events.length - call.durable) break;
  }
  return request;
}
