import { isPortError, type CallOptions, type PortErrorCode } from '#core/errors.ts';
import { checkObjectKey } from '#core/domain/object-key.ts';
import type { ObjectInfo, ObjectStore } from '#core/ports/object-store.ts';
import { cloudCall } from './cloud-call.ts';

/** The calls of a cloud's object store that the port needs: each one attempt, with whole keys, throwing what the SDK throws. */
export interface BucketCalls {
  put(key: string, bytes: Uint8Array, ifAbsent: boolean, signal: AbortSignal): Promise<void>;
  get(key: string, signal: AbortSignal): Promise<Uint8Array>;
  /** Up to 1,000 keys a call, in order, strictly after `after`. */
  list(query: BucketQuery, signal: AbortSignal): Promise<BucketPage>;
  /** May throw what means `not_found`. */
  delete(key: string, signal: AbortSignal): Promise<void>;
  close(): void;
}

export interface BucketQuery {
  readonly prefix: string;
  readonly after: string | undefined;
  readonly limit: number;
}

export interface BucketPage {
  readonly objects: readonly ObjectInfo[];
  readonly isLast: boolean;
}

export interface Bucket {
  /** For messages: `bucket akron`. */
  readonly name: string;
  /** Begin of all keys, where the bucket is not Tribo's alone. */
  readonly prefix: string;
  readonly timeoutMs: number;
  readonly calls: BucketCalls;
  /** What the SDK's errors mean; `already_exists` is that of a put with `ifAbsent`, `not_found` that of a key alone. */
  readonly codeOf: (error: unknown) => PortErrorCode;
}

/** No cloud lists more at a time. */
const PAGE = 1000;

/** Objects in a bucket of a cloud, whichever it is. */
export class BucketObjectStore implements ObjectStore {
  readonly #bucket: Bucket;

  constructor(bucket: Bucket) {
    this.#bucket = bucket;
  }

  async put(
    key: string,
    bytes: Uint8Array,
    options: CallOptions & { readonly ifAbsent?: boolean } = {},
  ): Promise<{ readonly created: boolean }> {
    const { ifAbsent = false } = options;
    try {
      await this.#call('put', key, options, (calls, path, signal) => calls.put(path, bytes, ifAbsent, signal));
      return { created: true };
    } catch (error) {
      if (ifAbsent && isPortError(error) && error.code === 'already_exists') return { created: false };
      throw error;
    }
  }

  async get(key: string, options: CallOptions = {}): Promise<Uint8Array | undefined> {
    return ifThere(this.#call('get', key, options, (calls, path, signal) => calls.get(path, signal)));
  }

  async list(
    query: { readonly prefix: string; readonly after?: string; readonly limit: number },
    options: CallOptions = {},
  ): Promise<readonly ObjectInfo[]> {
    const { prefix: own, calls, codeOf } = this.#bucket;
    const found: ObjectInfo[] = [];
    let after = query.after === undefined ? undefined : own + query.after;
    while (found.length < query.limit) {
      const page = { prefix: own + query.prefix, after, limit: Math.min(PAGE, query.limit - found.length) };
      const { objects, isLast } = await cloudCall(this.#what('list', query.prefix, options), codeOf, (signal) =>
        calls.list(page, signal),
      );
      for (const object of objects) found.push({ ...object, key: object.key.slice(own.length) });
      after = objects.at(-1)?.key ?? after;
      if (isLast) break;
    }
    return found;
  }

  async delete(key: string, options: CallOptions = {}): Promise<void> {
    await ifThere(this.#call('delete', key, options, (calls, path, signal) => calls.delete(path, signal)));
  }

  /** Lets go of connections. Idempotent. */
  close(): void {
    this.#bucket.calls.close();
  }

  async #call<Result>(
    doing: string,
    key: string,
    options: CallOptions,
    call: (calls: BucketCalls, path: string, signal: AbortSignal) => Promise<Result>,
  ): Promise<Result> {
    checkObjectKey(key);
    const { calls, prefix, codeOf } = this.#bucket;
    return cloudCall(this.#what(doing, key, options), codeOf, (signal) => call(calls, prefix + key, signal));
  }

  #what(doing: string, key: string, { signal }: CallOptions) {
    const { name, timeoutMs } = this.#bucket;
    return { what: `${doing} ${key} of ${name}`, timeoutMs, signal };
  }
}

/** Absence is a value; everything else that went wrong stays an error. */
async function ifThere<Result>(call: Promise<Result>): Promise<Result | undefined> {
  try {
    return await call;
  } catch (error) {
    if (isPortError(error) && error.code === 'not_found') return undefined;
    throw error;
  }
}
