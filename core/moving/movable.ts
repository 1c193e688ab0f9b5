import { PortError, type CallOptions } from '../errors.ts';

/**
 * What a port keeps, as it is taken along when a site moves to another provider. Rows are the keeper's own, in a form that every adapter of the
 * port shares; nobody else reads them. To be used while no service of the site runs.
 */
export interface Movable {
  /** Names the form of the rows, with its version: rows are taken only where it is the same, which is so within one release. */
  readonly form: string;
  /** How many rows there are; 0 where nothing was ever kept. */
  countRows(options?: CallOptions): Promise<number>;
  /** Rows in the order in which they are to be imported, strictly after the cursor; at most `limit`, 1 to 10,000. */
  exportRows(page: { readonly after?: string; readonly limit: number }, options?: CallOptions): Promise<MovedPage>;
  /** @throws PortError already_exists where something is kept that no part of this export brought: the site is not empty. */
  requireRoomFor(exportId: string, options?: CallOptions): Promise<void>;
  /**
   * Adds the rows of a part, all or none, together with the note that the part was imported: a part that was is left alone, and the answer is
   * false. Parts are given in the order in which they were exported. @throws PortError already_exists as {@link requireRoomFor} does,
   * invalid_argument (rows of another form).
   */
  importRows(part: MovedPart, rows: readonly MovedRow[], options?: CallOptions): Promise<boolean>;
}

/** A port with the power to be moved. */
export interface MovablePort {
  readonly movable: Movable;
}

/** A part of an export, by names that it keeps for ever. */
export interface MovedPart {
  readonly exportId: string;
  readonly name: string;
}

/** Some rows, and where to go on; `next` is absent at the end. */
export interface MovedPage {
  readonly rows: readonly MovedRow[];
  readonly next?: string;
}

/** One row; JSON as it stands. */
export interface MovedRow {
  readonly table: string;
  readonly values: Readonly<Record<string, MovedValue>>;
}

/** Bytes are told by `base64`. */
export type MovedValue = string | number | null | { readonly base64: string };

/** What moves the port's content. @throws PortError failed_precondition where its adapter has not that power: nothing is left behind unsaid. */
export function movableOf(port: object, name: string): Movable {
  if ('movable' in port) return (port as MovablePort).movable;
  throw new PortError(
    'failed_precondition',
    `the adapter ${port.constructor.name} of the port ${name} cannot be moved: docs/moving-a-site.md says which can`,
  );
}
