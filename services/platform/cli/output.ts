import { messageOf } from '#core/errors.ts';
import type { Problem } from '#services/shared/http/problem-types.ts';

/** What commands end with, as sysexits has it where it has one. */
export const EXIT_CODES = {
  usage: 64,
  data: 65,
  'not-found': 66,
  failed: 70,
  conflict: 73,
  unreachable: 75,
  refused: 77,
  configuration: 78,
  // What a shell sees of a process that Ctrl-C ended.
  interrupted: 130,
} as const;

/** For `--help`, in the order of the codes. */
export const EXIT_CODES_HELP = `Exit codes:
  0 done   64 wrong use   65 wrong data, or a sum that is not exact   66 no such thing   70 failed
  73 it is there already, or was changed in the meantime   75 no answer or overloaded: try again
  77 not allowed   78 wrong configuration   130 interrupted`;

/** What the platform said of it, for a program to branch on. */
export interface AnsweredProblem {
  readonly type: Problem['type'];
  /** The parts of what was sent that are wrong, by JSON pointer or as `query:name`. */
  readonly errors: NonNullable<Problem['errors']>;
}

/** What a command ends with when it cannot do its work: said in one line, with the remedy in the next. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  readonly kind: keyof typeof EXIT_CODES;
  readonly remedy: string | undefined;
  readonly problem: AnsweredProblem | undefined;

  constructor(kind: keyof typeof EXIT_CODES, message: string, remedy?: string, problem?: AnsweredProblem) {
    super(message);
    this.kind = kind;
    this.remedy = remedy;
    this.problem = problem;
  }

  get exitCode(): number {
    return EXIT_CODES[this.kind];
  }
}

export interface Output {
  /** The result: as JSON with `--json`, else as the text that `render` makes of it. */
  result<Value>(value: Value, render: (value: Value) => string): void;
  readonly json: boolean;
}

export function output(json: boolean): Output {
  return {
    json,
    result: (value, render) => process.stdout.write(`${json ? JSON.stringify(value) : render(value)}\n`),
  };
}

/** Columns of text, as wide as their widest cell. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => (row[column] ?? '').length)),
  );
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd();
  return rows.length === 0 ? '(none)' : [line(header), ...rows.map(line)].join('\n');
}

/** `1 machine`, `2 machines`. */
export function counted(many: number, what: string): string {
  return `${many.toLocaleString('en')} ${what}${many === 1 ? '' : 's'}`;
}

/** In UTC, and says so. */
export function instant(ms: number | undefined): string {
  return ms === undefined ? '' : `${new Date(ms).toISOString().replace('T', ' ').slice(0, 19)}Z`;
}

/** Ends the command: prints the error to standard error (as JSON with `--json`) and sets the exit code. */
export function fail(error: unknown, json: boolean): void {
  const known = error instanceof CommandError ? error : undefined;
  const message = messageOf(error);
  if (json) {
    const { kind = 'failed', remedy, problem } = known ?? {};
    process.stderr.write(`${JSON.stringify({ error: message, kind, remedy, ...problem })}\n`);
  } else process.stderr.write(`tribo: ${message}\n${known?.remedy === undefined ? '' : `  ${known.remedy}\n`}`);
  process.exitCode = known?.exitCode ?? EXIT_CODES.failed;
}
