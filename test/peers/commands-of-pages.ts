import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const project = join(import.meta.dirname, '../..');

/** Of the pages, the one block of commands with that in it. */
export function commandsOf(page: string, marker: string): string {
  const blocks = [...readFileSync(join(project, page), 'utf8').matchAll(/^```sh\n(.*?)^```/gms)].map(
    ([, text]) => text!,
  );
  const [found, ...more] = blocks.filter((text) => text.includes(marker));
  if (found === undefined || more.length > 0) throw new Error(`${page} has not one block with ${marker}`);
  return found;
}
