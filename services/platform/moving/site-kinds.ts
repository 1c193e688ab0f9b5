import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { PortError, throwIfAborted, type CallOptions } from '#core/errors.ts';
import type { MovableHistory } from '#core/moving/movable-history.ts';
import type { Movable, MovedRow } from '#core/moving/movable.ts';
import type { ObjectInfo, ObjectStore } from '#core/ports/object-store.ts';
import {
  readSite,
  SiteFolderError,
  verifyPart,
  type ExportedSite,
  type MoveOptions,
  type SitePart,
  type SiteWriter,
} from './site-folder.ts';

/** One thing that a site takes along: how it becomes parts, and how a part is taken in. Both may be done again after an interruption. */
export interface SiteKind {
  /** The kind of its parts, and the folder that they are in. */
  readonly name: string;
  /** How many parts are imported at a time: more than one where their order says nothing. */
  readonly atOnce: number;
  countParts(options: CallOptions): Promise<number>;
  /** What an export would come to, by a first part that is read. */
  measure(options: MeasureOptions): Promise<KindSize>;
  exportParts(writer: SiteWriter, options: ExportOptions): Promise<void>;
  /** @throws PortError already_exists where the site has some of it, and not from this export. */
  requireRoomFor(site: ExportedSite, options: CallOptions): Promise<void>;
  /** A part that was taken in is not taken in again. */
  importPart(file: string, part: SitePart, exportId: string, options: CallOptions): Promise<void>;
}

/** About what a kind comes to: time by the rate of its first part. */
export interface KindSize {
  readonly parts: number;
  readonly bytes: number;
  readonly ms: number;
}

interface MeasureOptions extends CallOptions {
  /** Of the export to come. Samples lie beside it for a while, where there has to be room for all of it. */
  readonly folder: string;
}

interface ExportOptions extends CallOptions {
  readonly onPart: () => void;
}

export interface ImportOptions extends MoveOptions {
  /** Called before the first part is taken in: the site is empty, or has what an interrupted import of the same folder brought. */
  readonly onBegin?: () => void;
}

/** Rows a part: some MB, of which one part at a time is in memory. */
const ROWS_A_PART = 5_000;
/** Ends the names of parts of the history that are alike. */
const DAY = /-\d{4}-\d{2}-\d{2}.*$/;
const OBJECTS_A_PAGE = 1_000;
/** An object store far away answers each call late. */
const OBJECTS_AT_ONCE = 8;

/** Exports all kinds in their order, which is that of the import. */
export async function exportKinds(
  writer: SiteWriter,
  kinds: readonly SiteKind[],
  { signal, onProgress }: MoveOptions = {},
): Promise<void> {
  const options = { ...(signal && { signal }) };
  for (const kind of kinds) {
    const total = await kind.countParts(options);
    let done = 0;
    const onPart = (): void => {
      throwIfAborted(signal);
      onProgress?.({ kind: kind.name, done: ++done, total });
    };
    await kind.exportParts(writer, { ...options, onPart });
  }
}

/**
 * Imports a whole export; one that was interrupted goes on. @throws SiteFolderError where a part is damaged or of a kind that this site has no
 * place for, PortError already_exists where the site is not empty: then nothing was imported of it.
 */
export async function importKinds(
  folder: string,
  kinds: readonly SiteKind[],
  { signal, onProgress, onBegin }: ImportOptions = {},
): Promise<void> {
  const options = { ...(signal && { signal }) };
  const site = await readSite(folder);
  const totals = new Map<string, number>();
  for await (const { kind } of site.parts()) totals.set(kind, (totals.get(kind) ?? 0) + 1);
  const homeless = [...totals.keys()].find((kind) => !kinds.some(({ name }) => name === kind));
  if (homeless !== undefined) throw new SiteFolderError(`${folder} has ${homeless}, for which this site has no place`);
  for (const kind of kinds) await kind.requireRoomFor(site, options);
  onBegin?.();
  for (const kind of kinds) {
    const total = totals.get(kind.name) ?? 0;
    let done = 0;
    await eachAtOnce(partsOf(site, kind), kind.atOnce, async (part) => {
      throwIfAborted(signal);
      await kind.importPart(await verifyPart(folder, part), part, site.id, options);
      onProgress?.({ kind: kind.name, done: ++done, total });
    });
  }
}

async function* partsOf({ parts }: ExportedSite, { name }: SiteKind): AsyncGenerator<SitePart> {
  for await (const part of parts()) if (part.kind === name) yield part;
}

/** The history of a time-series store: a file of Parquet a part. */
export function historyKind(history: MovableHistory): SiteKind {
  const name = 'history';
  const ENDING = '.parquet';
  return {
    name,
    atOnce: 1,
    countParts: async (options) => (await history.parts(options)).length,
    async measure({ folder: target, ...options }) {
      const parts = await history.parts(options);
      const size = { parts: parts.length, bytes: 0, ms: 0 };
      const folder = await mkdtemp(join(nearestFolder(dirname(target)), '.tribo-measure-'));
      try {
        for (const alike of Map.groupBy(parts, (part) => part.replace(DAY, '')).values()) {
          // The first and the last day are seldom whole.
          const sample = alike[Math.floor(alike.length / 2)]!;
          const file = join(folder, sample);
          const beganMs = performance.now();
          await history.exportPart(sample, file, options);
          size.ms += (performance.now() - beganMs) * alike.length;
          size.bytes += (await stat(file)).size * alike.length;
          await rm(file);
        }
      } finally {
        await rm(folder, { recursive: true });
      }
      return size;
    },
    async exportParts(writer, { onPart, ...options }) {
      for (const part of await history.parts(options)) {
        const path = `${name}/${part}${ENDING}`;
        await writer.part({ path, kind: name }, (file) => history.exportPart(part, file, options));
        onPart();
      }
    },
    // Its parts are imported before all others, and the first of them says it.
    requireRoomFor: async () => undefined,
    async importPart(file, { path }, exportId, options) {
      await history.importPart(basename(path, ENDING), `${exportId} ${path}`, file, options);
    },
  };
}

/** The folder, or else the nearest above it that is there: an export makes those between. */
function nearestFolder(folder: string): string {
  return existsSync(folder) ? folder : nearestFolder(dirname(folder));
}

/** The rows of a port with the power to be moved, as lines of JSON after one that names their form. */
export function rowsKind(name: string, movable: Movable): SiteKind {
  const partsOf = (rows: number): number => Math.max(1, Math.ceil(rows / ROWS_A_PART));
  const textOf = (rows: readonly MovedRow[]): string =>
    [{ form: movable.form }, ...rows].map((each) => `${JSON.stringify(each)}\n`).join('');
  return {
    name,
    atOnce: 1,
    countParts: async (options) => partsOf(await movable.countRows(options)),
    async measure(options) {
      const count = await movable.countRows(options);
      const beganMs = performance.now();
      const { rows } = await movable.exportRows({ limit: ROWS_A_PART }, options);
      const bytes = Buffer.byteLength(textOf(rows));
      const times = count / Math.max(1, Math.min(count, rows.length));
      return { parts: partsOf(count), bytes: bytes * times, ms: (performance.now() - beganMs) * times };
    },
    async exportParts(writer, { onPart, ...options }) {
      let after: string | undefined;
      for (let number = 1; number === 1 || after !== undefined; number++) {
        const page = { ...(after !== undefined && { after }), limit: ROWS_A_PART };
        const { rows, next } = await movable.exportRows(page, options);
        const path = `${name}/${String(number).padStart(6, '0')}.ndjson`;
        const text = textOf(rows);
        const sha256 = createHash('sha256').update(text).digest('hex');
        await writer.part({ path, kind: name, sha256 }, async (file) => {
          await writeFile(file, text);
          return rows.length;
        });
        onPart();
        after = next;
      }
    },
    requireRoomFor: ({ id }, options) => movable.requireRoomFor(id, options),
    async importPart(file, { path }, exportId, options) {
      const [head, ...rows] = await linesOf(file);
      const form = (head as { readonly form?: unknown } | undefined)?.form;
      if (form !== movable.form)
        throw new SiteFolderError(
          `${path} has the form ${String(form)}, this site ${movable.form}: export and import with one release of Tribo`,
        );
      await movable.importRows({ exportId, name: path }, rows as MovedRow[], options);
    },
  };
}

/** All objects, byte by byte under their keys. Objects never change under a key: one that is there has to be the same. */
export function objectsKind(objects: ObjectStore): SiteKind {
  const name = 'objects';
  const pathOf = (key: string): string => `${name}/${key}`;
  const keyOf = (path: string): string => path.slice(name.length + 1);
  const notEmpty = (what: string): PortError =>
    new PortError(
      'already_exists',
      `the object store is not empty, it has ${what}: import into an empty bucket or prefix`,
    );
  const bytesOf = async (key: string, options: CallOptions): Promise<Uint8Array> => {
    const bytes = await objects.get(key, options);
    if (bytes) return bytes;
    throw new SiteFolderError(
      `the object ${key} went away meanwhile: stop what deletes it, then the same command again`,
    );
  };
  return {
    name,
    atOnce: OBJECTS_AT_ONCE,
    async countParts(options) {
      let count = 0;
      for await (const page of pagesOf(objects, options)) count += page.length;
      return count;
    },
    async measure(options) {
      const size = { parts: 0, bytes: 0, ms: 0 };
      let rate = 0;
      for await (const page of pagesOf(objects, options)) {
        if (size.parts === 0) rate = await bytesPerMs(page, (key) => bytesOf(key, options));
        size.parts += page.length;
        for (const { bytes } of page) size.bytes += bytes;
      }
      return { ...size, ms: rate === 0 ? 0 : size.bytes / rate };
    },
    async exportParts(writer, { onPart, ...options }) {
      for await (const page of pagesOf(objects, options))
        await eachAtOnce(page, OBJECTS_AT_ONCE, async ({ key }) => {
          await writer.part({ path: pathOf(key), kind: name }, async (file) => {
            await writeFile(file, await bytesOf(key, options));
            return 1;
          });
          onPart();
        });
    },
    async requireRoomFor({ parts }, options) {
      const found = await objects.list({ prefix: '', limit: OBJECTS_A_PAGE }, options);
      const foreign = new Set(found.map(({ key }) => pathOf(key)));
      if (foreign.size > 0) for await (const { path } of parts()) foreign.delete(path);
      const [path] = foreign;
      if (path !== undefined) throw notEmpty(`${keyOf(path)}, which is none of this export`);
    },
    async importPart(file, { path }, _exportId, options) {
      const [key, bytes] = [keyOf(path), await readFile(file)];
      const { created } = await objects.put(key, bytes, { ...options, ifAbsent: true });
      // An import that was interrupted may have brought it.
      if (!created && !bytes.equals(await bytesOf(key, options))) throw notEmpty(`another ${key}`);
    },
  };
}

async function* pagesOf(objects: ObjectStore, options: CallOptions): AsyncGenerator<readonly ObjectInfo[]> {
  for (let after: string | undefined; ;) {
    const query = { prefix: '', limit: OBJECTS_A_PAGE, ...(after !== undefined && { after }) };
    const page = await objects.list(query, options);
    if (page.length > 0) yield page;
    after = page.at(-1)?.key;
    if (page.length < OBJECTS_A_PAGE) return;
  }
}

/** The rate at which the first of them are read, as many at a time as an export reads. */
async function bytesPerMs(page: readonly ObjectInfo[], read: (key: string) => Promise<Uint8Array>): Promise<number> {
  const some = page.slice(0, 2 * OBJECTS_AT_ONCE);
  const beganMs = performance.now();
  await eachAtOnce(some, OBJECTS_AT_ONCE, async ({ key }) => {
    await read(key);
  });
  return some.reduce((sum, { bytes }) => sum + bytes, 0) / (performance.now() - beganMs);
}

/** Does the work for some items at a time. Where one fails no other is begun, and those under way are waited for. */
async function eachAtOnce<Item>(
  items: Iterable<Item> | AsyncIterable<Item>,
  atOnce: number,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const waiting = oneByOne(items);
  let hasFailed = false;
  const worker = async (): Promise<void> => {
    for (;;) {
      const next = await waiting.next();
      if (next.done === true || hasFailed) return;
      await work(next.value).catch((error: unknown) => {
        hasFailed = true;
        throw error;
      });
    }
  };
  const results = await Promise.allSettled(Array.from({ length: atOnce }, worker));
  await waiting.return();
  const failure = results.find(({ status }) => status === 'rejected');
  if (failure?.status === 'rejected') throw failure.reason;
}

/** Several may ask for the next at the same time. */
async function* oneByOne<Item>(items: Iterable<Item> | AsyncIterable<Item>): AsyncGenerator<Item, void> {
  yield* items;
}

async function linesOf(file: string): Promise<readonly unknown[]> {
  const text = await readFile(file, 'utf8');
  return text.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as unknown]));
}
