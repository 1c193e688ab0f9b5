import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { synthesizeAll } from '../synthesize.ts';
import { synthesizeVariations } from '../testing/variations.ts';

/** A stack that is written, to be validated. */
interface WrittenStack {
  /** `gent.prod-kubernetes: services`. */
  readonly name: string;
  readonly folder: string;
  /** The providers whose part of it was left out. */
  readonly without: readonly string[];
}

type Blocks = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

/** What of a stack is a provider's. */
export interface StackParts {
  readonly terraform: { readonly required_providers: Readonly<Record<string, unknown>> };
  readonly provider: Readonly<Record<string, unknown>>;
  readonly resource: Blocks;
  readonly data?: Blocks;
}

/** Writes every environment at AWS but one, and every variation (testing/variations.ts): of each stack what is asked of AWS. */
export function writeOthers(out: string, but: string): readonly WrittenStack[] {
  const all = [...synthesizeAll(out, ['aws']).written, ...synthesizeVariations(out, ['aws'])];
  const written = all.filter(({ environment }) => environment !== but);
  return written.flatMap(({ environment, folder: of, stacks }) =>
    stacks.map((stack) => {
      const folder = join(of, 'stacks', stack);
      const file = join(folder, 'cdk.tf.json');
      const json = JSON.parse(readFileSync(file, 'utf8')) as StackParts;
      const without = Object.keys(json.terraform.required_providers).filter((provider) => provider !== 'aws');
      if (without.length > 0) writeFileSync(file, JSON.stringify(withoutProviders(json, without)));
      return { name: `${environment}: ${stack}`, folder, without };
    }),
  );
}

/** A stack without what it asks of these providers, which are not at hand everywhere, nor what waits for that. */
export function withoutProviders(stack: StackParts, providers: readonly string[]): StackParts {
  const isTheirs = (address: string): boolean => providers.some((provider) => address.startsWith(`${provider}_`));
  const rest = <T>(of: Readonly<Record<string, T>>): Readonly<Record<string, T>> =>
    Object.fromEntries(Object.entries(of).filter(([name]) => !isTheirs(name) && !providers.includes(name)));
  const waits = (of: unknown): unknown => {
    const { depends_on: before = [], ...others } = of as { readonly depends_on?: readonly string[] };
    const left = before.filter((address) => !isTheirs(address.replace(/^data\./, '')));
    return left.length > 0 ? { ...others, depends_on: left } : others;
  };
  const blocks = (of: Blocks): Blocks =>
    Object.fromEntries(
      Object.entries(rest(of)).map(([type, all]) => [
        type,
        Object.fromEntries(Object.entries(all).map(([name, each]) => [name, waits(each)])),
      ]),
    );
  return {
    ...stack,
    terraform: { ...stack.terraform, required_providers: rest(stack.terraform.required_providers) },
    provider: rest(stack.provider),
    resource: blocks(stack.resource),
    ...(stack.data && { data: blocks(stack.data) }),
  };
}
