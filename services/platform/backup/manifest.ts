import { createReadStream } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { z } from 'zod';

/** A backup holds the data folder's files below this one. */
export const DATA = 'data';
/** What makes a folder a backup: written last, after everything that it lists is on the disk. */
export const MANIFEST = 'manifest.ndjson';

const FORMAT = 1;

const headSchema = z.object({
  tribo: z.literal('backup'),
  /** Of the manifest itself. */
  format: z.number().int().min(1),
  /** Of the data folder that was backed up. */
  dataFormat: z.number().int().min(1),
  createdBy: z.string(),
  beganAt: z.iso.datetime(),
  /** By port the adapter of what the site had elsewhere, and is not in it. */
  elsewhere: z.record(z.string(), z.string()).default({}),
});
const fileSchema = z.object({
  path: z.string().refine(isPlainPath, 'must stay below the backup'),
  bytes: z.number().int().min(0),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});
const endSchema = z.object({ files: z.number().int(), bytes: z.number().int(), endedAt: z.iso.datetime() });

export type ManifestHead = Omit<z.output<typeof headSchema>, 'tribo' | 'format'>;
/** One file, by its path below the data folder, with `/` between names. */
export type ManifestFile = z.output<typeof fileSchema>;
/** How much the backup holds. */
export interface BackupSize {
  readonly files: number;
  readonly bytes: number;
}

/** What a backup holds, and what it does not. */
export type BackupContent = BackupSize & Pick<ManifestHead, 'elsewhere'>;

/** What is wrong with a folder that should be a backup. */
export class BackupError extends Error {
  override readonly name = 'BackupError';
}

/** Writes a manifest line by line, so that its memory does not grow with the number of files. */
export class ManifestWriter {
  readonly #file: FileHandle;
  #files = 0;
  #bytes = 0;

  static async create(path: string, head: ManifestHead): Promise<ManifestWriter> {
    const writer = new ManifestWriter(await open(path, 'wx', 0o600));
    await writer.#write({ tribo: 'backup', format: FORMAT, ...head });
    return writer;
  }

  private constructor(file: FileHandle) {
    this.#file = file;
  }

  async add(file: ManifestFile): Promise<void> {
    await this.#write(file);
    this.#files += 1;
    this.#bytes += file.bytes;
  }

  /** Writes the last line, without which a manifest counts for nothing, and waits for the disk. */
  async finish(endedAt: string): Promise<BackupSize> {
    const size = { files: this.#files, bytes: this.#bytes };
    await this.#write({ ...size, endedAt });
    await this.#file.sync();
    return size;
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  async #write(line: object): Promise<void> {
    await this.#file.appendFile(`${JSON.stringify(line)}\n`);
  }
}

/** Head and size of a backup, after every line of its manifest was checked. @throws BackupError where it is none, or not a whole one. */
export async function readManifest(folder: string): Promise<ManifestHead & BackupSize> {
  let head: ManifestHead | undefined;
  let end: BackupSize | undefined;
  let files = 0;
  let bytes = 0;
  for await (const line of manifestLines(folder)) {
    if (end) throw notWhole(folder);
    if (!head) head = parseHead(folder, line);
    else if (isFileLine(line)) {
      files += 1;
      bytes += parseFile(folder, line).bytes;
    } else end = endSchema.safeParse(line).data ?? fail(folder);
  }
  if (!head || end?.files !== files || end.bytes !== bytes) throw notWhole(folder);
  return { ...head, files, bytes };
}

/** The files of a manifest, one by one. */
export async function* manifestFiles(folder: string): AsyncGenerator<ManifestFile> {
  for await (const line of manifestLines(folder)) if (isFileLine(line)) yield parseFile(folder, line);
}

async function* manifestLines(folder: string): AsyncGenerator {
  const input = createReadStream(join(folder, MANIFEST), 'utf8');
  try {
    for await (const line of createInterface({ input, crlfDelay: Infinity })) yield parseLine(folder, line);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw new BackupError(
      `${folder} is not a whole backup: it has no ${MANIFEST}, which is written last. Take another one.`,
    );
  } finally {
    input.destroy();
  }
}

function parseLine(folder: string, line: string): unknown {
  try {
    return JSON.parse(line) as unknown;
  } catch {
    throw notWhole(folder);
  }
}

function parseHead(folder: string, line: unknown): ManifestHead {
  const head = headSchema.safeParse(line).data;
  if (!head) throw notWhole(folder);
  if (head.format > FORMAT)
    throw new BackupError(`${folder} was taken by a newer Tribo (${head.createdBy}): restore it with that one`);
  const { dataFormat, createdBy, beganAt, elsewhere } = head;
  return { dataFormat, createdBy, beganAt, elsewhere };
}

function isFileLine(line: unknown): boolean {
  return typeof line === 'object' && line !== null && 'path' in line;
}

function parseFile(folder: string, line: unknown): ManifestFile {
  return fileSchema.safeParse(line).data ?? fail(folder);
}

function fail(folder: string): never {
  throw notWhole(folder);
}

function notWhole(folder: string): BackupError {
  return new BackupError(`${folder} is not a whole backup: its ${MANIFEST} is damaged. Take another one.`);
}

/** A backup from elsewhere must not name files outside of it. */
function isPlainPath(path: string): boolean {
  return (
    path.length <= 4096 &&
    !path.includes('\0') &&
    !path.includes('\\') &&
    path.split('/').every((name) => name !== '' && name !== '.' && name !== '..')
  );
}
