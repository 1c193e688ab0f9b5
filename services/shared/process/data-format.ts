import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Version of the data folder's layout. It rises when a release can no longer read what an older one wrote without migrating it. */
export const DATA_FORMAT = 1;

export const FORMAT_FILE = 'format.json';

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

/**
 * For a service that is started by itself: it leaves a folder as it is, and one of another format alone. A folder that does not say its format
 * yet is new.
 * @throws DataFolderError where the folder is of an older or a newer format.
 */
export function requirePresentFormat(folder: string): void {
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
