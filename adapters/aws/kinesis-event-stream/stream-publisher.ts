import { laneOf } from '#core/delivery/lanes.ts';
import type { MachineEvent } from '#core/domain/event.ts';
import { MAX_EVENT_BYTES } from '#core/domain/event.ts';
import { countItems, type PublishedEpoch } from '#core/delivery/accounts/stream-accounts.ts';
import { codeOf, PortError, type PortErrorCode } from '#core/errors.ts';
import type { PublishResult } from '#core/ports/event-stream.ts';
import type { PutResult } from './client.ts';
import { hashKeyOf } from './lanes.ts';
import { encodeRecord, packedBytes } from './record-codec.ts';

/** A record is at most 1 MiB with its partition key; the rest is for the record's own head. */
const RECORD_BYTES = 1_040_000;
const MAX_RECORDS = 500;
/** Answers that say that nothing was written. After any other the events may be durable or not. */
const DEFINITE: ReadonlySet<PortErrorCode> = new Set([
  'permission_denied',
  'resource_exhausted',
  'not_found',
  'invalid_argument',
]);

export interface PublisherParts {
  readonly source: string;
  readonly lanes: number;
  readonly maxRequestBytes: number;
  readonly maxPendingBytes: number;
  /** Puts records, at most one a lane. */
  readonly put: (
    records: readonly { data: Uint8Array; partitionKey: string; hashKey: string }[],
  ) => Promise<readonly PutResult[]>;
  /** A number above all that it gave before to any publisher of the source. */
  readonly openEpoch: () => Promise<number>;
  /** Told of what became durable. */
  readonly published: (epoch: PublishedEpoch) => void;
}

type FailureCode = PublishResult['failed'][number]['code'];

/** An event on its way. */
interface Entry {
  readonly event: MachineEvent;
  readonly bytes: number;
  readonly call: Call;
  readonly index: number;
}

interface Call {
  readonly failed: PublishResult['failed'][number][];
  left: number;
  /** Why a request failed as a whole. */
  error: unknown;
  durable: number;
  readonly resolve: (result: PublishResult) => void;
  readonly reject: (error: unknown) => void;
}

interface Lane {
  readonly number: number;
  readonly waiting: Entry[];
  nextSeq: number;
  /** Durable in this epoch, by tenant. */
  items: Map<string, number>;
}

/**
 * Publishes to one stream, a request at a time. PutRecords keeps no order between its records and fails them one by one: so a request has at most
 * one record a lane, with as many of the lane's events as it takes, and a lane's next record goes once that one is durable. Where it fails, what waits
 * behind it in its lane fails with it, and its numbers are given to what is published next, as nothing has them.
 */
export class StreamPublisher {
  readonly #parts: PublisherParts;
  readonly #lanes = new Map<number, Lane>();
  #epoch: number | undefined;
  #pendingBytes = 0;
  #sending: Promise<void> | undefined;

  constructor(parts: PublisherParts) {
    this.#parts = parts;
  }

  /** Resolves when it is known of each event whether it is durable. */
  publish(events: readonly MachineEvent[]): Promise<PublishResult> {
    const sizes = events.map(sizeOf);
    const bytes = sizes.reduce((sum, size) => sum + size, 0);
    if (this.#pendingBytes > 0 && this.#pendingBytes + bytes > this.#parts.maxPendingBytes)
      throw new PortError(
        'resource_exhausted',
        `${this.#pendingBytes} bytes wait to become durable: publish again once it is less`,
      );
    const { promise, resolve, reject } = Promise.withResolvers<PublishResult>();
    const call: Call = { failed: [], left: events.length, error: undefined, durable: 0, resolve, reject };
    events.forEach((event, index) => {
      const lane = this.#laneOf(event);
      lane.waiting.push({ event, bytes: sizes[index]!, call, index });
    });
    this.#pendingBytes += bytes;
    this.#sending ??= this.#sendAll();
    return promise;
  }

  /** Resolves once nothing is under way. */
  async close(): Promise<void> {
    while (this.#sending) await this.#sending;
  }

  async #sendAll(): Promise<void> {
    // What is published in one turn of the event loop shares a request.
    await new Promise((resolve) => setImmediate(resolve));
    for (let request = this.#takeRequest(); request.size > 0; request = this.#takeRequest()) await this.#send(request);
    // In the very turn in which nothing was left: what comes after it sends for itself.
    this.#sending = undefined;
  }

  /** What the next request has of each lane. */
  #takeRequest(): Map<Lane, Entry[]> {
    const request = new Map<Lane, Entry[]>();
    let room = this.#parts.maxRequestBytes;
    for (const lane of this.#lanes.values()) {
      if (lane.waiting.length === 0 || request.size === MAX_RECORDS) continue;
      const limit = Math.min(room - EMPTY_RECORD_BYTES, RECORD_BYTES);
      let [bytes, count] = [0, 0];
      for (const entry of lane.waiting) {
        if (bytes + entry.bytes > limit) break;
        bytes += entry.bytes;
        count++;
      }
      if (count === 0) continue;
      request.set(lane, lane.waiting.splice(0, count));
      room -= bytes + EMPTY_RECORD_BYTES;
    }
    // Those that were served come last next time: one with much must not keep the others waiting.
    for (const lane of request.keys()) {
      this.#lanes.delete(lane.number);
      this.#lanes.set(lane.number, lane);
    }
    return request;
  }

  async #send(request: ReadonlyMap<Lane, readonly Entry[]>): Promise<void> {
    let isPut = false;
    try {
      this.#epoch ??= await this.#parts.openEpoch();
      isPut = true;
      const results = await this.#parts.put([...request].map(([lane, entries]) => this.#recordOf(lane, entries)));
      [...request].forEach(([lane, entries], index) => this.#settle(lane, entries, results[index] ?? NO_RESULT));
    } catch (error) {
      if (isPut && !DEFINITE.has(codeOf(error))) this.#leaveEpoch();
      for (const [lane, entries] of request) this.#fail(lane, entries, failureCode(codeOf(error)), error);
    }
  }

  #recordOf(lane: Lane, entries: readonly Entry[]) {
    const { source, lanes } = this.#parts;
    const events = entries.map(({ event }) => event);
    const items = new Map(lane.items);
    const cumulativeItems = events.map((event) => countItems(items, event));
    const stamp = { source: sourceOf(source, lane.number), epoch: this.#epoch!, firstSeq: lane.nextSeq };
    const data = encodeRecord(events, { ...stamp, cumulativeItems });
    return { data, partitionKey: `lane-${lane.number}`, hashKey: hashKeyOf(lane.number, lanes) };
  }

  #settle(lane: Lane, entries: readonly Entry[], { sequenceNumber, errorCode }: PutResult): void {
    if (sequenceNumber === undefined) {
      this.#fail(lane, entries, RECORD_CODES[errorCode ?? ''] ?? 'internal');
      return;
    }
    lane.nextSeq += entries.length;
    for (const { event } of entries) countItems(lane.items, event);
    const { source, published } = this.#parts;
    published({
      source: sourceOf(source, lane.number),
      epoch: this.#epoch!,
      seq: lane.nextSeq - 1,
      items: lane.items,
    });
    for (const entry of entries) {
      entry.call.durable++;
      this.#finish(entry);
    }
  }

  /** Also what waits in the lane: it must not become durable before what failed. */
  #fail(lane: Lane, entries: readonly Entry[], code: FailureCode, error?: unknown): void {
    for (const entry of [...entries, ...lane.waiting.splice(0)]) {
      entry.call.failed.push({ index: entry.index, code });
      entry.call.error ??= error;
      this.#finish(entry);
    }
  }

  #finish({ call, bytes }: Entry): void {
    this.#pendingBytes -= bytes;
    if (--call.left > 0) return;
    // Nothing of it is known to be durable, and the error says more than a code.
    if (call.durable === 0 && call.error !== undefined) call.reject(call.error);
    else call.resolve({ failed: call.failed });
  }

  /** Nobody knows whether the last numbers were used: the next events begin another epoch. */
  #leaveEpoch(): void {
    this.#epoch = undefined;
    for (const lane of this.#lanes.values()) Object.assign(lane, { nextSeq: 1, items: new Map<string, number>() });
  }

  #laneOf({ key }: MachineEvent): Lane {
    const number = laneOf(key, this.#parts.lanes);
    let lane = this.#lanes.get(number);
    if (!lane) this.#lanes.set(number, (lane = { number, waiting: [], nextSeq: 1, items: new Map() }));
    return lane;
  }
}

/** The name of a publisher's lane in the envelope. */
export function sourceOf(publisher: string, lane: number): string {
  return `${publisher}.${lane}`;
}

/** Of a record besides its events, with its partition key. */
const EMPTY_RECORD_BYTES = 256;
/** Of a record that Kinesis said nothing about. */
const NO_RESULT: PutResult = {};

/** What Kinesis says of a record that it did not take. */
const RECORD_CODES: Readonly<Record<string, FailureCode>> = {
  ProvisionedThroughputExceededException: 'resource_exhausted',
  KMSThrottlingException: 'resource_exhausted',
  InternalFailure: 'unavailable',
};

function failureCode(code: PortErrorCode): FailureCode {
  if (code === 'resource_exhausted') return code;
  return code === 'unavailable' || code === 'deadline_exceeded' ? 'unavailable' : 'internal';
}

/** @throws PortError invalid_argument for an event that is too large. */
function sizeOf(event: MachineEvent): number {
  const [payload, packed] = [event.payload.byteLength, packedBytes(event)];
  if (payload <= MAX_EVENT_BYTES && packed <= RECORD_BYTES) return packed;
  throw new PortError(
    'invalid_argument',
    `event ${event.eventId.slice(0, 100)} has ${payload} bytes of payload, ${packed} in all: at most ${MAX_EVENT_BYTES} and ${RECORD_BYTES} are possible`,
  );
}
