import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';

/**
 * A file of the ids that the platform has acknowledged, one a line, synced: the oracle of fault tests. An id is written after its
 * acknowledgement, so each that stands here must be in the platform; one acknowledged just before a crash may be missing here.
 */
export class AckLog {
  readonly #file: FileHandle;
  #waiting: string[] = [];
  #flushing: Promise<void> | undefined;

  static async open(path: string): Promise<AckLog> {
    return new AckLog(await open(path, 'a'));
  }

  private constructor(file: FileHandle) {
    this.#file = file;
  }

  /** Resolves once the ids are on the disk; calls at the same time share a sync. */
  async record(ids: readonly string[]): Promise<void> {
    this.#waiting.push(...ids);
    while (this.#waiting.length > 0) {
      this.#flushing ??= this.#flush().finally(() => (this.#flushing = undefined));
      await this.#flushing;
    }
    await this.#flushing;
  }

  async close(): Promise<void> {
    await this.#flushing;
    await this.#file.close();
  }

  async #flush(): Promise<void> {
    const ids = this.#waiting;
    this.#waiting = [];
    await this.#file.appendFile(ids.map((id) => `${id}\n`).join(''));
    await this.#file.datasync();
  }
}
