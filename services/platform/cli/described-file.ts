import { readFileSync } from 'node:fs';
import { LineCounter, parseDocument, type Document } from 'yaml';
import { CommandError } from './output.ts';

/** What a person wrote in YAML or JSON, with the lines it stands on. */
export interface DescribedFile {
  readonly path: string;
  readonly value: unknown;
  /** The line of what a JSON pointer names, or of the nearest thing around it that is there. */
  lineOf(pointer: string): number;
}

const MAX_ALIASES = 100;

/** @throws CommandError that names the line where the file cannot be read. */
export function readDescription(path: string): DescribedFile {
  const lines = new LineCounter();
  let document: Document;
  try {
    document = parseDocument(readFileSync(path, 'utf8'), { lineCounter: lines, prettyErrors: false });
  } catch (error) {
    throw new CommandError('data', `${path}: ${(error as Error).message}`, 'it must be a readable YAML or JSON file');
  }
  const [problem] = document.errors;
  if (problem) {
    const { line, col } = lines.linePos(problem.pos[0]);
    throw new CommandError('data', `${path}:${line}:${col}: ${problem.message}`, 'correct the YAML there');
  }
  return {
    path,
    value: document.toJS({ maxAliasCount: MAX_ALIASES }) as unknown,
    lineOf: (pointer) => lines.linePos(offsetOf(document, pointer)).line,
  };
}

/**
 * Sends what the file describes; where it is refused, says the line and field of each wrong part.
 * @throws CommandError of `send`.
 */
export async function sendDescription<Result>(file: DescribedFile, send: (value: unknown) => Promise<Result>) {
  try {
    return await send(file.value);
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    const wrong = error.problem?.errors.filter(({ pointer }) => /^(\/|$)/.test(pointer)) ?? [];
    if (wrong.length === 0) throw error;
    const where = wrong.map(
      ({ pointer, detail }) => `${file.path}:${file.lineOf(pointer)}: ${fieldOf(pointer)}${detail}`,
    );
    throw new CommandError(
      'data',
      where.join('\n'),
      'correct the file and try again; nothing of it was taken',
      error.problem,
    );
  }
}

/** `/machines/0/powerKw` is `machines[0].powerKw: `. */
function fieldOf(pointer: string): string {
  if (pointer === '') return '';
  const field = segmentsOf(pointer).map((part) => (typeof part === 'number' ? `[${part}]` : `.${part}`));
  return `${field.join('').replace(/^\./, '')}: `;
}

function offsetOf(document: Document, pointer: string): number {
  for (let segments = segmentsOf(pointer); segments.length > 0; segments = segments.slice(0, -1)) {
    const node: unknown = document.getIn(segments, true);
    if (hasRange(node)) return node.range[0];
  }
  return document.contents?.range?.[0] ?? 0;
}

function segmentsOf(pointer: string): readonly (string | number)[] {
  return pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .map((part) => (/^\d+$/.test(part) ? Number(part) : part));
}

function hasRange(node: unknown): node is { readonly range: readonly number[] & { readonly 0: number } } {
  return typeof node === 'object' && node !== null && 'range' in node && Array.isArray(node.range);
}
