import { PortError, type CallOptions } from '../errors.ts';

/**
 * The history of a time-series store, as it is taken along when a site moves to another provider: files of Parquet, the same bytes from every
 * store with the same content. To be used while no service of the site runs. Not moved is what is about the old site's streams: progress,
 * fences, watermarks and lost events. The ledger counts what was settled there as `imported`.
 */
export interface MovableHistory {
  /** Names the form of the files, with its version; each file says its own, and is taken only where it is the same. */
  readonly form: string;
  /** Names of the parts, in the order of import, e.g. `readings-2026-11-20`. Housekeeping that is due is done first. */
  parts(options?: CallOptions): Promise<readonly string[]>;
  /** Writes the part as one file of Parquet, and returns the number of its rows. @throws PortError not_found (no such part), resource_exhausted. */
  exportPart(name: string, file: string, options?: CallOptions): Promise<number>;
  /**
   * Takes a part in, all or nothing, with the note that it was; false where it was before. `partId` is unique per export and part. Parts are
   * given in the order of {@link parts}. @throws PortError already_exists (the store is not empty, or has the part of another export),
   * invalid_argument (a damaged file, another form, or the first part is not there yet).
   */
  importPart(name: string, partId: string, file: string, options?: CallOptions): Promise<boolean>;
}

/** A time-series store with the power to be moved. */
export interface MovableHistoryStore {
  readonly movableHistory: MovableHistory;
}

/** What moves the store's history. @throws PortError failed_precondition where its adapter has not that power: nothing is left behind unsaid. */
export function movableHistoryOf(store: object): MovableHistory {
  if ('movableHistory' in store) return (store as MovableHistoryStore).movableHistory;
  throw new PortError(
    'failed_precondition',
    `the adapter ${store.constructor.name} of the port timeSeriesStore cannot be moved: docs/moving-a-site.md says which can`,
  );
}
