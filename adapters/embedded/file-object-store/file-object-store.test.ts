import { mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { objectStoreContract } from '#core/contracts/object-store.contract.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import { FileObjectStore } from './file-object-store.ts';
import { keysBelow } from './key-walk.ts';

async function makeHarness() {
  const directory = mkdtempSync(join(tmpdir(), 'tribo-objects-'));
  return {
    directory,
    store: new FileObjectStore({ directory }),
    prefix: 'tenant-a/waveforms/',
    [Symbol.asyncDispose]: async () => rmSync(directory, { recursive: true }),
  };
}

describeContract(objectStoreContract, 'files', makeHarness);

describe('objects as files', () => {
  it('leaves nothing behind in its incoming folder', async () => {
    await using harness = await makeHarness();
    await Promise.all(
      Array.from({ length: 20 }, (_, i) => harness.store.put(`a/${i % 3}`, new Uint8Array(100), { ifAbsent: true })),
    );
    expect(readdirSync(join(harness.directory, '.incoming'))).toEqual([]);
  });

  it('gets rid of what writers that were killed have left, and of nothing that is being written', async () => {
    await using harness = await makeHarness();
    const incoming = join(harness.directory, '.incoming');
    mkdirSync(incoming);
    const nowMs = Date.UTC(2026, 0, 15);
    for (const [name, ageMs] of [
      ['left', 3_600_001],
      ['being-written', 3_599_000],
    ] as const) {
      writeFileSync(join(incoming, name), name);
      utimesSync(join(incoming, name), (nowMs - ageMs) / 1000, (nowMs - ageMs) / 1000);
    }
    await FileObjectStore.open({ directory: harness.directory }, { nowMs: () => nowMs });
    expect(readdirSync(incoming)).toEqual(['being-written']);
  });

  it('lists as a plain sorted list of all keys would, whatever prefix, cursor and limit', async () => {
    await using harness = await makeHarness();
    const name = fc.constantFrom('a', 'a-b', 'a.b', 'a+', 'a0', 'b', 'B', '_', '=1');
    const key = fc.array(name, { minLength: 1, maxLength: 4 }).map((names) => names.join('/'));
    const keys = fc.sample(key, { numRuns: 150, seed: 7 });
    for (const each of keys) {
      // A name is a file or a folder: what cannot be put below a file is left out.
      await harness.store.put(each, new Uint8Array(1)).catch(() => undefined);
    }
    const all: string[] = [];
    for (const each of new Set(keys)) if (await harness.store.get(each)) all.push(each);
    all.sort((a, b) => (a < b ? -1 : 1));
    expect(all.length).toBeGreaterThan(40);
    const cut = fc.tuple(fc.oneof(fc.constantFrom(...all), key), fc.nat(8)).map(([text, end]) => text.slice(0, end));
    const query = fc.record({
      prefix: fc.oneof(fc.constant(''), cut),
      after: fc.oneof(fc.constantFrom(...all), key, cut, fc.constant('~')),
      limit: fc.integer({ min: 1, max: 12 }),
    });
    await fc.assert(
      fc.asyncProperty(query, async ({ prefix, after, limit }) => {
        const listed = await harness.store.list({ prefix, after, limit });
        const expected = all.filter((each) => each.startsWith(prefix) && each > after).slice(0, limit);
        expect(listed.map((info) => info.key)).toEqual(expected);
      }),
      { numRuns: 300 },
    );
  });

  it.each(['../', '/', './', 'a/../../'])(
    'finds nothing by the prefix %p, which is a path in disguise',
    async (prefix) => {
      await using harness = await makeHarness();
      await harness.store.put('a/b', new Uint8Array(1));
      expect(await harness.store.list({ prefix, limit: 10 })).toEqual([]);
    },
  );

  it('reads a folder only when its turn comes', async () => {
    await using harness = await makeHarness();
    for (const day of ['1', '2', '3']) await harness.store.put(`days/${day}/x`, new Uint8Array(1));
    const keys = keysBelow(harness.directory, { prefix: 'days/' });
    expect((await keys.next()).value).toBe('days/1/x');
    await harness.store.put('days/3/late', new Uint8Array(1));
    const rest: string[] = [];
    for await (const key of keys) rest.push(key);
    expect(rest).toEqual(['days/2/x', 'days/3/late', 'days/3/x']);
  });
});
