import { ACKNOWLEDGED, type Exceptions } from './acknowledge.ts';

/** A stack as it was scanned: `akron.dev/aws/data`, and its JSON. */
export interface ScannedStack {
  readonly name: string;
  readonly json: StackBlocks;
}

/** What is judged of a stack: Terraform's own blocks apart. */
export interface StackBlocks {
  readonly resource?: BlocksByType;
  readonly data?: BlocksByType;
}

type BlocksByType = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

/** What checkov found at a block of a stack, by the block's own name. */
export interface Finding {
  readonly stack: string;
  readonly check: string;
  readonly says: string;
  readonly block: string;
}

/** What checkov did. */
export interface Scan {
  readonly findings: readonly Finding[];
  /** How often a check was asked of a stack, whatever it said. */
  readonly asked: ReadonlyMap<string, number>;
  /** Files that it could not read. */
  readonly unread: readonly string[];
}

interface Block {
  readonly stack: string;
  readonly type: string;
  readonly path: string;
  readonly exceptions: Exceptions;
}

/** What is wrong with the stacks by checkov's word, a line each; nothing where all is well. */
export function judge(stacks: readonly ScannedStack[], { findings, asked, unread }: Scan): readonly string[] {
  const blocks = new Map(stacks.map(({ name, json }) => [name, blocksOf(name, json)]));
  const used = new Set<string>();
  const unacknowledged = findings.flatMap(({ stack, check, says, block: name }) => {
    const block = blocks.get(stack)?.get(name);
    if (block && check in block.exceptions) {
      used.add(keyOf(block, check));
      return [];
    }
    const at = block ? `${block.type} ${block.path}` : name;
    return [`${stack}: ${at}: ${check}: ${says}; mend it, or acknowledge(...) it with the reason at the construct`];
  });
  const told = [...blocks.values()].flatMap((byName) => [...byName.values()]);
  const unused = told.flatMap((block) =>
    Object.keys(block.exceptions)
      .filter((check) => !used.has(keyOf(block, check)))
      .map(
        (check) => `${block.type} ${block.path}: ${check} is acknowledged and found nowhere: take the exception away`,
      ),
  );
  return [
    ...unread.map((file) => `${file}: checkov could not read it`),
    ...stacks.filter(({ name }) => !asked.get(name)).map(({ name }) => `${name}: checkov asked nothing of it`),
    ...unacknowledged,
    ...new Set(unused),
  ];
}

/** An exception holds at a construct in all environments of a cloud, of which some may not need it: one without zones, one without deletion. */
function keyOf({ type, path }: Block, check: string): string {
  return `${type} ${path} ${check}`;
}

/** Names are of one block in a stack, as CDKTF makes them of the construct's place. */
function blocksOf(stack: string, { resource = {}, data = {} }: StackBlocks): ReadonlyMap<string, Block> {
  const all = [resource, data].flatMap((types) =>
    Object.entries(types).flatMap(([type, byName]) =>
      Object.entries(byName).map(([name, is]) => {
        const said = (is as { readonly '//'?: Comment })['//'];
        const block = { stack, type, path: said?.metadata?.path ?? name, exceptions: said?.[ACKNOWLEDGED] ?? {} };
        return [name, block] as const;
      }),
    ),
  );
  return new Map(all);
}

interface Comment {
  readonly metadata?: { readonly path: string };
  readonly [ACKNOWLEDGED]?: Exceptions;
}
