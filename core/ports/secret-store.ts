import type { CallOptions } from '../errors.ts';

/** Named secrets. A secret's value is never logged. */
export interface SecretStore {
  /** The value, or undefined where there is none. */
  get(name: string, options?: CallOptions): Promise<string | undefined>;
  /** Creates or replaces it; durable when it resolves. */
  put(name: string, value: string, options?: CallOptions): Promise<void>;
  /** Deleting what is not there is no error. */
  delete(name: string, options?: CallOptions): Promise<void>;
}
