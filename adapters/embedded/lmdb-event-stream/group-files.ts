import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, open, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { lmdbPortError } from './errors.ts';

const DECLARED = '.declared';
const CHECKPOINT = '.checkpoint';

/**
 * What is kept of a stream's consumer groups, in files of their own, so that a consumer never writes into the log:
 *
 * - `<group>.declared`, synced once: from which position on the group receives everything;
 * - `<group>.checkpoint`, replaced while the group advances: below which position it has settled everything. It is a hint: where it is
 *   missing or cut off the group begins where it was declared, and is delivered again what it has settled;
 * - `<group>.lock`, held by the group's active subscription, which alone writes the checkpoint.
 *
 * A record is a decimal number and an end of line, so that a part of one is either unreadable or less.
 */
export class GroupFiles {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /**
   * Makes the group known, durably, from the position that `head` tells, which is asked first: of two processes that declare a group at
   * once either position does. Leaves a group alone that is known.
   */
  async declare(group: string, head: () => number): Promise<void> {
    const path = join(this.#directory, group + DECLARED);
    try {
      const position = head();
      await mkdir(this.#directory, { recursive: true });
      const isNew = await createWith(path, record(position));
      // Also where another process has made it: that one may have been killed before it synced.
      await sync(path);
      if (isNew) await sync(this.#directory);
    } catch (error) {
      throw lmdbPortError(error, `declaring the group ${group} in ${this.#directory}`);
    }
  }

  /** Takes the declaration back, durably; with the checkpoint, which a later declaration must not go on from. */
  async forget(group: string): Promise<void> {
    try {
      if (!existsSync(this.#directory)) return;
      for (const ending of [DECLARED, CHECKPOINT]) await rm(join(this.#directory, group + ending), { force: true });
      await sync(this.#directory);
    } catch (error) {
      throw lmdbPortError(error, `forgetting the group ${group} in ${this.#directory}`);
    }
  }

  /** The position below which the group has settled everything, undefined for one that was never declared. @throws PortError */
  readCheckpoint(group: string): number | undefined {
    try {
      const declared = readIfThere(join(this.#directory, group + DECLARED));
      if (declared === undefined) return undefined;
      // A declaration that was cut off gives the group all that is kept: never less than it was promised.
      const checkpoint = readIfThere(join(this.#directory, group + CHECKPOINT));
      return Math.max(position(declared), checkpoint === undefined ? 0 : position(checkpoint));
    } catch (error) {
      throw lmdbPortError(error, `reading the checkpoint of the group ${group} in ${this.#directory}`);
    }
  }

  /** Of all groups the lowest, undefined without any. @throws PortError */
  readLowestCheckpoint(): number | undefined {
    let lowest: number | undefined;
    for (const group of this.#groups()) {
      const checkpoint = this.readCheckpoint(group) ?? 0;
      if (lowest === undefined || checkpoint < lowest) lowest = checkpoint;
    }
    return lowest;
  }

  /** Replaces the checkpoint in one step. It is not synced: what a power cut takes of it is delivered again. */
  async saveCheckpoint(group: string, checkpoint: number): Promise<void> {
    const path = join(this.#directory, group + CHECKPOINT);
    try {
      await writeFile(`${path}.new`, record(checkpoint));
      await rename(`${path}.new`, path);
    } catch (error) {
      throw lmdbPortError(error, `saving the checkpoint of the group ${group} in ${this.#directory}`);
    }
  }

  /** A path for the lock of the group's active subscription. */
  lockPath(group: string): string {
    return join(this.#directory, `${group}.lock`);
  }

  #groups(): string[] {
    if (!existsSync(this.#directory)) return [];
    try {
      const declared = readdirSync(this.#directory).filter((name) => name.endsWith(DECLARED));
      return declared.map((name) => name.slice(0, -DECLARED.length));
    } catch (error) {
      throw lmdbPortError(error, `reading the groups in ${this.#directory}`);
    }
  }
}

function record(checkpoint: number): string {
  return `${checkpoint}\n`;
}

/** A record that is cut off says nothing. */
function position(text: string): number {
  return /^\d{1,16}\n$/.test(text) ? Number(text) : 0;
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** False where the file is there. */
async function createWith(path: string, content: string): Promise<boolean> {
  try {
    await writeFile(path, content, { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

async function sync(path: string): Promise<void> {
  const file = await open(path, 'r');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}
