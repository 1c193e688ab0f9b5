import { isPortError, type CallOptions } from '#core/errors.ts';
import { checkObjectKey } from '#core/domain/object-key.ts';
import type { ObjectInfo, ObjectStore } from '#core/ports/object-store.ts';
import { awsCall, type AwsCodes } from '../aws-errors.ts';
import { openS3, type S3Calls } from './client.ts';
import type { S3ObjectStoreConfig } from './config.ts';

/** S3 lists no more at a time. */
const PAGE = 1000;

const CODES: AwsCodes = {
  NoSuchKey: 'not_found',
  NoSuchBucket: 'failed_precondition',
  PreconditionFailed: 'already_exists',
  // Another conditional write of the key is under way: S3 says to try again.
  ConditionalRequestConflict: 'unavailable',
  BadDigest: 'data_loss',
  EntityTooLarge: 'invalid_argument',
};

/** Objects in a bucket of S3: whole once `put` resolves, with a checksum that S3 verifies; above `partBytes` they go up in parts. */
export class S3ObjectStore implements ObjectStore {
  readonly #config: S3ObjectStoreConfig;
  readonly #s3: S3Calls;

  constructor(config: S3ObjectStoreConfig, s3: S3Calls) {
    this.#config = config;
    this.#s3 = s3;
  }

  static async open(config: S3ObjectStoreConfig): Promise<S3ObjectStore> {
    return new S3ObjectStore(config, await openS3(config));
  }

  async put(
    key: string,
    bytes: Uint8Array,
    options: CallOptions & { readonly ifAbsent?: boolean } = {},
  ): Promise<{ readonly created: boolean }> {
    const { ifAbsent = false } = options;
    try {
      await this.#call('put', key, options, (path, signal) => this.#s3.put(path, bytes, ifAbsent, signal));
      return { created: true };
    } catch (error) {
      if (ifAbsent && isPortError(error) && error.code === 'already_exists') return { created: false };
      throw error;
    }
  }

  async get(key: string, options: CallOptions = {}): Promise<Uint8Array | undefined> {
    try {
      return await this.#call('get', key, options, (path, signal) => this.#s3.get(path, signal));
    } catch (error) {
      if (isPortError(error) && error.code === 'not_found') return undefined;
      throw error;
    }
  }

  async list(
    query: { readonly prefix: string; readonly after?: string; readonly limit: number },
    options: CallOptions = {},
  ): Promise<readonly ObjectInfo[]> {
    const { prefix: own } = this.#config;
    const found: ObjectInfo[] = [];
    let after = query.after === undefined ? undefined : own + query.after;
    while (found.length < query.limit) {
      const page = { prefix: own + query.prefix, after, limit: Math.min(PAGE, query.limit - found.length) };
      const { objects, isLast } = await awsCall(this.#what('list', query.prefix, options), (signal) =>
        this.#s3.list(page, signal),
      );
      for (const object of objects) found.push({ ...object, key: object.key.slice(own.length) });
      after = objects.at(-1)?.key;
      if (isLast || after === undefined) break;
    }
    return found;
  }

  async delete(key: string, options: CallOptions = {}): Promise<void> {
    await this.#call('delete', key, options, (path, signal) => this.#s3.delete(path, signal));
  }

  /** Lets go of connections. Idempotent. */
  close(): void {
    this.#s3.close();
  }

  async #call<Result>(
    doing: string,
    key: string,
    options: CallOptions,
    call: (path: string, signal: AbortSignal) => Promise<Result>,
  ): Promise<Result> {
    checkObjectKey(key);
    return awsCall(this.#what(doing, key, options), (signal) => call(this.#config.prefix + key, signal));
  }

  #what(doing: string, key: string, { signal }: CallOptions) {
    const { bucket, timeoutMs } = this.#config;
    return { what: `${doing} ${key} of bucket ${bucket}`, timeoutMs, signal, codes: CODES };
  }
}
