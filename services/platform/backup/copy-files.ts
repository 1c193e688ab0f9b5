import { createHash } from 'node:crypto';
import { chmod, mkdir, open, opendir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';

const CHUNK_BYTES = 2 ** 20;
const LOOK_EVERY_MS = 200;

/** Told of bytes as they are worked off. */
export type OnBytes = (bytes: number) => void;

/** Paths of the regular files below a folder, in no order; none where the folder is not there. Files that vanish meanwhile are left out. */
export async function* filesBelow(folder: string, below = ''): AsyncGenerator<string> {
  const entries = await opendir(join(folder, below)).catch(absent);
  for await (const entry of entries ?? []) {
    const path = below === '' ? entry.name : `${below}/${entry.name}`;
    if (entry.isDirectory()) yield* filesBelow(folder, path);
    else if (entry.isFile()) yield path;
  }
}

/** Bytes of a file, or of all files below a folder; 0 where it is not there. */
export async function bytesOf(path: string): Promise<number> {
  const found = await stat(path).catch(absent);
  if (!found?.isDirectory()) return found?.size ?? 0;
  let bytes = 0;
  for await (const file of filesBelow(path)) bytes += (await stat(join(path, file)).catch(absent))?.size ?? 0;
  return bytes;
}

export interface CopiedFile {
  readonly bytes: number;
  readonly sha256: string;
}

/**
 * Copies a file, readable by its owner alone, and waits for the disk; makes the folders above it. Undefined where the source is not there.
 * Holds one chunk in memory.
 */
export async function copyFileSynced(
  from: string,
  to: string,
  onBytes: OnBytes,
  signal?: AbortSignal,
): Promise<CopiedFile | undefined> {
  const source = await open(from, 'r').catch(absent);
  if (!source) return undefined;
  try {
    await mkdir(dirname(to), { recursive: true, mode: 0o700 });
    const target = await open(to, 'wx', 0o600);
    try {
      const digest = await readThrough(source, async (chunk) => writeAll(target, chunk), onBytes, signal);
      await target.sync();
      return digest;
    } finally {
      await target.close();
    }
  } finally {
    await source.close();
  }
}

/** The digest of a file that something else has written: made readable by its owner alone, and waited for on the disk. */
export async function sealFile(path: string, onBytes: OnBytes, signal?: AbortSignal): Promise<CopiedFile> {
  await chmod(path, 0o600);
  const file = await open(path, 'r+');
  try {
    await file.sync();
    return await readThrough(file, async () => undefined, onBytes, signal);
  } finally {
    await file.close();
  }
}

/** The digest of a file as it is. */
export async function digestOf(path: string, onBytes: OnBytes, signal?: AbortSignal): Promise<CopiedFile> {
  const file = await open(path, 'r');
  return readThrough(file, async () => undefined, onBytes, signal).finally(() => file.close());
}

/** Waits until a folder's entries are on the disk. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  await handle.sync().finally(() => handle.close());
}

/** Tells of bytes while something else writes below a path, by looking at it now and then. */
export async function whileWatching<Result>(
  path: string,
  onBytes: OnBytes,
  work: () => Promise<Result>,
): Promise<Result> {
  let known = 0;
  let isLooking = false;
  const look = async (): Promise<void> => {
    if (isLooking) return;
    isLooking = true;
    const bytes = await bytesOf(path).catch(() => known);
    if (bytes > known) onBytes(bytes - known);
    known = Math.max(known, bytes);
    isLooking = false;
  };
  const timer = setInterval(() => void look(), LOOK_EVERY_MS);
  return work().finally(() => clearInterval(timer));
}

type Handle = Awaited<ReturnType<typeof open>>;

async function readThrough(
  source: Handle,
  take: (chunk: Buffer) => Promise<void>,
  onBytes: OnBytes,
  signal: AbortSignal | undefined,
): Promise<CopiedFile> {
  const hash = createHash('sha256');
  const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
  let bytes = 0;
  for (;;) {
    signal?.throwIfAborted();
    const { bytesRead } = await source.read(buffer, 0, CHUNK_BYTES);
    if (bytesRead === 0) return { bytes, sha256: hash.digest('hex') };
    const chunk = buffer.subarray(0, bytesRead);
    hash.update(chunk);
    await take(chunk);
    bytes += bytesRead;
    onBytes(bytesRead);
  }
}

async function writeAll(target: Handle, chunk: Buffer): Promise<void> {
  for (let written = 0; written < chunk.byteLength;) {
    const { bytesWritten } = await target.write(chunk, written);
    written += bytesWritten;
  }
}

function absent(error: unknown): undefined {
  if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
  throw error;
}
