import { isName } from '#core/domain/ids.ts';
import { HttpProblem } from '../../shared/http/problem.ts';
import { isNestedDeeperThan, MAX_NESTING } from '../http/body.ts';
import type { Portion } from './telemetry-routes.ts';

const MAX_LINES = 10_000;
const MESSAGES_A_PORTION = 1000;
const NEWLINE = 0x0a;

interface Line {
  readonly number: number;
  readonly bytes: Buffer;
}

/**
 * Reads newline-delimited JSON: each line one message, for the machine that it names or else the query does. Lines of one machine that
 * follow each other are taken together. A line that is no JSON is handed on as it is for the machine of the query, where it ends as one
 * rejected item and its neighbours are kept.
 *
 * @throws HttpProblem invalid-request where a line is for no machine, before anything of the request is accepted.
 */
export function readNdjson(
  bytes: Buffer,
  standard: { readonly site?: string | undefined; readonly machine?: string | undefined },
): readonly Portion[] {
  const portions: Portion[] = [];
  let open: { readonly site: string; readonly machine: string; readonly lines: Line[] } | undefined;
  const close = () => {
    if (open) portions.push(portionOf(open.site, open.machine, open.lines));
    open = undefined;
  };
  for (const line of linesOf(bytes)) {
    const message = parseLine(line.bytes);
    const { site = standard.site, machine = standard.machine } = message ?? {};
    if (!isName(site) || !isName(machine)) throw nowhere(line.number, isName(site) ? 'machine' : 'site');
    if (!message) {
      close();
      const { number } = line;
      portions.push({ site, machine, payload: line.bytes, locate: (pointer) => `/${number}${pointer}` });
      continue;
    }
    if (open?.site !== site || open.machine !== machine || open.lines.length === MESSAGES_A_PORTION) close();
    open ??= { site, machine, lines: [] };
    open.lines.push(line);
  }
  close();
  if (portions.length === 0) {
    throw new HttpProblem('invalid-request', {
      detail: 'There are no messages.',
      pointer: '',
      remedy: 'Send at least one line, each a message as JSON.',
    });
  }
  return portions;
}

function* linesOf(bytes: Buffer): Generator<Line> {
  let number = 0;
  for (let from = 0; from < bytes.length; number++) {
    if (number >= MAX_LINES) {
      throw new HttpProblem('body-too-large', {
        detail: `There are more than ${MAX_LINES} lines.`,
        remedy: 'Split them into several requests.',
      });
    }
    const end = bytes.indexOf(NEWLINE, from);
    const line = bytes.subarray(from, end < 0 ? bytes.length : end);
    from = end < 0 ? bytes.length : end + 1;
    if (line.some((byte) => byte > 0x20)) yield { number, bytes: line };
  }
}

/** Undefined for a line that is no JSON object; its own machine is only read here, everything else is the intake's to judge. */
function parseLine(line: Buffer): { readonly site?: unknown; readonly machine?: unknown } | undefined {
  if (isNestedDeeperThan(MAX_NESTING, line)) return undefined;
  try {
    const value: unknown = JSON.parse(line.toString('utf8'));
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function portionOf(site: string, machine: string, lines: readonly Line[]): Portion {
  const payload = Buffer.concat([
    Buffer.from('['),
    ...lines.flatMap(({ bytes }, index) => (index === 0 ? [bytes] : [COMMA, bytes])),
    Buffer.from(']'),
  ]);
  const locate = (pointer: string) =>
    pointer.replace(/^\/(\d+)/, (_match, index: string) => `/${lines[Number(index)]?.number ?? index}`);
  return { site, machine, payload, locate };
}

const COMMA = Buffer.from(',');

function nowhere(line: number, missing: 'site' | 'machine'): HttpProblem {
  return new HttpProblem('invalid-request', {
    detail: `Line ${line} names no valid ${missing}, and neither does the query.`,
    pointer: `/${line}`,
    remedy: 'Put "site" and "machine" into each line, or into the query as ?site=&machine=.',
  });
}
