import type { CallOptions } from '../errors.ts';
import type { ObjectStore } from '../ports/object-store.ts';
import { RAW_KEY } from './raw-object.ts';

const PREFIX = 'raw/';
const PAGE = 1000;

/** Deletes the archive's objects of the days (UTC) that were over before that time; how many that were. @throws PortError */
export async function forgetRaw(
  objects: Pick<ObjectStore, 'list' | 'delete'>,
  beforeMs: number,
  options: CallOptions = {},
): Promise<number> {
  const firstKept = new Date(beforeMs).toISOString().slice(0, 10);
  let deleted = 0;
  for (let after: string | undefined = ''; after !== undefined;) {
    const page = await objects.list({ prefix: PREFIX, limit: PAGE, ...(after !== '' && { after }) }, options);
    after = page.length < PAGE ? undefined : page.at(-1)!.key;
    for (const { key } of page) {
      const [, tenant, site, day] = RAW_KEY.exec(key) ?? [];
      if (day === undefined) continue;
      if (day >= firstKept) {
        // The rest of the site is younger; no name sorts behind the tilde.
        after = `${PREFIX}${tenant}/${site}/~`;
        break;
      }
      await objects.delete(key, options);
      deleted++;
    }
  }
  return deleted;
}
