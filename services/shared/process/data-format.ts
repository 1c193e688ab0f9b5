import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Version of the data folder's layout. It rises when a release can no longer read what an older one wrote without migrating it. */
export const DATA_FORMAT = 1;

export const FORMAT_FILE = 'format.json';

/** Is there while a site is imported, and names the folder that it comes from. */
const IMPORT_FILE = 'import-under-way';

/** What a data folder says of itself. */
export interface DataFormat {
  readonly format: number;
  /** The version of Tribo that wrote it. */
  readonly createdBy: string;
}

/** What is wrong with a data folder: said with the remedy. */
export class DataFolderError extends Error {
  override readonly name = 'DataFolderError';
}

/** The format of the folder, as it says itself; undefined where it does not say. @throws DataFolderError for one that is no format. */
export function formatOf(folder: string): number | undefined {
  const path = join(folder, FORMAT_FILE);
  if (!existsSync(path)) return undefined;
  const { format } = parsed(readFileSync(path, 'utf8'));
  if (typeof format === 'number' && Number.isInteger(format) && format >= 1) return format;
  throw new DataFolderError(`${path} does not name a format; restore the folder from a backup`);
}

/** @throws DataFolderError where a newer Tribo wrote it. */
export function refuseNewerFormat(what: string, found: number, current = DATA_FORMAT): void {
  if (found <= current) return;
  throw new DataFolderError(
    `${what} has data format ${found} and this Tribo reads ${current}: use the newer Tribo that wrote it, or set TRIBO_DATA_DIR to another folder`,
  );
}

/** Says that what is there is a part of a site, until {@link endImport}. */
export function beginImport(folder: string, from: string): void {
  writeFileSync(join(folder, IMPORT_FILE), `${from}\n`, { flush: true });
}

export function endImport(folder: string): void {
  rmSync(join(folder, IMPORT_FILE), { force: true });
}

/** @throws DataFolderError while an import into it is not done: a part of a site would run as if it were all, and the rest could not be added. */
export function refuseHalfImported(folder: string): void {
  const path = join(folder, IMPORT_FILE);
  if (!existsSync(path)) return;
  const from = readFileSync(path, 'utf8').trim();
  throw new DataFolderError(
    `${folder} has a part of the site that ${from} holds: let the import go on (npx tribo site import ${from}), or import into another folder`,
  );
}

/**
 * For a service that is started by itself: it leaves a folder as it is, and one of another format alone. A folder that does not say its format
 * yet is new.
 * @throws DataFolderError where the folder is of an older or a newer format, or half imported.
 */
export function requirePresentFormat(folder: string): void {
  refuseHalfImported(folder);
  const found = formatOf(folder) ?? DATA_FORMAT;
  refuseNewerFormat(folder, found);
  if (found === DATA_FORMAT) return;
  throw new DataFolderError(
    `${folder} has data format ${found} and this Tribo writes ${DATA_FORMAT}: take a backup, then start the whole platform on it once ("npm start"), which migrates it`,
  );
}

function parsed(text: string): Partial<Record<keyof DataFormat, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : {};
  } catch {
    return {};
  }
}
