import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { isPortError } from '../errors.ts';
import type { ObjectStore } from '../ports/object-store.ts';
import type { Contract } from './contract.ts';

/** A store with nothing in it below the prefix. */
export interface ObjectStoreHarness {
  readonly store: ObjectStore;
  /** Begin of all keys of the case; ends in `/`. */
  readonly prefix: string;
}

/** Above a part of S3 twice. */
const LARGE_BYTES = 12 * 1_048_576;
/** Above a page of 1,000. */
const MANY_OBJECTS = 1203;

const bytes = (text: string) => new TextEncoder().encode(text);

export const objectStoreContract: Contract<ObjectStoreHarness> = {
  port: 'object-store',
  cases: [
    {
      name: 'arbitrary bytes come back as they were put',
      run: async ({ store, prefix }) => {
        const all = Uint8Array.from({ length: 70_000 }, (_, i) => (i * 31) % 256);
        await store.put(`${prefix}all`, all);
        await store.put(`${prefix}empty`, new Uint8Array());
        assert.deepEqual(new Uint8Array((await store.get(`${prefix}all`)) ?? []), all);
        assert.equal((await store.get(`${prefix}empty`))?.byteLength, 0);
      },
    },
    {
      name: 'absence is undefined, for an object and for a prefix of one',
      run: async ({ store, prefix }) => {
        await store.put(`${prefix}a/b`, bytes('x'));
        assert.equal(await store.get(`${prefix}nothing`), undefined);
        assert.equal(await store.get(`${prefix}a`), undefined);
        assert.equal(await store.get(`${prefix}a/b/c`), undefined);
      },
    },
    {
      name: 'a put replaces, and ifAbsent leaves what is there',
      run: async ({ store, prefix }) => {
        const key = `${prefix}key`;
        assert.deepEqual(await store.put(key, bytes('first'), { ifAbsent: true }), { created: true });
        assert.deepEqual(await store.put(key, bytes('second'), { ifAbsent: true }), { created: false });
        assert.deepEqual(await store.get(key).then(text), 'first');
        await store.put(key, bytes('third'));
        assert.deepEqual(await store.get(key).then(text), 'third');
      },
    },
    {
      name: 'of many writers with ifAbsent one creates the object',
      run: async ({ store, prefix }) => {
        const results = await Promise.all(
          Array.from({ length: 20 }, (_, i) => store.put(`${prefix}race`, bytes(String(i)), { ifAbsent: true })),
        );
        assert.equal(results.filter((result) => result.created).length, 1);
      },
    },
    {
      name: 'a reader never sees a part of an object',
      run: async ({ store, prefix }) => {
        const key = `${prefix}torn`;
        const versions = ['a', 'b', 'c', 'd'].map((letter) => bytes(letter.repeat(200_000)));
        await store.put(key, versions[0] ?? new Uint8Array());
        const writes = Promise.all(versions.map((version) => store.put(key, version)));
        for (let i = 0; i < 20; i++) {
          const seen = await store.get(key);
          assert.equal(seen?.byteLength, 200_000);
          assert.equal(new Set(seen).size, 1);
        }
        await writes;
      },
    },
    {
      name: 'lists keys below a prefix in order, page by page, with sizes',
      run: async ({ store, prefix }) => {
        const keys = Array.from({ length: 25 }, (_, i) => `${prefix}day/${String(i).padStart(2, '0')}`);
        await Promise.all(keys.map((key) => store.put(key, bytes(key))));
        await store.put(`${prefix}other`, bytes('x'));
        const listed: string[] = [];
        for (let after: string | undefined; ;) {
          const page = await store.list({
            prefix: `${prefix}day/`,
            limit: 10,
            ...(after === undefined ? {} : { after }),
          });
          for (const info of page) {
            listed.push(info.key);
            assert.equal(info.bytes, info.key.length);
          }
          after = page.at(-1)?.key;
          if (page.length < 10) break;
        }
        assert.deepEqual(listed, keys);
        assert.deepEqual(await store.list({ prefix: `${prefix}none`, limit: 10 }), []);
      },
    },
    {
      name: 'an object above what a service takes in one request is put whole or not at all, also with ifAbsent',
      run: async ({ store, prefix }) => {
        const key = `${prefix}large`;
        const large = Uint8Array.from({ length: LARGE_BYTES }, (_, at) => (at * 7919) % 251);
        assert.deepEqual(await store.put(key, large, { ifAbsent: true }), { created: true });
        assert.equal(Buffer.compare((await store.get(key)) ?? new Uint8Array(), large), 0);
        assert.deepEqual(await store.put(key, new Uint8Array(LARGE_BYTES), { ifAbsent: true }), { created: false });
        assert.equal(Buffer.compare((await store.get(key)) ?? new Uint8Array(), large), 0);
      },
    },
    {
      name: 'more objects than a service lists at a time are listed, from any place on',
      run: async ({ store, prefix }) => {
        const keys = Array.from({ length: MANY_OBJECTS }, (_, at) => `${prefix}${String(at).padStart(4, '0')}`);
        for (let from = 0; from < keys.length; from += 50)
          await Promise.all(keys.slice(from, from + 50).map((key) => store.put(key, new Uint8Array(1))));
        const listed = async (limit: number, after?: string): Promise<readonly string[]> =>
          (await store.list({ prefix, limit, ...(after !== undefined && { after }) })).map(({ key }) => key);
        assert.deepEqual(await listed(5000), keys);
        assert.deepEqual(await listed(1101, keys[100]), keys.slice(101, 1202));
        assert.deepEqual(await listed(20, keys[1110]), keys.slice(1111, 1131));
        // A place that no object has.
        assert.deepEqual(await listed(3, `${keys[100]!}x`), keys.slice(101, 104));
      },
    },
    {
      name: 'deleting is idempotent',
      run: async ({ store, prefix }) => {
        await store.put(`${prefix}gone`, bytes('x'));
        await store.delete(`${prefix}gone`);
        await store.delete(`${prefix}gone`);
        assert.equal(await store.get(`${prefix}gone`), undefined);
      },
    },
    {
      name: 'refuses keys that are paths in disguise',
      run: async ({ store, prefix }) => {
        for (const key of [
          `${prefix}../x`,
          `/${prefix}x`,
          `${prefix}a//b`,
          `${prefix}.`,
          `${prefix}a\\b`,
          `${prefix}a\0b`,
          '',
          `${prefix}${'x'.repeat(2000)}`,
        ]) {
          await assert.rejects(
            store.put(key, bytes('x')),
            (error) => isPortError(error) && error.code === 'invalid_argument',
            JSON.stringify(key),
          );
        }
      },
    },
    {
      name: 'an aborted call rejects with cancelled',
      run: async ({ store, prefix }) => {
        await assert.rejects(
          store.get(`${prefix}x`, { signal: AbortSignal.abort() }),
          (error) => isPortError(error) && error.code === 'cancelled',
        );
      },
    },
  ],
};

function text(found: Uint8Array | undefined): string {
  return new TextDecoder().decode(found);
}
