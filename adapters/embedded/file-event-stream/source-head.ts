import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { isMissing } from './errors.ts';
import { newRecord, readRecord } from './frame-codec.ts';

/** What of a source is durable: other processes read no further. */
export interface SourceHead {
  /** The first position that is kept; all below was let go of. */
  readonly firstPosition: number;
  /** The position of the next event: those below are durable. */
  readonly nextPosition: number;
  /** The first position of the newest segment, and where its durable part ends. */
  readonly segment: number;
  readonly end: number;
  /** Each tenant's items up to the head. */
  readonly tenants: Readonly<Record<string, number>>;
}

export const EMPTY_HEAD: SourceHead = { firstPosition: 0, nextPosition: 0, segment: 0, end: 0, tenants: {} };

/** Made so large at once, and the file holds real blocks, that a full disk does not stop a small head from being written. */
const RESERVED_BYTES = 16 * 1024;

/**
 * The file in which a source's publisher tells readers of other processes how far they may read. It is written over after each sync of the
 * segment, in one write, and not synced itself: after a crash of the machine it may be behind, never ahead, and the publisher writes it anew.
 */
export class HeadFile {
  readonly #file: number;
  #bytes = Buffer.alloc(RESERVED_BYTES);

  /** For the publisher. */
  static create(path: string): HeadFile {
    let file: number;
    try {
      file = openSync(path, 'r+');
    } catch (error) {
      if (!isMissing(error)) throw error;
      file = openSync(path, 'w+', 0o600);
      writeSync(file, Buffer.alloc(RESERVED_BYTES), 0, RESERVED_BYTES, 0);
    }
    return new HeadFile(file);
  }

  /** For readers; undefined where the source has none yet. */
  static open(path: string): HeadFile | undefined {
    try {
      return new HeadFile(openSync(path, 'r'));
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }

  private constructor(file: number) {
    this.#file = file;
  }

  write(head: SourceHead): void {
    const record = newRecord(Buffer.from(JSON.stringify(head)));
    writeSync(this.#file, record, 0, record.byteLength, 0);
  }

  /** Undefined before the first write, and where a write was seen half done: look again. */
  read(): SourceHead | undefined {
    for (;;) {
      const length = readSync(this.#file, this.#bytes, 0, this.#bytes.byteLength, 0);
      const content = readRecord(this.#bytes.subarray(0, length), 0);
      if (content) return JSON.parse(content.toString()) as SourceHead;
      if (length < this.#bytes.byteLength) return undefined;
      const wanted = this.#bytes.readUInt32LE(0);
      if (wanted <= this.#bytes.byteLength || wanted > 2 ** 26) return undefined;
      this.#bytes = Buffer.alloc(wanted * 2);
    }
  }

  close(): void {
    closeSync(this.#file);
  }
}
