import { closeSync, existsSync, ftruncateSync, openSync, readFileSync, readSync, writeSync } from 'node:fs';

const END_OF_LINE = 0x0a;

/** Ids in a file, one a line, synced as they are written; a process that is killed leaves a part of a line at most. */
export class IdListWriter {
  readonly #path: string;
  #file: number | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  append(ids: readonly string[]): void {
    this.#file ??= this.#open();
    writeSync(this.#file, ids.map((id) => `${id}\n`).join(''));
  }

  /** Only with the first ids: a standby leaves the file to whoever is active. What was cut off there would run into them. */
  #open(): number {
    const file = openSync(this.#path, 'as+');
    ftruncateSync(file, readFileSync(this.#path).lastIndexOf(END_OF_LINE) + 1);
    return file;
  }
}

/** What other processes have written into a list. It is read on from where it was left, never again from its beginning. */
export class IdListReader {
  readonly #path: string;
  readonly #ids: string[] = [];
  readonly #chunk = Buffer.alloc(64 * 1024);
  #position = 0;

  constructor(path: string) {
    this.#path = path;
  }

  /** All ids until now. */
  read(): readonly string[] {
    if (!existsSync(this.#path)) return this.#ids;
    const file = openSync(this.#path, 'r');
    for (let lines = this.#lines(file); lines.length > 0; lines = this.#lines(file)) this.#ids.push(...lines);
    closeSync(file);
    return this.#ids;
  }

  /** The next whole lines: one without an end is being written, or was cut off. */
  #lines(file: number): string[] {
    const length = readSync(file, this.#chunk, 0, this.#chunk.length, this.#position);
    const end = this.#chunk.subarray(0, length).lastIndexOf(END_OF_LINE) + 1;
    this.#position += end;
    return this.#chunk.toString('latin1', 0, end).split('\n').slice(0, -1);
  }
}
