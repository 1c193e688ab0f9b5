import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const project = join(import.meta.dirname, '../..');

/** Of the page, the blocks of commands between that heading, of the second or third level, and the next one. */
export function blocksUnder(page: string, heading: string): readonly string[] {
  const [, ...sections] = readFileSync(join(project, page), 'utf8').split(/^#{2,3} /m);
  const found = sections.filter((text) => text.startsWith(`${heading}\n`));
  const blocks = found.flatMap((text) => [...text.matchAll(/^```sh\n(.*?)^```/gms)].map(([, commands]) => commands!));
  if (found.length !== 1 || blocks.length === 0) throw new Error(`${page} has not one ${heading} with commands`);
  return blocks;
}

/** Of the pages, the one block of commands with that in it. */
export function commandsOf(page: string, marker: string): string {
  const blocks = [...readFileSync(join(project, page), 'utf8').matchAll(/^```sh\n(.*?)^```/gms)].map(
    ([, text]) => text!,
  );
  const [found, ...more] = blocks.filter((text) => text.includes(marker));
  if (found === undefined || more.length > 0) throw new Error(`${page} has not one block with ${marker}`);
  return found;
}
