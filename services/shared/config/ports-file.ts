import { readFileSync } from 'node:fs';
import { isNode, LineCounter, parseDocument, type Document } from 'yaml';
import { z } from 'zod';
import { messageOf } from '#core/errors.ts';
import { ConfigurationError } from './load.ts';

/** What the file has to know of an adapter that a site may choose for a port. */
export interface Offered {
  readonly port: string;
  readonly adapter: string;
  /** Whether the port may have several of them: then its section may be a list. */
  readonly isOneOfSeveral?: boolean;
  /** What it is for by its settings, each in words, where no two of the port may be for the same: `the issuer https://id.example`. */
  readonly aloneFor?: (settings: unknown) => readonly string[];
  /** By port the one adapter that it works with. */
  readonly needs?: Readonly<Partial<Record<string, string>>>;
  readonly schema: z.ZodType;
}

/** All that a site may choose of. */
export interface Choice<Offer extends Offered> {
  /** By the family that an adapter is of, which may have a section for what its adapters share. */
  readonly families: Readonly<Record<string, readonly Offer[]>>;
  /** By provider the adapter of each port that a site of it has unless it says otherwise. */
  readonly providers: Readonly<Record<string, Readonly<Partial<Record<string, string>>>>>;
}

/** An adapter that the site has chosen, with its settings as the adapter's schema gives them. */
export interface Chosen<Offer extends Offered> {
  readonly offer: Offer;
  readonly settings: unknown;
}

const EMBEDDED = 'embedded';
type Mapping = Readonly<Record<string, unknown>>;

/**
 * Reads which ports a site has from elsewhere than this machine: a YAML or JSON file with the provider, a section for what the adapters of a
 * family share, and a section a port: the adapter where it is not the provider's, and settings of that port alone.
 * @throws ConfigurationError that lists everything that is wrong or missing.
 */
export function loadPortsFile<Offer extends Offered>(path: string, choice: Choice<Offer>): readonly Chosen<Offer>[] {
  const file = new PortsFile(path);
  const { provider = EMBEDDED, ...sections } = file.sections;
  const defaults =
    typeof provider === 'string' && Object.hasOwn(choice.providers, provider) ? choice.providers[provider] : undefined;
  if (!defaults) file.say(['provider'], `must be one of ${list(choice.providers)}, got ${JSON.stringify(provider)}`);
  const known = new Set(Object.values(choice.families).flatMap((offers) => offers.map(({ port }) => port)));
  for (const name of Object.keys(sections))
    if (!known.has(name) && !Object.hasOwn(choice.families, name))
      file.say([name], `is no port with an adapter to choose; there are ${[...known].join(', ')}`);
  const picked = [...known].flatMap((port) => {
    if (!Object.hasOwn(sections, port) && defaults?.[port] === undefined) return [];
    const section = sections[port] ?? {};
    if (!Array.isArray(section) || !mayHaveSeveral(choice, port))
      return pick(file, choice, { port, at: [port], section }, defaults?.[port]) ?? [];
    return section.flatMap(
      (each: unknown, index) => pick(file, choice, { port, at: [port, String(index)], section: each }) ?? [],
    );
  });
  const isWhole = file.isRight;
  const chosen = picked.map((each) => ({ offer: each.offer, settings: settingsOf(file, each, picked) }));
  refuseSameNames(file, picked, chosen);
  refuseSamePurpose(file, picked, chosen);
  if (isWhole) refuseUnmetNeeds(file, picked);
  for (const family of Object.keys(choice.families))
    if (Object.hasOwn(sections, family)) refuseUnused(file, family, picked, isWhole);
  file.throwProblems();
  return chosen;
}

interface Picked<Offer extends Offered> {
  readonly offer: Offer;
  readonly family: string;
  /** Where its section is. */
  readonly at: readonly string[];
  /** Of the port's own section, without the adapter's name. */
  readonly own: Mapping;
}

/** Undefined where the port is embedded, or its section wrong. */
function pick<Offer extends Offered>(
  file: PortsFile,
  { families }: Choice<Offer>,
  { port, at, section }: { readonly port: string; readonly at: readonly string[]; readonly section: unknown },
  byProvider?: string,
): Picked<Offer> | undefined {
  const { adapter = byProvider, ...own } = isMapping(section) ? section : { adapter: section };
  if (adapter === EMBEDDED) {
    const further = Object.keys(own);
    if (further.length > 0) file.say([...at, further[0]!], `is no setting of what is ${EMBEDDED}`);
    return undefined;
  }
  const offers = Object.entries(families).flatMap(([family, ofFamily]) =>
    ofFamily.filter((offer) => offer.port === port).map((offer) => ({ offer, family })),
  );
  const named = offers.filter(({ offer }) => offer.adapter === adapter);
  const matching = named.length > 0 ? named : offers.filter(({ family }) => family === adapter);
  if (matching.length === 1) return { ...matching[0]!, at, own };
  const names = [EMBEDDED, ...offers.map(({ offer }) => offer.adapter)].join(', ');
  file.say([...at, 'adapter'], `must be one of ${names}, got ${JSON.stringify(adapter)}`);
  return undefined;
}

/** The adapter's settings: what its family shares, as far as the adapter knows it, and over that the port's own. */
function settingsOf<Offer extends Offered>(
  file: PortsFile,
  { offer, family, at: place, own }: Picked<Offer>,
  picked: readonly Picked<Offer>[],
): unknown {
  const { adapter, schema } = offer;
  const keys = keysOf(offer);
  const shared = Object.fromEntries(Object.entries(file.section(family)).filter(([key]) => keys.includes(key)));
  const settings = { ...shared, ...own };
  const parsed = schema.safeParse(settings);
  if (parsed.success) return parsed.data;
  const isShared = (key: string) =>
    Object.hasOwn(shared, key) ||
    picked.filter((each) => each.family === family && keysOf(each.offer).includes(key)).length > 1;
  for (const issue of parsed.error.issues) {
    const path = issue.path.map(String);
    const [key = ''] = path;
    const at = !Object.hasOwn(own, key) && isShared(key) ? [family, ...path] : [...place, ...path];
    if (issue.code === 'unrecognized_keys' && path.length === 0)
      for (const unknown of issue.keys)
        file.say([...place, unknown], `is no setting of ${adapter}, which has ${keys.join(', ')}`);
    else if (path.length > 0 && valueAt(settings, issue.path) === undefined && issue.code !== 'custom')
      file.say(at, `is missing: ${/expected (\w+)/.exec(issue.message)?.[1] ?? issue.message}`, adapter);
    else file.say(at, `is wrong: ${issue.message}`, adapter);
  }
  return undefined;
}

/** What a family's section says must be for one of the adapters that the site has of it; which those are is known where all were found. */
function refuseUnused(file: PortsFile, family: string, picked: readonly Picked<Offered>[], isWhole: boolean): void {
  if (!isMapping(file.sections[family])) {
    file.say([family], 'must be a mapping of the settings that its adapters share');
    return;
  }
  const ofFamily = picked.filter((each) => each.family === family);
  if (ofFamily.length === 0) {
    if (isWhole) file.say([family], 'is of no use: no port has an adapter of it');
    return;
  }
  const keys = [...new Set(ofFamily.flatMap(({ offer }) => keysOf(offer)))];
  for (const key of Object.keys(file.section(family)))
    if (!keys.includes(key))
      file.say([family, key], `is no setting of the chosen adapters of ${family}, which have ${keys.join(', ')}`);
}

function mayHaveSeveral({ families }: Choice<Offered>, port: string): boolean {
  return Object.values(families).some((offers) => offers.some((offer) => offer.port === port && offer.isOneOfSeveral));
}

/** Those of one port are told apart by their names. */
function refuseSameNames(
  file: PortsFile,
  picked: readonly Picked<Offered>[],
  chosen: readonly Chosen<Offered>[],
): void {
  const known = new Set<unknown>();
  for (const [index, { offer, settings }] of chosen.entries()) {
    if (!offer.isOneOfSeveral || !isMapping(settings)) continue;
    const { name } = settings;
    if (typeof name !== 'string') continue;
    if (known.has(name)) file.say([...picked[index]!.at, 'name'], `must be another for each, and ${name} is taken`);
    known.add(name);
  }
}

/** Whose settings are wrong is told of those alone. */
function refuseSamePurpose(
  file: PortsFile,
  picked: readonly Picked<Offered>[],
  chosen: readonly Chosen<Offered>[],
): void {
  const known = new Map<string, string>();
  for (const [index, { offer, settings }] of chosen.entries()) {
    if (settings === undefined || !offer.aloneFor) continue;
    const { at } = picked[index]!;
    for (const purpose of offer.aloneFor(settings)) {
      const first = known.get(`${offer.port} ${purpose}`);
      if (first !== undefined) file.say(at, `is for ${purpose}, as ${first} is: name it once`, offer.adapter);
      else known.set(`${offer.port} ${purpose}`, at.join('.'));
    }
  }
}

function refuseUnmetNeeds(file: PortsFile, picked: readonly Picked<Offered>[]): void {
  for (const { at, offer } of picked)
    for (const [port, needed] of Object.entries(offer.needs ?? {})) {
      const adapter = picked.find((each) => each.offer.port === port)?.offer.adapter ?? EMBEDDED;
      if (adapter === needed) continue;
      const remedy = `set ${port}.adapter to ${needed}, or choose another ${offer.port}`;
      file.say([...at, 'adapter'], `${offer.adapter} needs ${needed}, and ${port} is ${adapter}: ${remedy}`);
    }
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce((part, key) => (part as Readonly<Record<PropertyKey, unknown>> | null | undefined)?.[key], value);
}

function keysOf({ schema }: Offered): readonly string[] {
  return schema instanceof z.ZodObject ? Object.keys(schema.shape) : [];
}

/** The file's content, and all that is wrong with it, by section and line. */
class PortsFile {
  readonly sections: Mapping;
  readonly #path: string;
  readonly #document: Document.Parsed;
  readonly #lines = new LineCounter();
  /** By what is said the adapters that it is said of. */
  readonly #problems = new Map<string, string[]>();

  constructor(path: string) {
    this.#path = path;
    try {
      this.#document = parseDocument(readFileSync(path, 'utf8'), { merge: true, lineCounter: this.#lines });
      if (this.#document.errors[0]) throw this.#document.errors[0];
    } catch (error) {
      throw new ConfigurationError([`TRIBO_PORTS_FILE ${path} cannot be read: ${messageOf(error)}`]);
    }
    const content: unknown = this.#document.toJS();
    if (!isMapping(content))
      throw new ConfigurationError([`${path} must be a mapping from ports to the adapters that they have`]);
    this.sections = content;
  }

  /** A section's settings; none where it is absent or no mapping. */
  section(name: string): Mapping {
    const section = this.sections[name];
    return isMapping(section) ? section : {};
  }

  /** Notes a problem of what is at a place, and of which adapter. */
  say(at: readonly string[], problem: string, adapter?: string): void {
    const text = `${this.#path}:${this.#lineOf(at)}: ${at.join('.')} ${problem}`;
    const adapters = this.#problems.get(text) ?? [];
    this.#problems.set(text, adapter === undefined ? adapters : [...adapters, adapter]);
  }

  /** Whether nothing was found wrong so far. */
  get isRight(): boolean {
    return this.#problems.size === 0;
  }

  throwProblems(): void {
    const problems = [...this.#problems].map(([text, of]) => (of.length === 0 ? text : `${text} (${of.join(', ')})`));
    if (problems.length > 0) throw new ConfigurationError(problems);
  }

  /** Of what is missing: that of the section that lacks it, else of the provider, which wants it. */
  #lineOf(at: readonly string[]): number {
    for (let depth = at.length; depth > 0; depth--) {
      const node = this.#document.getIn(at.slice(0, depth), true);
      if (isNode(node) && node.range) return this.#lines.linePos(node.range[0]).line;
    }
    return at[0] === 'provider' ? 1 : this.#lineOf(['provider']);
  }
}

function isMapping(value: unknown): value is Mapping {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function list(record: Readonly<Record<string, unknown>>): string {
  return Object.keys(record).join(', ');
}
