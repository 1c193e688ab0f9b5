import { mkdir, open, readdir, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { systemErrorCode } from '../system-error.ts';

export interface SegmentQueueOptions {
  /** Made when absent; belongs to one process. */
  readonly folder: string;
  /** Bound of the files' bytes. When it is reached the oldest segment that is not under way is dropped. */
  readonly maxBytes: number;
  /** Bytes after which a new segment begins; a sixteenth of the bound by default. */
  readonly segmentBytes?: number;
  /** Whom a dropped line is counted for. */
  readonly keyOf: (line: string) => string;
}

interface Segment {
  readonly number: number;
  readonly path: string;
  /** Where each line begins; a line ends where the next begins, less its line feed. */
  readonly offsets: number[];
  bytes: number;
  acknowledged: number;
  /** Lines handed out by the last peek. */
  underWay: number;
}

/**
 * A first-in first-out queue of lines in a folder of append-only NDJSON segments. Survives the death of the process: what was not
 * acknowledged is there again after a reopen, and at most one segment of what was. (It does not sync: a power cut may take the last
 * seconds, as on any device that spares its flash.)
 */
export class SegmentQueue {
  readonly #options: Required<SegmentQueueOptions>;
  readonly #segments: Segment[] = [];
  readonly #dropped = new Map<string, number>();
  /** Of the newest segment, which alone grows. */
  #tail: FileHandle | undefined;
  /** One operation at a time: each leaves files and index in agreement. */
  #turn: Promise<unknown> = Promise.resolve();

  static async open(options: SegmentQueueOptions): Promise<SegmentQueue> {
    const queue = new SegmentQueue(options);
    await mkdir(options.folder, { recursive: true });
    await queue.#load();
    return queue;
  }

  private constructor(options: SegmentQueueOptions) {
    this.#options = { segmentBytes: Math.max(64 * 1024, Math.floor(options.maxBytes / 16)), ...options };
  }

  /** Lines that wait, those under way included. */
  get pending(): number {
    return this.#segments.reduce((sum, segment) => sum + segment.offsets.length - segment.acknowledged, 0);
  }

  get bytes(): number {
    return this.#segments.reduce((sum, segment) => sum + segment.bytes, 0);
  }

  /** How many lines were dropped for each key, since the folder was made. */
  get dropped(): ReadonlyMap<string, number> {
    return this.#dropped;
  }

  /** Adds a line, dropping the oldest when there is no room. A line that cannot be written (a full disk) is itself counted as dropped. */
  append(line: string): Promise<void> {
    return this.#exclusively(async () => {
      try {
        await this.#write(`${line}\n`);
      } catch (error) {
        this.#countDropped([line]);
        throw error;
      }
      while (this.bytes > this.#options.maxBytes) if (!(await this.#dropOldest())) break;
    });
  }

  /** The oldest lines, at most `max`; they stay until acknowledged, and the next peek gives them again. */
  peek(max: number): Promise<string[]> {
    return this.#exclusively(async () => {
      const lines: string[] = [];
      for (const segment of this.#segments) {
        segment.underWay = Math.min(max - lines.length, segment.offsets.length - segment.acknowledged);
        if (segment.underWay > 0) lines.push(...(await readLines(segment, segment.acknowledged, segment.underWay)));
      }
      return lines;
    });
  }

  /** Forgets the oldest `count` lines of the last peek. */
  acknowledge(count: number): Promise<void> {
    return this.#exclusively(async () => {
      let left = count;
      for (const segment of [...this.#segments]) {
        const here = Math.min(left, segment.underWay);
        segment.acknowledged += here;
        segment.underWay = 0;
        left -= here;
        if (segment.acknowledged === segment.offsets.length) await this.#retire(segment);
      }
      if (left > 0) throw new RangeError(`acknowledged ${count} lines, ${left} more than were handed out`);
    });
  }

  async close(): Promise<void> {
    await this.#exclusively(async () => {
      const acknowledged = this.#segments.map((segment) => [segment.number, segment.acknowledged]);
      await this.#saveState(Object.fromEntries(acknowledged) as Record<string, number>);
      await this.#closeTail();
    });
  }

  #exclusively<Value>(operation: () => Promise<Value>): Promise<Value> {
    const result = this.#turn.then(operation);
    this.#turn = result.catch(() => undefined);
    return result;
  }

  async #write(text: string): Promise<void> {
    let segment = this.#segments.at(-1);
    if (!segment || !this.#tail || segment.bytes >= this.#options.segmentBytes) {
      await this.#closeTail();
      segment = emptySegment(this.#options.folder, (segment?.number ?? 0) + 1);
      this.#tail = await open(segment.path, 'w');
      this.#segments.push(segment);
    }
    // At the index's own end of the file: what a failed write left behind is overwritten.
    const bytes = Buffer.from(text);
    for (let done = 0; done < bytes.length;) {
      const { bytesWritten } = await this.#tail.write(bytes, done, bytes.length - done, segment.bytes + done);
      done += bytesWritten;
    }
    segment.offsets.push(segment.bytes);
    segment.bytes += bytes.length;
  }

  async #closeTail(): Promise<void> {
    const tail = this.#tail;
    this.#tail = undefined;
    await tail?.close();
  }

  async #dropOldest(): Promise<boolean> {
    const newest = this.#segments.at(-1);
    const oldest = this.#segments.find((segment) => segment !== newest && segment.underWay === 0);
    if (!oldest) return false;
    this.#countDropped(await readLines(oldest, oldest.acknowledged, oldest.offsets.length - oldest.acknowledged));
    await this.#remove(oldest);
    return true;
  }

  #countDropped(lines: readonly string[]): void {
    for (const line of lines) {
      const key = this.#options.keyOf(line);
      this.#dropped.set(key, (this.#dropped.get(key) ?? 0) + 1);
    }
  }

  /** A used-up segment goes; the newest is emptied in place, once that is worth a system call. */
  async #retire(segment: Segment): Promise<void> {
    if (segment !== this.#segments.at(-1)) {
      await this.#remove(segment);
    } else if (segment.bytes >= Math.min(64 * 1024, this.#options.segmentBytes)) {
      await this.#tail?.truncate(0);
      Object.assign(segment, { bytes: 0, acknowledged: 0 });
      segment.offsets.length = 0;
    }
  }

  async #remove(segment: Segment): Promise<void> {
    await rm(segment.path, { force: true });
    this.#segments.splice(this.#segments.indexOf(segment), 1);
    await this.#saveState({});
  }

  /**
   * What was dropped, and on a clean close how far each segment was acknowledged. While the queue is open no acknowledgement stands
   * in the file: an emptied segment is filled again under its number, and after a crash the count would skip lines never sent.
   */
  async #saveState(acknowledged: Readonly<Record<string, number>>): Promise<void> {
    const path = join(this.#options.folder, STATE_FILE);
    try {
      await writeFile(`${path}.new`, JSON.stringify({ acknowledged, dropped: Object.fromEntries(this.#dropped) }));
      await rename(`${path}.new`, path);
    } catch (error) {
      if (systemErrorCode(error) !== 'ENOSPC') throw error;
    }
  }

  async #load(): Promise<void> {
    const { folder } = this.#options;
    const state = await readState(join(folder, STATE_FILE));
    for (const [key, count] of Object.entries(state.dropped)) this.#dropped.set(key, count);
    const numbers = (await readdir(folder)).flatMap((name) => {
      const number = /^(\d{8})\.ndjson$/.exec(name)?.[1];
      return number === undefined ? [] : [Number(number)];
    });
    for (const number of numbers.sort((a, b) => a - b)) {
      const segment = await loadSegment(emptySegment(folder, number));
      segment.acknowledged = Math.min(state.acknowledged[number] ?? 0, segment.offsets.length);
      if (segment.acknowledged === segment.offsets.length) await rm(segment.path);
      else this.#segments.push(segment);
    }
    await this.#saveState({});
  }
}

const STATE_FILE = 'state.json';

function emptySegment(folder: string, number: number): Segment {
  const path = join(folder, `${String(number).padStart(8, '0')}.ndjson`);
  return { number, path, offsets: [], bytes: 0, acknowledged: 0, underWay: 0 };
}

/** Finds the lines of a file; a last line without its line feed was torn by the death of the process and goes. */
async function loadSegment(segment: Segment): Promise<Segment> {
  const content = await readFile(segment.path);
  for (let begin = 0, end = content.indexOf(10); end >= 0; begin = end + 1, end = content.indexOf(10, begin)) {
    segment.offsets.push(begin);
    segment.bytes = end + 1;
  }
  if (segment.bytes < content.length) await truncate(segment.path, segment.bytes);
  return segment;
}

async function readLines(segment: Segment, first: number, count: number): Promise<string[]> {
  if (count === 0) return [];
  const from = segment.offsets[first] ?? segment.bytes;
  const to = segment.offsets[first + count] ?? segment.bytes;
  const file = await open(segment.path, 'r');
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(to - from), 0, to - from, from);
    if (bytesRead !== to - from) throw new Error(`${segment.path} is shorter than its index: was it changed by hand?`);
    return buffer.toString('utf8').split('\n').slice(0, count);
  } finally {
    await file.close();
  }
}

interface SavedState {
  readonly acknowledged: Readonly<Record<string, number>>;
  readonly dropped: Readonly<Record<string, number>>;
}

async function readState(path: string): Promise<SavedState> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as SavedState;
  } catch {
    // Absent, or torn with the process: what was acknowledged is sent again and recognised by its ids.
    return { acknowledged: {}, dropped: {} };
  }
}
