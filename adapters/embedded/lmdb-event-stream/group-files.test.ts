import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { GroupFiles } from './group-files.ts';

let folder: string;
let groups: GroupFiles;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tribo-groups-'));
  groups = new GroupFiles(join(folder, 'groups'));
});

afterEach(() => rmSync(folder, { recursive: true }));

describe('a group', () => {
  it('is unknown until it is declared, and then begins at the head', async () => {
    expect(groups.readCheckpoint('store')).toBeUndefined();
    await groups.declare('store', () => 17);
    expect(groups.readCheckpoint('store')).toBe(17);
  });

  it('begins where it was declared first, whoever declares it again', async () => {
    await groups.declare('store', () => 17);
    await new GroupFiles(join(folder, 'groups')).declare('store', () => 99);
    expect(groups.readCheckpoint('store')).toBe(17);
  });

  it('begins at one of the heads when several declare it at once', async () => {
    const others = Array.from({ length: 8 }, () => new GroupFiles(join(folder, 'groups')));
    await Promise.all(others.map((each, index) => each.declare('store', () => 10 + index)));
    const checkpoint = groups.readCheckpoint('store')!;
    expect(checkpoint).toBeGreaterThanOrEqual(10);
    expect(checkpoint).toBeLessThan(18);
  });

  it('goes on where its checkpoint was saved', async () => {
    await groups.declare('store', () => 17);
    await groups.saveCheckpoint('store', 40);
    await groups.saveCheckpoint('store', 41);
    expect(groups.readCheckpoint('store')).toBe(41);
    expect(readdirSync(join(folder, 'groups')).sort()).toEqual(['store.checkpoint', 'store.declared']);
  });

  it.each([
    ['is empty', ''],
    ['was cut off', '4'],
    ['holds zeros', '\0\0\0\0'],
    ['holds something else', 'NaN\n'],
  ])('begins where it was declared when its checkpoint %s', async (_name, content) => {
    await groups.declare('store', () => 17);
    writeFileSync(join(folder, 'groups', 'store.checkpoint'), content);
    expect(groups.readCheckpoint('store')).toBe(17);
  });

  it('gets all that is kept when its declaration was cut off', async () => {
    await groups.declare('store', () => 17);
    writeFileSync(join(folder, 'groups', 'store.declared'), '');
    expect(groups.readCheckpoint('store')).toBe(0);
    expect(groups.readLowestCheckpoint()).toBe(0);
  });

  it('does not mistake a group for the file of another', async () => {
    await groups.declare('store.checkpoint', () => 5);
    await groups.declare('store', () => 7);
    await groups.saveCheckpoint('store', 9);
    expect([groups.readCheckpoint('store'), groups.readCheckpoint('store.checkpoint')]).toEqual([9, 5]);
  });
});

describe('the lowest checkpoint', () => {
  it('is that of the group that is furthest behind, and none without groups', async () => {
    expect(groups.readLowestCheckpoint()).toBeUndefined();
    await groups.declare('store', () => 17);
    await groups.declare('compute', () => 20);
    await groups.saveCheckpoint('store', 30);
    expect(groups.readLowestCheckpoint()).toBe(20);
  });

  it('fails where the folder is none, so that nothing is let go of', async () => {
    writeFileSync(join(folder, 'groups'), '');
    expect(() => groups.readLowestCheckpoint()).toThrow(expect.objectContaining({ name: 'PortError' }));
    await expect(groups.declare('store', () => 1)).rejects.toMatchObject({ name: 'PortError' });
    expect(existsSync(join(folder, 'groups', 'store.declared'))).toBe(false);
  });
});
