import { readFileSync } from 'node:fs';
import { isMap, isNode, isScalar, isSeq, LineCounter, parseDocument, visit, type Document } from 'yaml';
import { z } from 'zod';
import { messageOf } from '#core/errors.ts';
import { ConfigurationError } from '../config/configuration-error.ts';
import { allowedBy, fieldAt, keysOf, type Field } from './json-schema.ts';

type Place = readonly (string | number)[];

const MAX_SHOWN = 80;
const MAX_ALIASES = 100;

/** What a person wrote in YAML, held to a schema: all that is wrong is told at once, a line each with file, line, value and what is allowed. */
export class CheckedFile {
  readonly path: string;
  readonly #document: Document.Parsed;
  readonly #lines = new LineCounter();
  readonly #problems: { readonly line: number; readonly text: string }[] = [];

  /** @throws ConfigurationError that names the line where the file is no YAML. */
  constructor(path: string) {
    this.path = path;
    let text: string;
    try {
      text = readFileSync(path, 'utf8');
    } catch (error) {
      throw new ConfigurationError([`${path} cannot be read: ${messageOf(error)}`]);
    }
    this.#document = parseDocument(text, { lineCounter: this.#lines, prettyErrors: false });
    const [problem] = this.#document.errors;
    if (problem) this.#refuse(problem.pos[0], problem.message);
    visit(this.#document, {
      Alias: (_key, alias, around) => {
        const target = alias.resolve(this.#document);
        const offset = alias.range?.[0] ?? 0;
        if (!target) this.#refuse(offset, `*${alias.source} is set nowhere before: write what it stands for`);
        if (around.includes(target))
          this.#refuse(offset, `*${alias.source} stands for itself: write what it stands for`);
      },
    });
  }

  /** The content as the schema gives it, with its defaults. @throws ConfigurationError of everything that the schema does not take. */
  as<Schema extends z.ZodType>(schema: Schema): z.output<Schema> {
    const value = this.#content();
    const parsed = schema.safeParse(value);
    if (parsed.success) return parsed.data;
    const root = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as Field;
    for (const issue of parsed.error.issues) this.#sayIssue(issue, root, value);
    return this.#fail();
  }

  #content(): unknown {
    try {
      return this.#document.toJS({ maxAliasCount: MAX_ALIASES });
    } catch (error) {
      throw new ConfigurationError([`${this.path}:1:1: ${messageOf(error)}`]);
    }
  }

  #refuse(offset: number, problem: string): never {
    const { line, col } = this.#lines.linePos(offset);
    throw new ConfigurationError([`${this.path}:${line}:${col}: ${problem}`]);
  }

  /** Notes what is wrong with a part; {@link throwProblems} throws it. */
  say(at: Place, problem: string): void {
    const line = this.lineOf(at);
    const where = at.length === 0 ? '' : `${nameOf(at)} `;
    this.#problems.push({ line, text: `${this.path}:${line}: ${where}${problem}` });
  }

  /** @throws ConfigurationError of what was said, in the order of the lines; nothing where all is right. */
  throwProblems(): void {
    if (this.#problems.length > 0) this.#fail();
  }

  /** Of the key or entry at a place, or of the nearest around it that is there. */
  lineOf(at: Place): number {
    let node: unknown = this.#document.contents;
    let offset = this.#document.contents?.range[0] ?? 0;
    for (const step of at) {
      if (isMap(node)) {
        const pair = node.items.find(({ key }) => isScalar(key) && key.value === step);
        if (!pair || !isNode(pair.key)) break;
        offset = pair.key.range?.[0] ?? offset;
        node = pair.value;
      } else if (isSeq(node)) {
        const item = node.items[Number(step)];
        if (!isNode(item)) break;
        offset = item.range?.[0] ?? offset;
        node = item;
      } else break;
    }
    return this.#lines.linePos(offset).line;
  }

  #fail(): never {
    throw new ConfigurationError(this.#problems.toSorted((a, b) => a.line - b.line).map(({ text }) => text));
  }

  #sayIssue(issue: z.core.$ZodIssue, root: Field, content: unknown): void {
    const at = issue.path.map((step) => (typeof step === 'number' ? step : String(step)));
    if (issue.code === 'unrecognized_keys') {
      const keys = keysOf(fieldAt(root, at)).join(', ');
      for (const key of issue.keys) this.say([...at, key], `is no key here; there are ${keys}`);
      return;
    }
    const value = valueAt(content, at);
    const allowed = issue.code === 'invalid_format' ? issue.message : allowedBy(fieldAt(root, at));
    if (issue.code === 'custom') this.say(at, issue.message);
    else if (value === undefined) this.say(at, `is missing: it must be ${allowed}`);
    else if (issue.code === 'invalid_type' && issue.expected === 'string' && typeof value !== 'object')
      this.say(at, `must be ${allowed}: put it in quotes, got ${shown(value)}`);
    else this.say(at, `must be ${allowed}, got ${shown(value)}`);
  }
}

function shown(value: unknown): string {
  const text = JSON.stringify(value);
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}...` : text;
}

function valueAt(content: unknown, at: Place): unknown {
  return at.reduce<unknown>(
    (value, step) =>
      typeof value === 'object' && value !== null
        ? (value as Readonly<Record<string | number, unknown>>)[step]
        : undefined,
    content,
  );
}

/** `regions[0].aws` */
export function nameOf(at: Place): string {
  return at
    .map((step) => (typeof step === 'number' ? `[${step}]` : `.${step}`))
    .join('')
    .replace(/^\./, '');
}
