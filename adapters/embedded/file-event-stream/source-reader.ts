import type { FileHandle } from 'node:fs/promises';
import { PortError } from '#core/errors.ts';
import { decodeFrame, readFrameHeader, readRecord, RECORD_BYTES, type FrameHeader } from './frame-codec.ts';
import { openSegment, listSegments, readPreamble } from './segment.ts';
import type { SourceHead } from './source-head.ts';
import type { EventBlock, TailCache } from './tail-cache.ts';

const CHUNK_BYTES = 256 * 1024;

/** Reads one source forward from a position, up to what is durable: from the tail cache where it can, else from the segments. */
export class SourceReader {
  readonly #directory: string;
  readonly #cache: TailCache;
  readonly #headOf: () => SourceHead;
  #position: number;
  #block: EventBlock | undefined;
  /** Where the next record is, once that is known. */
  #place: { readonly segment: number; readonly offset: number } | undefined;
  #open: { readonly segment: number; readonly file: FileHandle } | undefined;
  #chunk: Buffer = Buffer.alloc(0);
  #chunkStart = 0;

  constructor(directory: string, cache: TailCache, headOf: () => SourceHead, position: number) {
    this.#directory = directory;
    this.#cache = cache;
    this.#headOf = headOf;
    this.#position = Math.max(position, headOf().firstPosition);
  }

  /** The position that is read next. */
  get position(): number {
    return this.#position;
  }

  get isAtHead(): boolean {
    return this.#position >= this.#headOf().nextPosition;
  }

  moveTo(position: number): void {
    this.#position = position;
  }

  /** The block that contains the position, undefined at the head. @throws PortError data_loss where the log has a hole. */
  async block(): Promise<EventBlock | undefined> {
    const current = this.#block;
    if (current && this.#position < endOf(current)) return current;
    if (this.isAtHead) return undefined;
    const cached = this.#cache.find(this.#position);
    if (cached) {
      this.#place = { segment: cached.segment, offset: cached.end };
      return (this.#block = cached);
    }
    const frame = await this.#nextFrame();
    const events = decodeFrame(frame);
    const { segment, offset } = this.#place!;
    return (this.#block = { firstPosition: readFrameHeader(frame).firstPosition, events, segment, end: offset });
  }

  /** The header of the frame that contains the position, without its events; undefined at the head. */
  async frameHeader(): Promise<FrameHeader | undefined> {
    if (this.isAtHead) return undefined;
    return readFrameHeader(await this.#nextFrame());
  }

  async close(): Promise<void> {
    await this.#open?.file.close();
    this.#open = undefined;
  }

  /** The frame that contains the position; `#place` is behind it afterwards. */
  async #nextFrame(): Promise<Buffer> {
    this.#place ??= await this.#find();
    for (;;) {
      const frame = await this.#frameAt(this.#place.segment, this.#place.offset);
      if (!frame) {
        // A segment's end: the next one begins at the next position.
        if (this.#place.segment === this.#position) throw this.#holeError();
        this.#place = await this.#startOf(this.#position);
        continue;
      }
      this.#place = { segment: this.#place.segment, offset: this.#place.offset + RECORD_BYTES + frame.byteLength };
      const { firstPosition, count } = readFrameHeader(frame);
      if (firstPosition > this.#position) throw this.#holeError();
      if (this.#position < firstPosition + count) return frame;
    }
  }

  async #find(): Promise<{ segment: number; offset: number }> {
    const segments = await listSegments(this.#directory);
    const segment = segments.findLast((firstPosition) => firstPosition <= this.#position);
    if (segment === undefined) throw this.#holeError();
    return this.#startOf(segment);
  }

  async #startOf(segment: number): Promise<{ segment: number; offset: number }> {
    const file = await this.#segment(segment);
    const begun = file && (await readPreamble(file));
    if (!begun) throw this.#holeError();
    return { segment, offset: begun.framesStart };
  }

  /** Undefined at the end of a segment. */
  async #frameAt(segment: number, offset: number): Promise<Buffer | undefined> {
    await this.#segment(segment);
    const inChunk = readRecord(this.#chunk, offset - this.#chunkStart);
    if (inChunk) return inChunk;
    await this.#readChunk(segment, offset, CHUNK_BYTES);
    if (this.#chunk.byteLength < RECORD_BYTES) return undefined;
    const whole = RECORD_BYTES + this.#chunk.readUInt32LE(0);
    if (whole > this.#chunk.byteLength) await this.#readChunk(segment, offset, whole);
    const frame = readRecord(this.#chunk, 0);
    if (!frame) throw this.#holeError();
    return frame;
  }

  /** Reads no further than what is durable: what is behind may yet be cut off and written anew. */
  async #readChunk(segment: number, offset: number, bytes: number): Promise<void> {
    const head = this.#headOf();
    const limit = segment === head.segment ? Math.min(bytes, head.end - offset) : bytes;
    // A new buffer each time: the payloads of earlier events are views of the former.
    const chunk = Buffer.allocUnsafeSlow(Math.max(limit, 0));
    const file = await this.#segment(segment);
    const bytesRead = file ? (await file.read(chunk, 0, chunk.byteLength, offset)).bytesRead : 0;
    this.#chunk = chunk.subarray(0, bytesRead);
    this.#chunkStart = offset;
  }

  /** Undefined where retention has let go of it. */
  async #segment(segment: number): Promise<FileHandle | undefined> {
    if (this.#open?.segment === segment) return this.#open.file;
    await this.close();
    this.#chunk = Buffer.alloc(0);
    const file = await openSegment(this.#directory, segment);
    if (file) this.#open = { segment, file };
    return file;
  }

  #holeError(): PortError {
    return new PortError('data_loss', `the event log in ${this.#directory} has no event at ${this.#position}`);
  }
}

function endOf(block: EventBlock): number {
  return block.firstPosition + block.events.length;
}
