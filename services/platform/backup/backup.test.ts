import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { DATA_FORMAT } from '#services/shared/process/data-format.ts';
import { copyFileSynced, filesBelow } from './copy-files.ts';
import { checkBackup, stageRestore } from './stage-restore.ts';
import { takeBackup, type BackupPart, type BackupProgress } from './take-backup.ts';

const CONTENT: Readonly<Record<string, string>> = {
  'format.json': `{"format":${DATA_FORMAT},"createdBy":"1.0.0"}`,
  'registry.db': 'machines',
  'objects/a/b': 'x'.repeat(3_000_000),
  'secrets/key': '',
};

let folder: string;
let dataDir: string;
let backup: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tribo-backup-test-'));
  dataDir = join(folder, 'data');
  backup = join(folder, 'backup');
  for (const [path, content] of Object.entries(CONTENT)) {
    mkdirSync(dirname(join(dataDir, path)), { recursive: true });
    writeFileSync(join(dataDir, path), content);
  }
});
afterEach(() => rmSync(folder, { recursive: true }));

/** One store that is all files of the folder. */
const everything: BackupPart = {
  name: 'everything',
  paths: ['.'],
  copy: async (target, onBytes, signal) => {
    for await (const path of filesBelow(dataDir))
      await copyFileSynced(join(dataDir, path), join(target, path), onBytes, signal);
  },
};
const failing: BackupPart = {
  name: 'failing',
  paths: [],
  copy: async () => {
    throw new Error('the disk is full');
  },
};

interface Given {
  readonly parts?: readonly BackupPart[];
  readonly elsewhere?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: BackupProgress) => void;
}

function take({
  parts = [everything],
  elsewhere = {},
  signal = new AbortController().signal,
  onProgress = () => undefined,
}: Given = {}) {
  const now = () => new Date(1_795_000_000_000);
  return takeBackup(backup, { dataDir, parts, elsewhere, createdBy: '1.2.3', now, onProgress, signal });
}

const staging = { onProgress: () => undefined, signal: new AbortController().signal };
const manifest = () => join(backup, 'manifest.ndjson');
const contentOf = (root: string) =>
  Object.fromEntries(Object.keys(CONTENT).map((path) => [path, readFileSync(join(root, path), 'utf8')]));

describe('taking a backup', () => {
  it('copies what the parts give, tells how far it is, and is found whole', async () => {
    const progress: BackupProgress[] = [];
    const bytes = Object.values(CONTENT).reduce((sum, { length }) => sum + length, 0);
    expect(await take({ onProgress: (each) => progress.push(each) })).toEqual({
      folder: backup,
      dataFormat: DATA_FORMAT,
      files: 4,
      bytes,
      elsewhere: {},
    });
    expect(contentOf(join(backup, 'data'))).toEqual(CONTENT);
    expect(progress.at(-1)).toMatchObject({ doing: 'checksums', doneBytes: 2 * bytes, totalBytes: 2 * bytes });
    expect(await checkBackup(backup, staging)).toEqual({ files: 4, bytes, elsewhere: {} });
    expect(readdirSync(folder).sort()).toEqual(['backup', 'data']);
  });

  it('knows what the site had elsewhere, and is not in it', async () => {
    const elsewhere = { objectStore: 's3-object-store' };
    expect(await take({ elsewhere })).toMatchObject({ elsewhere });
    expect(await checkBackup(backup, staging)).toMatchObject({ elsewhere });
    expect(await stageRestore(backup, dataDir, staging)).toMatchObject({ elsewhere });
  });

  it.each<[string, Given]>([
    ['a store that fails', { parts: [everything, failing] }],
    ['an interruption', { signal: AbortSignal.abort(new Error('interrupted')) }],
  ])('leaves nothing behind after %s', async (_what, given) => {
    await expect(take(given)).rejects.toThrow();
    expect(readdirSync(folder)).toEqual(['data']);
  });

  it('removes what one that was killed left behind, and never takes that for a backup', async () => {
    mkdirSync(join(`${backup}.unfinished`, 'data'), { recursive: true });
    writeFileSync(join(`${backup}.unfinished`, 'data', 'stray'), '');
    await expect(checkBackup(`${backup}.unfinished`, staging)).rejects.toThrow('is not a whole backup');
    expect((await take()).files).toBe(4);
    expect(existsSync(`${backup}.unfinished`)).toBe(false);
  });

  it('does not touch a folder that holds something', async () => {
    mkdirSync(backup);
    writeFileSync(join(backup, 'mine'), '');
    await expect(take()).rejects.toThrow(`${backup} is there already and not an empty folder`);
    expect(readdirSync(backup)).toEqual(['mine']);
  });
});

describe('restoring a backup', () => {
  it('brings back every file, beside the data folder', async () => {
    await take();
    await stageRestore(backup, dataDir, staging);
    expect(contentOf(`${dataDir}.restored`)).toEqual(CONTENT);
  });

  const withLine = (line: object) => () => {
    const [head, ...rest] = readFileSync(manifest(), 'utf8').split('\n');
    writeFileSync(manifest(), [head, JSON.stringify(line), ...rest].join('\n'));
  };
  const file = { bytes: 0, sha256: '0'.repeat(64) };
  it.each<[string, () => void, string]>([
    ['a manifest without its last line', () => cutLines(1), 'its manifest.ndjson is damaged'],
    ['a manifest that lacks a file line', () => cutLine(2), 'its manifest.ndjson is damaged'],
    [
      'a manifest cut within a line',
      () => writeFileSync(manifest(), readFileSync(manifest()).subarray(0, -9)),
      'damaged',
    ],
    ['an empty manifest', () => writeFileSync(manifest(), ''), 'its manifest.ndjson is damaged'],
    ['a file name that leads outside', withLine({ path: '../../outside', ...file }), 'its manifest.ndjson is damaged'],
    ['an absolute file name', withLine({ path: '/etc/passwd', ...file }), 'its manifest.ndjson is damaged'],
    [
      'a newer data format',
      () => replaceInManifest(`"dataFormat":${DATA_FORMAT}`, '"dataFormat":999'),
      'has data format 999',
    ],
    [
      'a newer form of backup',
      () => replaceInManifest('"format":1', '"format":2'),
      'was taken by a newer Tribo (1.2.3)',
    ],
    ['a file that a link stands for', linkInsteadOfFile, 'data/registry.db is not a regular file'],
    [
      'a file of the same size with other content',
      () => writeFileSync(join(backup, 'data/registry.db'), 'Machines'),
      'by its content',
    ],
    ['a shorter file', () => writeFileSync(join(backup, 'data/registry.db'), 'mach'), 'by its size, 4 bytes'],
  ])('refuses one with %s, and leaves nothing behind', async (_what, damage, message) => {
    await take();
    damage();
    await expect(stageRestore(backup, dataDir, staging)).rejects.toThrow(message);
    await expect(checkBackup(backup, staging)).rejects.toThrow(message);
    expect(readdirSync(folder).sort()).toEqual(['backup', 'data']);
  });

  function cutLines(count: number): void {
    const lines = readFileSync(manifest(), 'utf8').trimEnd().split('\n');
    writeFileSync(manifest(), `${lines.slice(0, -count).join('\n')}\n`);
  }

  function cutLine(index: number): void {
    const lines = readFileSync(manifest(), 'utf8').split('\n');
    writeFileSync(manifest(), lines.toSpliced(index, 1).join('\n'));
  }

  function replaceInManifest(text: string, by: string): void {
    writeFileSync(manifest(), readFileSync(manifest(), 'utf8').replace(text, by));
  }

  function linkInsteadOfFile(): void {
    const path = join(backup, 'data/registry.db');
    rmSync(path);
    symlinkSync(join(dataDir, 'registry.db'), path);
  }
});
