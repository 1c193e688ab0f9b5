import { PortError } from '#core/errors.ts';
import { decodeFrame } from './frame-codec.ts';
import type { HeadMonitor } from './head-monitor.ts';
import type { LogFile } from './log-file.ts';
import type { EventBlock, TailCache } from './tail-cache.ts';

/** Reads one stream forward from a position, up to what is durable: from the tail cache where it can, else frame by frame. */
export class LogReader {
  readonly #file: LogFile;
  readonly #monitor: HeadMonitor;
  readonly #cache: TailCache;
  #position: number;
  #block: EventBlock | undefined;

  constructor(file: LogFile, monitor: HeadMonitor, cache: TailCache, position: number) {
    this.#file = file;
    this.#monitor = monitor;
    this.#cache = cache;
    this.#position = position;
  }

  /** The position that is read next. */
  get position(): number {
    return this.#position;
  }

  /** The block that contains the position, undefined at the head. @throws PortError data_loss where the log has a hole. */
  block(): EventBlock | undefined {
    const position = this.#position;
    const current = this.#block;
    if (current && position < current.firstPosition + current.events.length) return current;
    if (position >= this.#monitor.head.nextPosition) return (this.#block = undefined);
    return (this.#block = this.#cache.find(position) ?? this.#readBlock(position));
  }

  moveTo(position: number): void {
    this.#position = position;
  }

  #readBlock(position: number): EventBlock {
    this.#file.refresh();
    let firstPosition = position;
    let frame = this.#file.readFrame(position);
    if (!frame) {
      firstPosition = this.#file.findFrame(position) ?? position;
      frame = this.#file.readFrame(firstPosition);
    }
    const events = frame ? decodeFrame(frame) : [];
    if (firstPosition > position || firstPosition + events.length <= position)
      throw new PortError('data_loss', `the event log in ${this.#file.directory} has no event at ${position}`);
    return { firstPosition, events };
  }
}
