import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { MovableHistory } from '#core/moving/movable-history.ts';
import type { Movable, MovedPart, MovedRow } from '#core/moving/movable.ts';
import { MemoryObjectStore } from '#test/support/memory-object-store.ts';
import { siteChecksums } from '#test/support/site-parts.ts';
import { SiteWriter } from './site-folder.ts';
import { exportKinds, historyKind, importKinds, objectsKind, rowsKind } from './site-kinds.ts';

const HEAD = {
  ...{ id: 'move-1', createdBy: 'tribo 1', beganAt: '2026-11-21T06:00:00.000Z' },
  ...{ tenant: 'north', site: 'akron', state: 'items 70' },
};
const MANY = 5_001;

/** A port in memory that fails to import after so many parts. */
class Rows implements Movable {
  readonly rows: MovedRow[] = [];
  readonly parts: MovedPart[] = [];
  form = 'rows/1';
  failsAfterParts = Infinity;

  constructor(count = 0) {
    for (let at = 0; at < count; at++) this.rows.push({ table: 'row', values: { at } });
  }

  async countRows(): Promise<number> {
    return this.rows.length;
  }

  async requireRoomFor(exportId: string): Promise<void> {
    if (this.rows.length > 0 && this.parts.every((part) => part.exportId !== exportId)) throw new Error('is not empty');
  }

  async exportRows({ after = '0', limit }: { readonly after?: string; readonly limit: number }) {
    const end = Number(after) + limit;
    return { rows: this.rows.slice(Number(after), end), ...(end < this.rows.length && { next: String(end) }) };
  }

  async importRows(part: MovedPart, rows: readonly MovedRow[]): Promise<boolean> {
    if (this.parts.some(({ name }) => name === part.name)) return false;
    if (this.parts.length >= this.failsAfterParts) throw new Error('power cut');
    this.parts.push(part);
    this.rows.push(...rows);
    return true;
  }
}

async function siteOf(count: number, objects: readonly string[]) {
  const store = new MemoryObjectStore();
  for (const key of objects) await store.put(key, Buffer.from(`bytes of ${key}`));
  const rows = new Rows(count);
  return { rows, store, kinds: [rowsKind('rows', rows), objectsKind(store)] };
}
type Site = Awaited<ReturnType<typeof siteOf>>;

const KEYS = ['models/north/a', 'waveforms/north/b', 'waveforms/north/c'];

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tribo-moving-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

async function exportFrom({ kinds }: Pick<Site, 'kinds'>) {
  await using writer = await SiteWriter.begin(folder, HEAD);
  await exportKinds(writer, kinds);
  return await writer.finish(HEAD.beganAt);
}

async function expectSame(site: Site, other: Site): Promise<void> {
  expect(other.rows.rows).toEqual(site.rows.rows);
  for (const key of KEYS) expect(await other.store.get(key)).toEqual(await site.store.get(key));
}

describe('what a site takes along', () => {
  it('is elsewhere what it was, and the same when it comes back', async () => {
    const site = await siteOf(MANY, KEYS);
    expect(await exportFrom(site)).toMatchObject({ parts: 5, rows: MANY + KEYS.length });
    const other = await siteOf(0, []);
    await importKinds(folder, other.kinds);
    await expectSame(site, other);
    const before = await siteChecksums(folder);
    rmSync(folder, { recursive: true });
    await exportFrom(other);
    expect(await siteChecksums(folder)).toEqual(before);
  });

  it('is exported on after an interruption', async () => {
    const site = await siteOf(MANY, KEYS);
    const get = site.store.get.bind(site.store);
    site.store.get = (key) => (key === KEYS[1] ? Promise.reject(new Error('reset')) : get(key));
    await expect(exportFrom(site)).rejects.toThrow('reset');
    site.store.get = get;
    await exportFrom(site);
    const other = await siteOf(0, []);
    await importKinds(folder, other.kinds);
    await expectSame(site, other);
  });

  it('is imported on after an interruption, each part once', async () => {
    const site = await siteOf(MANY, KEYS);
    await exportFrom(site);
    const other = await siteOf(0, []);
    other.rows.failsAfterParts = 1;
    await expect(importKinds(folder, other.kinds)).rejects.toThrow('power cut');
    other.rows.failsAfterParts = Infinity;
    await importKinds(folder, other.kinds);
    await importKinds(folder, other.kinds);
    await expectSame(site, other);
  });

  it('is measured before: parts, about how many bytes, and how long reading a first part says it takes', async () => {
    const site = await siteOf(MANY, KEYS);
    const sizes = await Promise.all(site.kinds.map((kind) => kind.measure({ folder })));
    expect(sizes.map(({ parts }) => parts)).toEqual([2, KEYS.length]);
    const { bytes } = await exportFrom(site);
    expect(sizes.reduce((sum, size) => sum + size.bytes, 0) / bytes).toBeCloseTo(1, 1);
    for (const { ms } of sizes) expect(ms).toBeGreaterThan(0);
  });

  it('is measured by samples beside where it goes, of which nothing stays, also where that place is still to be made', async () => {
    const samples: string[] = [];
    const history: MovableHistory = {
      form: 'history/1',
      parts: async () => ['readings-2026-01-01', 'readings-2026-01-02', 'machines'],
      exportPart: async (_part, file) => {
        samples.push(file);
        writeFileSync(file, Buffer.alloc(100));
        return 1;
      },
      importPart: async () => true,
    };
    for (const target of [join(folder, 'plant-1'), join(folder, 'backup', 'today', 'plant-1')])
      expect(await historyKind(history).measure({ folder: target })).toMatchObject({ parts: 3, bytes: 300 });
    expect(samples.map((file) => dirname(dirname(file)))).toEqual(Array(4).fill(folder));
    expect(readdirSync(folder)).toEqual([]);
  });

  it('is told part by part, out and in', async () => {
    const site = await siteOf(MANY, KEYS);
    const told: string[] = [];
    const onProgress = ({ kind, done, total }: { kind: string; done: number; total: number }) =>
      told.push(`${kind} ${done}/${total}`);
    await using writer = await SiteWriter.begin(folder, HEAD);
    await exportKinds(writer, site.kinds, { onProgress });
    await writer.finish(HEAD.beganAt);
    await importKinds(folder, (await siteOf(0, [])).kinds, { onProgress });
    const once = ['rows 1/2', 'rows 2/2', 'objects 1/3', 'objects 2/3', 'objects 3/3'];
    expect(told).toEqual([...once, ...once]);
  });

  it('is not exported on where rows have changed since', async () => {
    const site = await siteOf(MANY, KEYS);
    await exportFrom(site);
    site.rows.rows[0] = { table: 'row', values: { at: -1 } };
    await expect(exportFrom(site)).rejects.toThrow('has changed since');
  });

  it('is imported into a site that is empty, or nothing of it is', async () => {
    await exportFrom(await siteOf(1, KEYS));
    const other = await siteOf(0, []);
    const full = new Rows(1);
    await expect(importKinds(folder, [...other.kinds, rowsKind('more', full)])).rejects.toThrow('is not empty');
    expect(other.rows.rows).toEqual([]);
  });

  it('is not imported among objects that are none of it, and not in the place of others', async () => {
    await exportFrom(await siteOf(1, KEYS));
    const other = await siteOf(0, []);
    await other.store.put('raw/north/somebodys', Buffer.from('theirs'));
    await expect(importKinds(folder, other.kinds)).rejects.toThrow('raw/north/somebodys, which is none of this export');
    expect(other.rows.rows).toEqual([]);
    await other.store.delete('raw/north/somebodys');
    await other.store.put(KEYS[1]!, Buffer.from('theirs'));
    await expect(importKinds(folder, other.kinds)).rejects.toMatchObject({
      code: 'already_exists',
      message: expect.stringContaining(`another ${KEYS[1]}`),
    });
    expect(await other.store.get(KEYS[1]!)).toEqual(Buffer.from('theirs'));
  });

  it('says when it begins, which it does in an empty site alone', async () => {
    await exportFrom(await siteOf(1, KEYS));
    let begun = 0;
    const onBegin = () => begun++;
    await expect(
      importKinds(folder, [rowsKind('rows', new Rows(1)), objectsKind(new MemoryObjectStore())], { onBegin }),
    ).rejects.toThrow('is not empty');
    expect(begun).toBe(0);
    await importKinds(folder, (await siteOf(0, [])).kinds, { onBegin });
    expect(begun).toBe(1);
  });

  it('is refused where it has another form, or no place', async () => {
    await exportFrom(await siteOf(1, KEYS));
    const later = await siteOf(0, []);
    later.rows.form = 'rows/2';
    await expect(importKinds(folder, later.kinds)).rejects.toThrow('has the form rows/1, this site rows/2');
    const { kinds } = await siteOf(0, []);
    await expect(importKinds(folder, kinds.slice(0, 1))).rejects.toThrow(
      'has objects, for which this site has no place',
    );
  });
});
