import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Grant } from '#adapters/permissions.ts';

/** What an adapter's folder declares under its own name; undefined where it has no `permissions.ts`. */
export async function declaredBy(tree: string, adapter: string): Promise<readonly Grant[] | undefined> {
  const path = join(tree, 'adapters', adapter, 'permissions.ts');
  if (!existsSync(path)) return undefined;
  const declared = (await import(pathToFileURL(path).href)) as Readonly<Record<string, readonly Grant[]>>;
  const name = basename(adapter).replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
  const grants = declared[`${name}Permissions`];
  if (!grants) throw new Error(`${path} exports no ${name}Permissions`);
  return grants;
}

/** As its page says it, after "Permissions.". */
export function inWords(grants: readonly Grant[]): string {
  const texts = grants.map(({ actions, on, role, note, isForVerification }) => {
    const what = `${actions.map((action) => `\`${action}\``).join(', ')} on \`${on}\``;
    const by = role === undefined ? '' : ` (the role *${role}* has them)`;
    return `${isForVerification ? 'for `tribo verify` ' : ''}${what}${by}${note === undefined ? '' : `, ${note}`}`;
  });
  return `${texts.join('; ')}.`;
}
