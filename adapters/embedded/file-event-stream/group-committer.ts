import type { Clock } from '#core/clock.ts';
import { MAX_EVENT_BYTES, type MachineEvent, type StampedEvent } from '#core/domain/event.ts';
import { PortError } from '#core/errors.ts';
import { checkEncodable, FrameBuilder, type FrameTenant } from './frame-codec.ts';
import type { RecordPlace, SourceWriter } from './source-writer.ts';
import type { StreamLog } from './stream-log.ts';

/** A frame is closed at this size, so that a reader has not to take in too much at once. */
const FULL_FRAME_BYTES = 256 * 1024;
const MAINTENANCE_MS = 30_000;
/** What an event takes besides its payload, in memory and in the log, about. */
const ENVELOPE_BYTES = 100;

export interface GroupCommitterOptions {
  readonly log: StreamLog;
  readonly source: string;
  readonly clock: Clock;
  readonly maxPendingBytes: number;
  readonly openWriter: () => Promise<SourceWriter>;
  readonly onFailure: (error: unknown) => void;
}

/**
 * Appends events to a source, one write and sync at a time: what is published in one turn of the event loop, or while a write is under way,
 * goes into the next one. Encoding happens on arrival, while the disk is busy with what came before.
 */
export class GroupCommitter {
  readonly #options: GroupCommitterOptions;
  #writer: SourceWriter | undefined;
  #nextSeq = 1;
  #pending = new PendingCommit();
  readonly #spareBuilders: FrameBuilder[] = [];
  #running: Promise<void> | undefined;
  #maintenance: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(options: GroupCommitterOptions) {
    this.#options = options;
  }

  /** Resolves once the events are durable; they become so together. @throws PortError as EventStream.publish does. */
  async publish(events: readonly MachineEvent[]): Promise<void> {
    if (this.#isClosed) throw new PortError('failed_precondition', 'the event stream is closed');
    const bytes = checkedSize(events);
    if (this.#pending.bytes > 0 && this.#pending.bytes + bytes > this.#options.maxPendingBytes)
      throw overloadedError(this.#options.maxPendingBytes);
    for (const event of events) this.#append(event);
    this.#pending.bytes += bytes;
    await new Promise<void>((resolve, reject) => {
      this.#pending.waiters.push({ resolve, reject });
      this.#running ??= this.#run();
    });
  }

  /** Refuses what comes from now on, waits for what is under way, and lets another client publish under the name. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#maintenance);
    await this.#running;
    this.#options.log.endPublishing(this.#options.source);
    await this.#writer?.close();
    this.#writer = undefined;
  }

  #append(event: MachineEvent): void {
    const { frames } = this.#pending;
    let frame = frames.at(-1);
    const isFull =
      frame &&
      (frame.builder.isFull || frame.builder.byteLength + event.payload.byteLength + ENVELOPE_BYTES > FULL_FRAME_BYTES);
    if (!frame || isFull) {
      frame = { builder: this.#spareBuilders.pop() ?? new FrameBuilder(64 * 1024), events: [], tenants: [], items: [] };
      frames.push(frame);
    }
    const tenant = frame.builder.append(event);
    frame.events.push(event);
    frame.tenants.push(tenant);
    frame.items.push(tenant.items);
  }

  async #run(): Promise<void> {
    do {
      await new Promise((resolve) => setImmediate(resolve));
      const pending = this.#pending;
      this.#pending = new PendingCommit();
      await this.#settle(pending);
    } while (this.#pending.waiters.length > 0);
    this.#running = undefined;
  }

  async #settle(pending: PendingCommit): Promise<void> {
    try {
      await this.#commit(pending, (this.#writer ??= await this.#openWriter()));
      pending.resolve();
    } catch (error) {
      pending.reject(error);
    }
    for (const { builder } of pending.frames) {
      builder.reset();
      if (this.#spareBuilders.length < 4 && builder.capacity <= 2 * FULL_FRAME_BYTES) this.#spareBuilders.push(builder);
    }
  }

  async #openWriter(): Promise<SourceWriter> {
    const { log, source, openWriter } = this.#options;
    const writer = await openWriter();
    log.beginPublishing(source);
    log.advance(source, writer.head, []);
    this.#maintenance = setInterval(() => this.#maintain(), MAINTENANCE_MS);
    this.#maintenance.unref();
    return writer;
  }

  async #commit(pending: PendingCommit, writer: SourceWriter): Promise<void> {
    const { log, source, clock } = this.#options;
    const { nextPosition: firstPosition, tenants: before } = writer.head;
    const tenants = new Map(Object.entries(before));
    const itemsBefore = (tenant: string) => tenants.get(tenant) ?? 0;
    const committedAtMs = clock.nowMs();
    let count = 0;
    const records = pending.frames.map(({ builder }) => {
      const place = { firstSeq: this.#nextSeq + count, firstPosition: firstPosition + count };
      const record = builder.seal({ source, epoch: writer.epoch, committedAtMs, itemsBefore, ...place });
      for (const tenant of builder.tenants) tenants.set(tenant.name, tenant.itemsBefore + tenant.items);
      count += builder.count;
      return record;
    });
    const places = await writer.append(records, firstPosition + count, Object.fromEntries(tenants));
    const blocks = log.hasListeners ? this.#blocksOf(pending, places, firstPosition, writer.epoch) : [];
    this.#nextSeq += count;
    log.advance(source, writer.head, blocks);
  }

  /** The events as consumers see them, stamped as their frames were. */
  #blocksOf({ frames }: PendingCommit, places: readonly RecordPlace[], firstPosition: number, epoch: number) {
    const { source } = this.#options;
    let seq = this.#nextSeq;
    let position = firstPosition;
    return frames.map(({ builder, events, tenants, items }, frame) => {
      const stamped = new Array<StampedEvent>(events.length);
      for (let index = 0; index < events.length; index++) {
        const cumulativeItems = tenants[index]!.itemsBefore + items[index]!;
        stamped[index] = { ...events[index]!, source, epoch, seq: seq++, cumulativeItems };
      }
      const block = { firstPosition: position, events: stamped, ...places[frame]! };
      position += events.length;
      return { block, bytes: builder.byteLength + events.length * ENVELOPE_BYTES };
    });
  }

  #maintain(): void {
    const { log, source, onFailure } = this.#options;
    const writer = this.#writer;
    // While it is busy, it applies retention itself.
    if (!writer || this.#running) return;
    this.#running = writer
      .applyRetention()
      .then(() => log.advance(source, writer.head, []), onFailure)
      .then(() => (this.#pending.waiters.length > 0 ? this.#run() : (this.#running = undefined)));
  }
}

/** A frame being filled, with what stamping its events needs: each one's tenant, and the tenant's items in the frame up to it. */
interface PendingFrame {
  readonly builder: FrameBuilder;
  readonly events: MachineEvent[];
  readonly tenants: Readonly<FrameTenant>[];
  readonly items: number[];
}

class PendingCommit {
  readonly frames: PendingFrame[] = [];
  readonly waiters: { readonly resolve: () => void; readonly reject: (error: unknown) => void }[] = [];
  bytes = 0;

  resolve(): void {
    for (const waiter of this.waiters) waiter.resolve();
  }

  reject(error: unknown): void {
    for (const waiter of this.waiters) waiter.reject(error);
  }
}

/** About the bytes that the events take. @throws PortError invalid_argument */
function checkedSize(events: readonly MachineEvent[]): number {
  let bytes = 0;
  for (const event of events) {
    if (event.payload.byteLength > MAX_EVENT_BYTES) throw tooLargeError(event);
    checkEncodable(event);
    bytes += event.payload.byteLength + ENVELOPE_BYTES;
  }
  return bytes;
}

function tooLargeError(event: MachineEvent): PortError {
  return new PortError(
    'invalid_argument',
    `an event's payload must be at most ${MAX_EVENT_BYTES} bytes, got ${event.payload.byteLength}; put it in the object store and publish a reference`,
  );
}

function overloadedError(maxPendingBytes: number): PortError {
  return new PortError(
    'resource_exhausted',
    `more than ${maxPendingBytes} bytes wait for the disk; publish slower, or raise maxPendingBytes`,
  );
}
