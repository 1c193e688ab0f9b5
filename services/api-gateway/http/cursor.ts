import { HttpProblem } from '../../shared/http/problem.ts';

/** Where a page ended, as text that clients pass back unread. */
export function encodeCursor(list: string, position: readonly (string | number)[]): string {
  return Buffer.from(JSON.stringify([list, ...position])).toString('base64url');
}

/**
 * A page of a list, in the envelope that all lists have. `found` holds one item more than `limit` where there is more; `positionOf` says
 * where a page that ends with an item ended.
 */
export function pageOf<Item, View>(
  list: string,
  found: readonly Item[],
  limit: number,
  { view, positionOf }: { view: (item: Item) => View; positionOf: (item: Item) => readonly (string | number)[] },
): { readonly items: View[]; readonly nextCursor?: string } {
  const items = found.slice(0, limit);
  const last = found.length > limit ? items.at(-1) : undefined;
  return { items: items.map(view), ...(last && { nextCursor: encodeCursor(list, positionOf(last)) }) };
}

/** The position of a cursor of this very list, with as many parts as `parts` tells the types of. @throws HttpProblem invalid-cursor. */
export function decodeCursor<const Parts extends readonly ('string' | 'number')[]>(
  list: string,
  cursor: string,
  parts: Parts,
): { -readonly [Index in keyof Parts]: Parts[Index] extends 'string' ? string : number } {
  const position = parsed(cursor);
  const fits =
    position.length === parts.length + 1 &&
    position[0] === list &&
    parts.every((type, index) => typeof position[index + 1] === type);
  if (!fits) {
    throw new HttpProblem('invalid-cursor', {
      detail: 'The cursor was not made by this list.',
      pointer: 'query:cursor',
      remedy: 'Begin again without a cursor.',
    });
  }
  return position.slice(1) as never;
}

function parsed(cursor: string): readonly unknown[] {
  try {
    const value: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
    return Array.isArray(value) ? value : [];
  } catch {
    return [];
  }
}
