import type { CallOptions } from '../errors.ts';

/** Immutable blobs under keys of `/`-separated names. A reader sees a whole object or none. */
export interface ObjectStore {
  /** Resolves once the bytes are durable. `ifAbsent` leaves an existing object alone and says so; without it the object is replaced. @throws PortError resource_exhausted, unavailable, invalid_argument (key). */
  put(
    key: string,
    bytes: Uint8Array,
    options?: CallOptions & { readonly ifAbsent?: boolean },
  ): Promise<{ readonly created: boolean }>;
  /** The bytes, or undefined where there is no such object. */
  get(key: string, options?: CallOptions): Promise<Uint8Array | undefined>;
  /** Keys with the prefix in order, strictly after `after`; at most `limit`. */
  list(
    query: { readonly prefix: string; readonly after?: string; readonly limit: number },
    options?: CallOptions,
  ): Promise<readonly ObjectInfo[]>;
  /** Deleting what is not there is no error. */
  delete(key: string, options?: CallOptions): Promise<void>;
}

/** An object without its bytes; its time in milliseconds since 1970. */
export interface ObjectInfo {
  readonly key: string;
  readonly bytes: number;
  readonly modifiedAtMs: number;
}
