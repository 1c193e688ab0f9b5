import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { synthesizeAll } from '../synthesize.ts';
import { synthesizeVariations } from '../testing/variations.ts';

/** Longer ones are of documents: the digest tells that they changed, and the assertions of the tests to what. */
const LONGEST_TEXT = 60;
const DIGEST_LENGTH = 10;
/** On every resource the same, and asserted apart. */
const LEFT_OUT = new Set(['//', 'tags', 'labels']);

interface StackJson {
  readonly resource?: BlocksByType;
  readonly data?: BlocksByType;
  readonly output?: Readonly<Record<string, Block>>;
  readonly variable?: Readonly<Record<string, Block>>;
}

type BlocksByType = Readonly<Record<string, Readonly<Record<string, Block>>>>;
type Block = Readonly<Record<string, unknown>>;

/** What an environment is at a cloud, a line a block: `<environment>.<cloud>` to its text. */
export function snapshots(): ReadonlyMap<string, string> {
  const out = mkdtempSync(join(tmpdir(), 'tribo-snapshots-'));
  try {
    const written = [...synthesizeAll(out).written, ...synthesizeVariations(out)];
    return new Map(
      written.map(({ environment, cloud, folder, stacks: names }) => {
        const stacks = names.map((name) => {
          const json = JSON.parse(readFileSync(join(folder, 'stacks', name, 'cdk.tf.json'), 'utf8')) as StackJson;
          return `# ${name}\n${linesOf(json).join('\n')}\n`;
        });
        return [`${environment}.${cloud}`, stacks.join('\n')];
      }),
    );
  } finally {
    rmSync(out, { recursive: true });
  }
}

/** A line a block: its type and place, a digest of all of it, and those of its values that say something by themselves. */
export function linesOf({ resource = {}, data = {}, output = {}, variable = {} }: StackJson): readonly string[] {
  const ofTypes = (types: BlocksByType, kind = ''): readonly string[] =>
    Object.entries(types).flatMap(([type, byName]) =>
      Object.entries(byName).map(([name, block]) => lineOf(`${kind}${type} ${pathOf(block) ?? name}`, block)),
    );
  return [
    ...Object.entries(variable).map(([name, block]) => lineOf(`variable ${name}`, block)),
    ...ofTypes(data, 'data '),
    ...ofTypes(resource),
    ...Object.entries(output).map(([name, block]) => lineOf(`output ${name}`, block)),
  ].sort();
}

function lineOf(name: string, block: Block): string {
  const own = Object.entries(block).filter(([attribute]) => !LEFT_OUT.has(attribute));
  const digest = createHash('sha256')
    .update(JSON.stringify(Object.fromEntries(own)))
    .digest('hex');
  const told = own.flatMap(([attribute, value]) => valuesOf(attribute, value));
  return [name, digest.slice(0, DIGEST_LENGTH), ...told].join(' ');
}

/** `encryption.enabled=true`; references say nothing without what they refer to. */
function valuesOf(name: string, value: unknown): readonly string[] {
  if (typeof value === 'number' || typeof value === 'boolean') return [`${name}=${value}`];
  if (typeof value === 'string')
    return value.length <= LONGEST_TEXT && !value.includes('${') ? [`${name}=${JSON.stringify(value)}`] : [];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([within, each]) => valuesOf(`${name}.${within}`, each));
}

function pathOf(block: Block): string | undefined {
  return (block['//'] as { readonly metadata?: { readonly path: string } } | undefined)?.metadata?.path;
}
