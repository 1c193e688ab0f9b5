import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { beginImport, DATA_FORMAT, endImport, requirePresentFormat } from '#services/shared/process/data-format.ts';
import { holderOf } from '#services/shared/process/folder-locks.ts';
import { processOf } from '#services/shared/process/process-mark.ts';
import { openDataFolder, type DataFormats } from './data-folder.ts';

let parent: string;
let folder: string;
beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), 'tribo-data-folder-'));
  folder = join(parent, 'data');
});
afterEach(() => rmSync(parent, { recursive: true }));

const formatFile = () => JSON.parse(readFileSync(join(folder, 'format.json'), 'utf8')) as unknown;

function folderOf(content: string): void {
  mkdirSync(folder);
  writeFileSync(join(folder, 'format.json'), content);
}

describe('a data folder', () => {
  it('is made for its owner alone and says its format', () => {
    openDataFolder(folder, '1.2.3')();
    expect(formatFile()).toEqual({ format: DATA_FORMAT, createdBy: '1.2.3' });
    expect(statSync(folder).mode & 0o777).toBe(0o700);
  });

  it('that a newer Tribo wrote is refused with both formats and the remedy, and left alone', () => {
    folderOf(`{"format":${DATA_FORMAT + 1},"createdBy":"9.0.0"}`);
    expect(() => openDataFolder(folder, '1.2.3')).toThrow(
      `${folder} has data format ${DATA_FORMAT + 1} and this Tribo reads ${DATA_FORMAT}: use the newer Tribo that wrote it`,
    );
    expect(formatFile()).toEqual({ format: DATA_FORMAT + 1, createdBy: '9.0.0' });
    expect(readdirSync(folder)).toEqual(['format.json']);
  });

  it.each(['', '{}', 'null', '{"format":0}', '{"format":1.5}', '{"format":"1"}'])(
    'whose format file holds %j is refused',
    (content) => {
      folderOf(content);
      expect(() => openDataFolder(folder, '1.2.3')).toThrow('does not name a format; restore the folder from a backup');
    },
  );

  it('that has a part of a site is opened to import the rest alone, until that is done', () => {
    openDataFolder(folder, '1.2.3', { toImport: true })();
    beginImport(folder, '/media/plant-1');
    const refusal = 'let the import go on (npx tribo site import /media/plant-1), or import into another folder';
    for (const start of [() => openDataFolder(folder, '1.2.3'), () => requirePresentFormat(folder)])
      expect(start).toThrow(refusal);
    expect(holderOf(folder)).toBeUndefined();
    openDataFolder(folder, '1.2.3', { toImport: true })();
    endImport(folder);
    requirePresentFormat(folder);
    openDataFolder(folder, '1.2.3')();
  });

  it('is taken by one process, and taken over from one that is gone', () => {
    const release = openDataFolder(folder, '1.2.3');
    expect(readFileSync(join(folder, 'platform.pid'), 'utf8')).toBe(
      `${process.pid} ${processOf(process.pid)?.startTicks}`,
    );
    release();
    writeFileSync(join(folder, 'platform.pid'), '999999999');
    openDataFolder(folder, '1.2.3')();
    expect(existsSync(join(folder, 'platform.pid'))).toBe(false);
  });

  it.each([
    ['that wrote the lock is refused, whatever it is called', 0, true],
    ['with the id of one that wrote the lock and has ended is taken over', -1, false],
  ])('that is held by a process %s', async (_what, ticks, isRefused) => {
    const other = spawn('sleep', ['60']);
    await once(other, 'spawn');
    try {
      const pid = other.pid ?? 0;
      mkdirSync(folder);
      writeFileSync(join(folder, 'platform.pid'), `${pid} ${(processOf(pid)?.startTicks ?? 0) + ticks}`);
      expect(holderOf(folder)).toBe(isRefused ? pid : undefined);
      const taking = expect(() => openDataFolder(folder, '1.2.3')());
      if (isRefused) taking.toThrow(`in use by another Tribo (process ${pid})`);
      else taking.not.toThrow();
    } finally {
      other.kill();
    }
  });

  it('whose restore was cut between moving the old away and the new in is finished', () => {
    mkdirSync(`${folder}.restored`);
    writeFileSync(join(`${folder}.restored`, 'format.json'), '{"format":1,"createdBy":"restored"}');
    openDataFolder(folder, '1.2.3')();
    expect(formatFile()).toEqual({ format: 1, createdBy: 'restored' });
  });
});

describe('migrating a data folder', () => {
  const appending = (step: number) => (at: string) =>
    writeFileSync(join(at, 'steps'), `${readSteps(at)}${step}>${step + 1} `);
  const readSteps = (at: string) => (existsSync(join(at, 'steps')) ? readFileSync(join(at, 'steps'), 'utf8') : '');
  const formats: DataFormats = { current: 4, migrations: { 1: appending(1), 2: appending(2), 3: appending(3) } };

  it.each([
    [1, '1>2 2>3 3>4 '],
    [3, '3>4 '],
    [4, ''],
  ])('from format %i goes step by step: %s', (from, steps) => {
    folderOf(`{"format":${from},"createdBy":"old"}`);
    const notices: string[] = [];
    openDataFolder(folder, 'new', { formats, notice: (text) => notices.push(text) })();
    expect(readSteps(folder)).toBe(steps);
    expect(formatFile()).toEqual({ format: 4, createdBy: from === 4 ? 'old' : 'new' });
    expect(notices).toEqual(
      from === 4 ? [] : [expect.stringMatching(`data format ${from} and is migrated to 4.*a backup taken before`)],
    );
  });

  it('that fails says why, keeps what was done, gives the folder back, and goes on from there', () => {
    folderOf('{"format":1,"createdBy":"old"}');
    const failing: DataFormats = {
      current: 4,
      migrations: {
        ...formats.migrations,
        2: () => {
          throw new Error('the disk is full');
        },
      },
    };
    const notice = () => undefined;
    expect(() => openDataFolder(folder, 'new', { formats: failing, notice })).toThrow('the disk is full');
    expect(formatFile()).toEqual({ format: 2, createdBy: 'new' });
    openDataFolder(folder, 'new', { formats, notice })();
    expect(readSteps(folder)).toBe('1>2 2>3 3>4 ');
  });
});
