import type { CallOptions } from '../errors.ts';

/** Named secrets: 1 to 64 of `A-Z a-z 0-9 _ . -`, not beginning with a dot. A value is text of 1 to 4,096 bytes at least, and is never logged. */
export interface SecretStore {
  /** The value, or undefined where there is none. */
  get(name: string, options?: CallOptions): Promise<string | undefined>;
  /**
   * Creates or replaces it, one that was deleted too; durable when it resolves. Of several that put it at once one value stays.
   * @throws PortError invalid_argument (a name that is none, an empty value, one that is too large for the store).
   */
  put(name: string, value: string, options?: CallOptions): Promise<void>;
  /** Deleting what is not there is no error. */
  delete(name: string, options?: CallOptions): Promise<void>;
}
