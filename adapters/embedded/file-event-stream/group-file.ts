import { randomUUID } from 'node:crypto';
import { link, mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { filePortError, isMissing } from './errors.ts';
import { syncDirectory } from './segment.ts';
import type { StreamPaths } from './stream-paths.ts';

/** By source the position below which a group has settled everything. A source that is not named appeared later: all of it is the group's. */
export type GroupPositions = ReadonlyMap<string, number>;

/** The consumer groups of a stream, each a small file that is replaced as a whole. */
export class GroupFiles {
  readonly #paths: StreamPaths;

  constructor(paths: StreamPaths) {
    this.#paths = paths;
  }

  /** Makes the group known from these positions on; leaves one alone that is. Durable when it resolves. */
  async declare(group: string, positions: GroupPositions): Promise<void> {
    try {
      // Of several processes that declare it at once, one makes it.
      const temporary = await this.#write(`.${randomUUID()}`, positions);
      try {
        await link(temporary, this.#paths.group(group));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      } finally {
        await rm(temporary, { force: true });
      }
      await syncDirectory(this.#paths.groups);
    } catch (error) {
      throw filePortError(error, `declaring the group ${group}`);
    }
  }

  /** For the one subscription that holds the group's lock. */
  async save(group: string, positions: GroupPositions): Promise<void> {
    try {
      await rename(await this.#write(`.${group}.saving`, positions), this.#paths.group(group));
    } catch (error) {
      throw filePortError(error, `saving the checkpoint of the group ${group}`);
    }
  }

  /** Undefined for a group that was never declared. */
  async read(group: string): Promise<GroupPositions | undefined> {
    try {
      const text = await readFile(this.#paths.group(group), 'utf8');
      return new Map(Object.entries((JSON.parse(text) as { positions: Record<string, number> }).positions));
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw filePortError(error, `reading the checkpoint of the group ${group}`);
    }
  }

  /** The lowest position of the source that any group has not settled; undefined without groups. */
  async lowest(source: string): Promise<number | undefined> {
    let lowest: number | undefined;
    for (const name of await readdir(this.#paths.groups)) {
      if (!name.endsWith('.json')) continue;
      const position = (await this.read(name.slice(0, -'.json'.length)))?.get(source) ?? 0;
      if (lowest === undefined || position < lowest) lowest = position;
    }
    return lowest;
  }

  async #write(name: string, positions: GroupPositions): Promise<string> {
    await mkdir(this.#paths.groups, { recursive: true });
    const temporary = join(this.#paths.groups, name);
    const file = await open(temporary, 'w', 0o600);
    try {
      await file.writeFile(JSON.stringify({ positions: Object.fromEntries(positions) }));
      await file.datasync();
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    } finally {
      await file.close();
    }
    return temporary;
  }
}
