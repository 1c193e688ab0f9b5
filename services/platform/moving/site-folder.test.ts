import { hash } from 'node:crypto';
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { sitePartsOf } from '#test/support/site-parts.ts';
import { readSite, SiteWriter, verifyPart, type SiteHead } from './site-folder.ts';

const HEAD: SiteHead = {
  ...{ id: 'move-1', createdBy: 'tribo 1', beganAt: '2026-11-21T06:00:00.000Z' },
  ...{ tenant: 'north', site: 'akron', state: 'items 70' },
};
const ENDED = '2026-11-21T07:00:00.000Z';
const PATHS = ['machines/1.ndjson', 'history/2026-11-20.parquet', 'objects/waveforms/a'];

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tribo-site-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Exports the paths; a part of the name `failing` cannot be written. Says which parts were made. */
async function exportSite({ head = HEAD, failing }: { head?: SiteHead; failing?: string } = {}) {
  const made: string[] = [];
  await using writer = await SiteWriter.begin(folder, head);
  for (const [at, path] of PATHS.entries()) {
    const isNew = await writer.part({ path, kind: path.split('/')[0]! }, async (file) => {
      await writeFile(file, `rows of ${path}`);
      if (path === failing) throw new Error('power cut');
      return at;
    });
    if (isNew) made.push(path);
  }
  return { made, size: await writer.finish(ENDED) };
}

describe('the folder of a site that moves', () => {
  it('gives back its parts, in their order and with their checksums', async () => {
    const { made, size } = await exportSite();
    expect(made).toEqual(PATHS);
    const { parts: _parts, size: _size, ...head } = await readSite(folder);
    const parts = await sitePartsOf(folder);
    expect(head).toEqual(HEAD);
    expect(parts.map(({ path, kind, rows }) => [path, kind, rows])).toEqual([
      [PATHS[0], 'machines', 0],
      [PATHS[1], 'history', 1],
      [PATHS[2], 'objects', 2],
    ]);
    expect(size).toEqual({ parts: 3, rows: 3, bytes: parts.reduce((sum, { bytes }) => sum + bytes, 0) });
    expect(readFileSync(await verifyPart(folder, parts[2]!), 'utf8')).toBe(`rows of ${PATHS[2]}`);
  });

  it('goes on after an interruption with what is not there yet', async () => {
    await expect(exportSite({ failing: PATHS[1]! })).rejects.toThrow('power cut');
    await expect(readSite(folder)).rejects.toThrow('is not whole');
    expect((await exportSite()).made).toEqual(PATHS.slice(1));
    expect(readdirSync(join(folder, 'history'))).toEqual(['2026-11-20.parquet']);
    expect(await sitePartsOf(folder)).toHaveLength(3);
  });

  it('makes a part again whose line a power cut tore', async () => {
    await expect(exportSite({ failing: PATHS[2]! })).rejects.toThrow('power cut');
    appendFileSync(join(folder, 'parts.ndjson'), '{"path":"objects/wavef');
    expect((await exportSite()).made).toEqual(PATHS.slice(2));
    expect(await sitePartsOf(folder)).toHaveLength(3);
  });

  it('is made once: the same command again makes nothing and says the same', async () => {
    const first = await exportSite();
    expect(await exportSite({ head: { ...HEAD, id: 'move-2' } })).toEqual({ made: [], size: first.size });
    expect((await readSite(folder)).id).toBe('move-1');
  });

  it.each([
    ['the site has changed since', { state: 'items 71' }, 'has changed since'],
    ['it is of another site, although of the same sums', { site: 'boston' }, 'is the export of north/akron'],
    ['it is of another tenant, although of the same sums', { tenant: 'south' }, 'is the export of north/akron'],
  ])('is not gone on with where %s', async (_why, other, says) => {
    await expect(exportSite({ failing: PATHS[1]! })).rejects.toThrow('power cut');
    await expect(exportSite({ head: { ...HEAD, ...other } })).rejects.toThrow(says);
    await exportSite();
  });

  it('is not begun among other things, and is where only its head was cut off', async () => {
    writeFileSync(join(folder, 'letter.txt'), 'mine');
    await expect(exportSite()).rejects.toThrow(`${folder} holds something that is no export of a site`);
    expect(readdirSync(folder)).toEqual(['letter.txt']);
    renameSync(join(folder, 'letter.txt'), join(folder, 'site.json.unfinished'));
    expect((await exportSite()).made).toEqual(PATHS);
  });

  it.each([
    ['a part that was changed', () => writeFileSync(join(folder, PATHS[1]!), 'other rows'), 'is not what was exported'],
    ['a part that is gone', () => rmSync(join(folder, PATHS[1]!)), 'is not there'],
  ])('names %s, to an import and to an export that goes on', async (_what, damage, says) => {
    await exportSite();
    damage();
    const parts = await sitePartsOf(folder);
    await expect(verifyPart(folder, parts[1]!)).rejects.toThrow(says);
    await expect(exportSite()).rejects.toThrow(says);
  });

  it.each([
    ['lacks its end', () => rmSync(join(folder, 'complete.json')), 'is not whole'],
    ['has other parts', () => appendFileSync(join(folder, 'parts.ndjson'), part('a')), 'was changed'],
    ['names a file outside of it', () => rewrite(part('../a')), 'is damaged'],
    ['names a file twice removed from it', () => rewrite(part('a/../../b')), 'is damaged'],
    ['names a file of the root', () => rewrite(part('/etc/passwd')), 'is damaged'],
    ['is no export', () => writeFileSync(join(folder, 'site.json'), '{}'), 'holds no export'],
    ['is of a newer Tribo', () => writeFileSync(join(folder, 'site.json'), newer()), 'by a newer Tribo (tribo 1)'],
  ])('is refused where it %s', async (_what, damage, says) => {
    await exportSite();
    damage();
    await expect(sitePartsOf(folder)).rejects.toThrow(says);
  });
});

/** A list of parts that its checksum speaks for, as somebody would make it who means harm. */
function rewrite(lines: string): void {
  const end = join(folder, 'complete.json');
  const size = JSON.parse(readFileSync(end, 'utf8')) as object;
  writeFileSync(join(folder, 'parts.ndjson'), lines);
  writeFileSync(end, JSON.stringify({ ...size, sha256: hash('sha256', lines) }));
}

function part(path: string): string {
  return `${JSON.stringify({ path, kind: 'objects', rows: 0, bytes: 0, sha256: 'a'.repeat(64) })}\n`;
}

function newer(): string {
  return JSON.stringify({ tribo: 'site', ...HEAD, format: 2 });
}
