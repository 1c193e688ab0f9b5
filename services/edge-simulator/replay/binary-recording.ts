import { open, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { z } from 'zod';
import { PortError } from '#core/errors.ts';

/** A manifest of a data set, checked. @throws PortError not_found or invalid_argument */
export async function readManifest<Schema extends z.ZodType>(
  folder: string,
  schema: Schema,
  holds: string,
): Promise<z.infer<Schema>> {
  const path = join(folder, 'manifest.json');
  let json: unknown;
  try {
    json = JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    if (!(error instanceof SyntaxError))
      throw notFound(path, `name the folder that holds ${holds} with its manifest.json`);
    throw new PortError('invalid_argument', `${path} is not JSON: ${error.message}`, { cause: error });
  }
  const result = schema.safeParse(json);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw new PortError(
    'invalid_argument',
    `${path}: ${issue?.path.join('.') ?? ''} ${issue?.message ?? ''}; is it the manifest of ${holds}?`,
  );
}

/** Fails unless the file has the size that the manifest gives it. */
export async function checkSize(path: string, expectedBytes: number): Promise<void> {
  const size = await stat(path).then(
    (found) => found.size,
    () => {
      throw notFound(path, 'fetch the data set again, or take the file out of its manifest');
    },
  );
  if (size === expectedBytes) return;
  throw new PortError(
    'data_loss',
    `${path} has ${size} bytes, its manifest says ${expectedBytes}: fetch the file again`,
  );
}

/** Pieces of the given sizes, one after another; reads ahead a block at a time. */
export async function* readPieces(path: string, sizes: Iterable<number>): AsyncGenerator<Uint8Array, void, undefined> {
  const file = await open(path, 'r');
  try {
    let block = Buffer.alloc(0);
    for (const size of sizes) {
      if (block.length < size) {
        // A new block each time: pieces of the old one are still under way.
        const next = Buffer.allocUnsafe(Math.max(READ_BYTES, size));
        block.copy(next);
        const { bytesRead } = await file.read(next, block.length, next.length - block.length);
        block = next.subarray(0, block.length + bytesRead);
        if (block.length < size)
          throw new PortError('data_loss', `${path} ends in the middle of a record: fetch the file again`);
      }
      yield block.subarray(0, size);
      block = block.subarray(size);
    }
  } finally {
    await file.close();
  }
}

const READ_BYTES = 256 * 1024;

function notFound(path: string, remedy: string): PortError {
  return new PortError('not_found', `${path} is not there: ${remedy}`);
}
