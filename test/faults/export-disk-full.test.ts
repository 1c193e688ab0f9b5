import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from '@jest/globals';
import { readSite, SiteWriter } from '#services/platform/moving/site-folder.ts';
import { sitePartsOf } from '#test/support/site-parts.ts';
import { describeOnSmallDisk, SmallDisk } from '#test/support/small-disk.ts';

const HEAD = {
  ...{ id: 'move-1', createdBy: 'tribo 1', beganAt: '2026-11-21T06:00:00.000Z' },
  ...{ tenant: 'north', site: 'akron', state: 'items 70' },
};
/** Its line takes more of the disk than is left of the list's last page. */
const LONG_NAME = 'n'.repeat(200);
const PATH_NAMES = 12;

describeOnSmallDisk('the list of an export’s parts on a disk that is full', () => {
  it('has no torn line in it once there is room again, whether the same writer goes on or the next', async () => {
    await using disk = new SmallDisk(4);
    const folder = join(disk.folder, 'export');
    // Without bytes of its own a part needs no room but that of its line.
    const pathOf = (part: string) => `${part}/${Array.from({ length: PATH_NAMES }, () => LONG_NAME).join('/')}`;
    const made: string[] = [];
    const make = async (writer: SiteWriter, part: string) => {
      await writer.part({ path: pathOf(part), kind: 'objects' }, async (file) => {
        await writeFile(file, '');
        return 0;
      });
      made.push(part);
    };
    const makeUntilFull = async (writer: SiteWriter): Promise<string> => {
      for (let count = 0; count < 100; count++) {
        const part = `${randomBytes(4).toString('hex')}-${count}`;
        try {
          await make(writer, part);
        } catch (error) {
          expect(error).toMatchObject({ code: 'ENOSPC' });
          return part;
        }
      }
      throw new Error('the disk is not full');
    };

    {
      await using writer = await SiteWriter.begin(folder, HEAD);
      await make(writer, 'first');
      disk.fill();
      await makeUntilFull(writer);
      disk.free();
      await make(writer, 'same-writer');
      disk.fill();
      await makeUntilFull(writer);
      disk.free();
    }
    await using writer = await SiteWriter.begin(folder, HEAD);
    await make(writer, 'next-writer');
    await writer.finish('2026-11-21T07:00:00.000Z');
    expect((await sitePartsOf(folder)).map(({ path }) => path)).toEqual(made.map(pathOf));
    expect((await readSite(folder)).size.parts).toBe(made.length);
  });
});
