import { existsSync } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, rm, stat, truncate, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { throwIfAborted, type CallOptions } from '#core/errors.ts';
import { digestOf, sealFile, syncFolder } from '../backup/copy-files.ts';

/** What a folder is the export of; written first. */
const HEAD = 'site.json';
/** A line a part, appended once the part is on the disk, in the order of import. */
const PARTS = 'parts.ndjson';
/** What makes an export whole; written last. */
const END = 'complete.json';
const FORMAT = 1;
/** More than a line of {@link PARTS} takes. */
const MAX_LINE_BYTES = 64 * 1024;

const headSchema = z.strictObject({
  tribo: z.literal('site'),
  format: z.int().min(1),
  /** Made by the export: what an import notes what it has taken under. */
  id: z.string().min(1),
  createdBy: z.string(),
  beganAt: z.iso.datetime(),
  /** What its machines and devices are named under. */
  tenant: z.string(),
  site: z.string(),
  /** Of the site at that time: where it is another, the site has changed, and the export cannot go on. */
  state: z.string(),
});
const partSchema = z.strictObject({
  path: z.string().refine(isPlainPath, 'must stay below the folder'),
  kind: z.string().min(1),
  rows: z.int().min(0),
  bytes: z.int().min(0),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});
const endSchema = z.strictObject({
  parts: z.int().min(0),
  rows: z.int().min(0),
  bytes: z.int().min(0),
  /** Of {@link PARTS}. */
  sha256: z.string(),
  endedAt: z.iso.datetime(),
});

export type SiteHead = Omit<z.output<typeof headSchema>, 'tribo' | 'format'>;
/** One file of an export, by its path below the folder with `/` between names. */
export type SitePart = z.output<typeof partSchema>;
export type SiteSize = Pick<z.output<typeof endSchema>, 'parts' | 'rows' | 'bytes'>;

/** A whole export, as it says itself. */
export interface ExportedSite extends SiteHead {
  readonly size: SiteSize;
  /** Its parts, in the order of import, read from the disk one after the other: there may be millions. */
  readonly parts: () => AsyncIterable<SitePart>;
}

export interface MoveOptions extends CallOptions {
  /** Told after each part. */
  readonly onProgress?: (progress: { readonly kind: string; readonly done: number; readonly total: number }) => void;
}

/** What is wrong with a folder that should be the export of a site. */
export class SiteFolderError extends Error {
  override readonly name = 'SiteFolderError';
}

/** Writes an export part by part. One that was interrupted goes on in the same folder: parts that are there with their checksum are not made again. */
export class SiteWriter implements AsyncDisposable {
  readonly head: SiteHead;
  readonly #folder: string;
  readonly #list: PartList;
  /** What earlier calls of the command have made, by path. */
  readonly #known: ReadonlyMap<string, SitePart>;
  readonly #isWhole: boolean;
  #size: SiteSize;

  /** @throws SiteFolderError where the folder holds something else, or the export of another site or of one that has changed since. */
  static async begin(folder: string, fresh: SiteHead): Promise<SiteWriter> {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    if (!existsSync(join(folder, HEAD))) {
      await refuseUsed(folder);
      await writeWhole(folder, HEAD, { tribo: 'site', format: FORMAT, ...fresh });
    }
    const head = await readHead(folder);
    if (head.tenant !== fresh.tenant || head.site !== fresh.site)
      throw new SiteFolderError(`${folder} is the export of ${head.tenant}/${head.site}: export to another folder`);
    if (head.state !== fresh.state) throw hasChanged(folder);
    await cutTornLine(join(folder, PARTS));
    const known = new Map<string, SitePart>();
    for await (const part of partsOf(folder)) known.set(part.path, part);
    const list = await PartList.open(join(folder, PARTS));
    return new SiteWriter(folder, head, list, known, existsSync(join(folder, END)));
  }

  private constructor(
    folder: string,
    head: SiteHead,
    list: PartList,
    known: ReadonlyMap<string, SitePart>,
    isWhole: boolean,
  ) {
    this.head = head;
    this.#folder = folder;
    this.#list = list;
    this.#known = known;
    this.#isWhole = isWhole;
    this.#size = [...known.values()].reduce(withPart, NO_PARTS);
  }

  /**
   * Makes a part: `write` writes it to the file that it is given, and says how many rows it has. False where it is there already. With a
   * checksum it is to be that part.
   * @throws SiteFolderError where a part that is there is damaged, for what follows it in the order of import was made after it, or another.
   */
  async part(
    { path, kind, sha256 }: Pick<SitePart, 'path' | 'kind'> & Partial<Pick<SitePart, 'sha256'>>,
    write: (file: string) => Promise<number>,
  ): Promise<boolean> {
    const known = this.#known.get(path);
    if (known) {
      if (sha256 !== undefined && sha256 !== known.sha256) throw hasChanged(this.#folder);
      await verifyPart(this.#folder, known);
      return false;
    }
    if (this.#isWhole)
      throw new SiteFolderError(`${this.#folder} is whole, and has no ${path}: export to another folder`);
    const file = join(this.#folder, path);
    const draft = unfinished(file);
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    await rm(draft, { force: true });
    const rows = await write(draft);
    const part: SitePart = { path, kind, rows, ...(await sealFile(draft, () => undefined)) };
    await rename(draft, file);
    await syncFolder(dirname(file));
    await this.#list.append(part);
    this.#size = withPart(this.#size, part);
    return true;
  }

  /** Makes the export whole. */
  async finish(endedAt: string): Promise<SiteSize> {
    if (!this.#isWhole) {
      const { sha256 } = await digestOf(join(this.#folder, PARTS), () => undefined);
      await writeWhole(this.#folder, END, { ...this.#size, sha256, endedAt });
    }
    return this.#size;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#list.close();
  }
}

/** The lines of {@link PARTS}: one that a full disk tore is cut off before the next is written. */
class PartList {
  readonly #file: FileHandle;
  /** Of whole lines that are on the disk. */
  #bytes: number;
  #mayBeTorn = false;
  #last: Promise<void> = Promise.resolve();

  static async open(path: string): Promise<PartList> {
    const file = await open(path, 'a', 0o600);
    return new PartList(file, (await file.stat()).size);
  }

  private constructor(file: FileHandle, bytes: number) {
    this.#file = file;
    this.#bytes = bytes;
  }

  /** One after the other, whoever asks. */
  append(part: SitePart): Promise<void> {
    const line = Buffer.from(`${JSON.stringify(part)}\n`);
    const appended = this.#last.then(() => this.#append(line));
    this.#last = appended.catch(() => undefined);
    return appended;
  }

  async close(): Promise<void> {
    await this.#last;
    await this.#file.close();
  }

  async #append(line: Buffer): Promise<void> {
    if (this.#mayBeTorn) await this.#file.truncate(this.#bytes);
    this.#mayBeTorn = true;
    await this.#file.appendFile(line);
    await this.#file.datasync();
    this.#mayBeTorn = false;
    this.#bytes += line.length;
  }
}

/** What a whole export says of itself. @throws SiteFolderError where it is none, or not whole, or was changed. */
export async function readSite(folder: string): Promise<ExportedSite> {
  const head = await readHead(folder);
  const end = endSchema.safeParse(await readJson(folder, END));
  if (!end.success)
    throw new SiteFolderError(`${folder} is not whole: let the export go on, by the same command again`);
  const { sha256, endedAt: _, ...size } = end.data;
  const found = await digestOf(join(folder, PARTS), () => undefined).catch(() => undefined);
  if (found?.sha256 !== sha256)
    throw new SiteFolderError(`${folder} was changed since it was exported: its ${PARTS} is another. Export again.`);
  return { ...head, size, parts: () => partsOf(folder) };
}

/** Compares each part of a whole export with its checksum. @throws SiteFolderError that names the one that differs. */
export async function checkSite(folder: string, { signal, onProgress }: MoveOptions): Promise<SiteSize> {
  const { parts, size } = await readSite(folder);
  let done = 0;
  for await (const part of parts()) {
    throwIfAborted(signal);
    await verifyPart(folder, part);
    onProgress?.({ kind: part.kind, done: ++done, total: size.parts });
  }
  return size;
}

/** The path of a part whose bytes are those that were exported. @throws SiteFolderError */
export async function verifyPart(folder: string, { path, bytes, sha256 }: SitePart): Promise<string> {
  const file = join(folder, path);
  const found = await digestOf(file, () => undefined).catch(() => undefined);
  if (found?.bytes === bytes && found.sha256 === sha256) return file;
  const what = found ? 'is not what was exported' : 'is not there';
  throw new SiteFolderError(`${path} in ${folder} ${what}: copy it again, or export to another folder`);
}

function hasChanged(folder: string): SiteFolderError {
  return new SiteFolderError(`the site has changed since ${folder} was begun: export it to another folder`);
}

const NO_PARTS: SiteSize = { parts: 0, rows: 0, bytes: 0 };

function withPart(size: SiteSize, { rows, bytes }: SitePart): SiteSize {
  return { parts: size.parts + 1, rows: size.rows + rows, bytes: size.bytes + bytes };
}

/** An export goes where nothing is, so that nothing of somebody's comes between its parts. */
async function refuseUsed(folder: string): Promise<void> {
  const names = await readdir(folder);
  if (names.some((name) => name !== unfinished(HEAD)))
    throw new SiteFolderError(`${folder} holds something that is no export of a site: export to another folder`);
}

async function readHead(folder: string): Promise<SiteHead> {
  const parsed = headSchema.safeParse(await readJson(folder, HEAD));
  if (!parsed.success) throw new SiteFolderError(`${folder} holds no export of a site`);
  const { format, id, createdBy, beganAt, tenant, site, state } = parsed.data;
  if (format > FORMAT)
    throw new SiteFolderError(`${folder} was exported by a newer Tribo (${createdBy}): import it with that one`);
  return { id, createdBy, beganAt, tenant, site, state };
}

/** @throws SiteFolderError of a line that is no part. */
async function* partsOf(folder: string): AsyncGenerator<SitePart> {
  const path = join(folder, PARTS);
  if (!existsSync(path)) return;
  await using file = await open(path, 'r');
  for await (const line of file.readLines()) {
    const parsed = partSchema.safeParse(jsonOf(line));
    if (!parsed.success) throw new SiteFolderError(`${PARTS} in ${folder} is damaged: export to another folder`);
    yield parsed.data;
  }
}

/** A line that a power cut tore is of a part that is made again: it is cut off. */
async function cutTornLine(path: string): Promise<void> {
  if (!existsSync(path)) return;
  const { size } = await stat(path);
  const from = Math.max(0, size - MAX_LINE_BYTES);
  await using file = await open(path, 'r');
  const { buffer } = await file.read(Buffer.alloc(size - from), 0, size - from, from);
  const end = buffer.lastIndexOf('\n') + 1;
  if (end < buffer.length && (end > 0 || from === 0)) await truncate(path, from + end);
}

async function readJson(folder: string, name: string): Promise<unknown> {
  const path = join(folder, name);
  return existsSync(path) ? jsonOf(await readFile(path, 'utf8')) : undefined;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function unfinished(path: string): string {
  return `${path}.unfinished`;
}

async function writeWhole(folder: string, name: string, content: object): Promise<void> {
  const path = join(folder, name);
  const file = await open(unfinished(path), 'w', 0o600);
  try {
    await file.writeFile(`${JSON.stringify(content, null, 2)}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(unfinished(path), path);
  await syncFolder(folder);
}

/** An export from elsewhere must not name files outside of it. */
function isPlainPath(path: string): boolean {
  const names = path.split('/');
  return path.length <= 4096 && !/[\0\\]/.test(path) && names.every((name) => !['', '.', '..'].includes(name));
}
