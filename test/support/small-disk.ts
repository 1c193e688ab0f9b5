import { execFileSync } from 'node:child_process';
import { closeSync, fsyncSync, mkdtempSync, openSync, rmdirSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe } from '@jest/globals';

const MIB = 2 ** 20;

const isRoot = process.getuid?.() === 0;

/**
 * Describes what needs a {@link SmallDisk}. Mounting one needs root: for anybody else there is nothing to test, and that is said. In CI, which
 * has to have it, such tests are never left out: the mount fails.
 */
export const describeOnSmallDisk = isRoot || process.env['CI'] ? describe : describe.skip;
if (!isRoot) console.warn('the tests of a full disk mount a tmpfs and need root: they do not run here');

/** A small file system in memory, to be filled. What lives on it is put into folders below {@link folder}, or linked to it. */
export class SmallDisk implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'tribo-disk-'));
  readonly #ballast = join(this.folder, 'ballast');

  constructor(sizeMiB: number) {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${sizeMiB}m`, 'tmpfs', this.folder]);
  }

  /** Takes all space that is left. @throws Error where some is left. */
  fill(): void {
    const file = openSync(this.#ballast, 'w');
    try {
      for (let chunk = Buffer.alloc(MIB); chunk.length > 0;) {
        try {
          writeSync(file, chunk);
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
          chunk = chunk.subarray(0, chunk.length >> 1);
        }
      }
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    const { bavail } = statfsSync(this.folder);
    if (bavail > 16) throw new Error(`${bavail} blocks are left on the disk that should be full`);
  }

  free(): void {
    rmSync(this.#ballast, { force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    execFileSync('umount', ['--lazy', this.folder]);
    rmdirSync(this.folder);
  }
}

/** A folder on a disk with room. */
export class RoomyFolder implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'tribo-room-'));

  async [Symbol.asyncDispose](): Promise<void> {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
