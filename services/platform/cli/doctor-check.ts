/** One thing that `tribo doctor` looked at. */
export interface Check {
  readonly name: string;
  /** False where something is wrong, or soon will be. */
  readonly ok: boolean;
  /** Set where it works, and yet somebody has to look at it: data that is refused for now, notifications that reached nobody. */
  readonly attention?: true;
  readonly detail: string;
  /** What to do where it is not ok. */
  readonly remedy?: string;
}

export function isWell({ ok, attention }: Check): boolean {
  return ok && !attention;
}

/** `ok`, `WARN` or `FAIL`, and what to do. */
export function checkText(check: Check): string {
  const { name, ok, attention, detail, remedy } = check;
  const mark = !ok ? 'FAIL' : attention ? 'WARN' : 'ok  ';
  return `${mark} ${name}: ${detail}${ok || remedy === undefined ? '' : `\n       ${remedy}`}`;
}
