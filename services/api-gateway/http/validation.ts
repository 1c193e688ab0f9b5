import type { z } from 'zod';
import { HttpProblem } from '../../shared/http/problem.ts';

const MAX_ERRORS = 20;

/** What the schema makes of the value. @throws HttpProblem invalid-request that points at every part that is wrong. */
export function validated<Output>(schema: z.ZodType<Output>, value: unknown, place: 'body' | 'query' | 'path'): Output {
  if (place === 'query') requireOnce(value as Readonly<Record<string, unknown>>);
  const parsed = schema.safeParse(value, { error: plainly });
  if (parsed.success) return parsed.data;
  const errors = parsed.error.issues.slice(0, MAX_ERRORS).flatMap((issue) => located(issue, place));
  const [first = { pointer: '', detail: 'it is not valid' }] = errors;
  throw new HttpProblem('invalid-request', {
    detail: first.detail,
    pointer: first.pointer,
    remedy: 'Correct the named parts; /openapi.json describes what is expected.',
    ...(errors.length > 1 && { errors }),
  });
}

/** In place of what zod says of a value that is absent, or of a text that is no number. */
function plainly({ code, input }: z.core.$ZodRawIssue): string | undefined {
  if (code !== 'invalid_type') return undefined;
  if (input === undefined) return 'is required';
  return Number.isNaN(input) ? 'must be a number' : undefined;
}

/** Nobody can tell which of two values is meant. */
function requireOnce(query: Readonly<Record<string, unknown>>): void {
  const [repeated] = Object.entries(query).find(([, value]) => Array.isArray(value)) ?? [];
  if (repeated === undefined) return;
  throw new HttpProblem('invalid-request', {
    detail: 'is given more than once',
    pointer: pointerTo([repeated], 'query'),
    remedy: 'Give each parameter once; where it is a list, with commas.',
  });
}

function located(issue: z.core.$ZodIssue, place: 'body' | 'query' | 'path'): { pointer: string; detail: string }[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      pointer: pointerTo([...issue.path, key], place),
      detail: `there is no such field`,
    }));
  }
  return [{ pointer: pointerTo(issue.path, place), detail: issue.message }];
}

function pointerTo(path: readonly PropertyKey[], place: 'body' | 'query' | 'path'): string {
  const parts = path.map((part) => String(part).slice(0, 100));
  if (place !== 'body') return `${place}:${parts.join('.')}`;
  return parts.map((part) => `/${part.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}
