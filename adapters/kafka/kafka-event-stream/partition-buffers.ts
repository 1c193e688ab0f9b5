import type { DeliveryWindow, WindowBatch } from '#core/delivery/delivery-window.ts';
import type { SettledBefore } from '#core/delivery/settled-before.ts';
import type { StampedEvent } from '#core/domain/event.ts';
import { isPortError } from '#core/errors.ts';
import type { FetchedPartition, PartitionReader } from './client.ts';
import { decodeRecord, type IncomingRecord } from './record-codec.ts';

const MAX_WAIT_MS = 500;
const AFTER_FAILURE_MS = 500;
/** So that more has come when that is handled. */
const LITTLE_BYTES = 524_288;

export interface PartitionBuffersOptions {
  readonly reader: PartitionReader;
  readonly window: DeliveryWindow;
  readonly settled: SettledBefore;
  /** By partition, where reading begins. */
  readonly starts: ReadonlyMap<number, bigint>;
  /** Told when something has come. */
  readonly wake: () => void;
  readonly onFailure: (error: unknown) => void;
}

/**
 * What was fetched of some partitions and is not yet in the window, where each is a lane. A broker is asked again once little is left of what
 * came of it: a fetch and that little at most are in memory of each.
 */
export class PartitionBuffers {
  readonly #options: PartitionBuffersOptions;
  readonly #lanes: readonly Lane[];
  readonly #asked = new Set<number>();
  #byLeader: ReadonlyMap<number, readonly number[]> | undefined;
  #isFindingLeaders = false;
  #dataLoss: Error | undefined;
  #turn = 0;

  constructor(options: PartitionBuffersOptions) {
    this.#options = options;
    this.#lanes = [...options.starts].map(([partition, start]) => ({
      ...{ partition, records: [], at: 0, bytes: 0, nextOffset: start, committed: start },
      number: options.window.addLane(Number(start)),
    }));
  }

  /** Something waits to go into the window. */
  get hasSome(): boolean {
    return this.#lanes.some(hasRecords);
  }

  /** How far everything is settled, of the partitions where that is further than the last time. */
  checkpoints(): ReadonlyMap<number, bigint> {
    const advanced = new Map<number, bigint>();
    for (const lane of this.#lanes) {
      const checkpoint = BigInt(this.#options.window.checkpoint(lane.number));
      if (checkpoint <= lane.committed) continue;
      lane.committed = checkpoint;
      advanced.set(lane.partition, checkpoint);
    }
    return advanced;
  }

  /** Fills a batch from the buffers, beginning with another partition each time. @throws PortError data_loss where the log no longer has what was to come next. */
  readAhead(): WindowBatch | undefined {
    const { window } = this.#options;
    if (this.#dataLoss) throw this.#dataLoss;
    this.#turn++;
    for (let index = 0; index < this.#lanes.length; index++) {
      const isFull = !this.#drain(this.#lanes[(this.#turn + index) % this.#lanes.length]!);
      if (isFull) break;
    }
    return window.takeFresh();
  }

  /** Asks the brokers whose buffers are empty for more. */
  refill(): void {
    if (!this.#byLeader) {
      void this.#findLeaders();
      return;
    }
    if (!this.#options.window.mayReadAhead) return;
    for (const [leader, partitions] of this.#byLeader) {
      const lanes = this.#lanes.filter(({ partition }) => partitions.includes(partition));
      if (!this.#asked.has(leader) && bytesLeft(lanes) < LITTLE_BYTES) void this.#fetch(leader, lanes);
    }
  }

  /** Moves the lane's records into the window; false when that has no room. */
  #drain(lane: Lane): boolean {
    const { window, settled } = this.#options;
    for (; hasRecords(lane); lane.at++) {
      if (!window.mayReadAhead) return false;
      const record = lane.records[lane.at]!;
      const position = record.offset;
      const event = this.#decoded(record);
      if (!event || settled.covers(event)) window.skip(lane.number, position);
      else if (window.hasRoomFor(event.payload.byteLength)) window.accept(lane.number, position, event);
      else return false;
      lane.bytes -= bytesOf(record);
    }
    lane.records = [];
    lane.at = 0;
    return true;
  }

  #decoded(record: IncomingRecord): StampedEvent | undefined {
    try {
      return decodeRecord(record);
    } catch (error) {
      // It stays in the topic for whoever wants to see it; no event of ours is behind it for ever.
      this.#options.onFailure(error);
      return undefined;
    }
  }

  async #fetch(leader: number, lanes: readonly Lane[]): Promise<void> {
    this.#asked.add(leader);
    try {
      const positions = new Map(lanes.map(({ partition, nextOffset }) => [partition, nextOffset]));
      const fetched = await this.#options.reader.fetch(leader, positions, { maxWaitMs: MAX_WAIT_MS });
      for (const each of fetched) this.#take(each);
    } catch (error) {
      if (isPortError(error) && error.code === 'data_loss') this.#dataLoss = error;
      else this.#options.onFailure(error);
      // Perhaps another broker leads them now.
      this.#byLeader = undefined;
      await new Promise((resolve) => setTimeout(resolve, AFTER_FAILURE_MS));
    } finally {
      this.#asked.delete(leader);
      this.#options.wake();
    }
  }

  #take({ partition, records, nextOffset }: FetchedPartition): void {
    const lane = this.#lanes.find((each) => each.partition === partition);
    if (!lane || nextOffset <= lane.nextOffset) return;
    const { window } = this.#options;
    // A log may have holes, where a transaction of somebody else's ended; a broker that led the partition before may have answered, too.
    let expected = Number(lane.nextOffset);
    const fresh = records.filter(({ offset }) => offset >= expected);
    for (const record of fresh) {
      if (expected < record.offset) window.skip(lane.number, expected, record.offset);
      expected = record.offset + 1;
      lane.bytes += bytesOf(record);
    }
    window.skip(lane.number, expected, Number(nextOffset));
    lane.records = hasRecords(lane) ? [...lane.records.slice(lane.at), ...fresh] : fresh;
    lane.at = 0;
    lane.nextOffset = nextOffset;
  }

  async #findLeaders(): Promise<void> {
    if (this.#isFindingLeaders) return;
    this.#isFindingLeaders = true;
    try {
      this.#byLeader = await this.#options.reader.byLeader(this.#lanes.map(({ partition }) => partition));
    } catch (error) {
      this.#options.onFailure(error);
      await new Promise((resolve) => setTimeout(resolve, AFTER_FAILURE_MS));
    } finally {
      this.#isFindingLeaders = false;
      this.#options.wake();
    }
  }
}

interface Lane {
  readonly partition: number;
  /** In the window. */
  readonly number: number;
  records: readonly IncomingRecord[];
  /** The next one of the records. */
  at: number;
  /** From it on. */
  bytes: number;
  nextOffset: bigint;
  committed: bigint;
}

function hasRecords({ records, at }: Lane): boolean {
  return at < records.length;
}

function bytesLeft(lanes: readonly Lane[]): number {
  return lanes.reduce((sum, { bytes }) => sum + bytes, 0);
}

function bytesOf({ key, value }: IncomingRecord): number {
  return (key?.byteLength ?? 0) + (value?.byteLength ?? 0);
}
