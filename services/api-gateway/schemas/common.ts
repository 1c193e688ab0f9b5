import { z } from 'zod';
import { isName } from '#core/domain/ids.ts';
import { parseRfc3339 } from '#core/ingestion/timestamp.ts';

/** A name that a topic, a path or an object key may carry (wire.md). */
export const nameSchema = z
  .string()
  .regex(/^[A-Za-z0-9_.-]{1,64}$/, { error: 'must be 1 to 64 of the characters A-Z a-z 0-9 _ . -', abort: true })
  .refine(isName, 'is reserved')
  .meta({ description: 'A name: 1 to 64 of A-Z a-z 0-9 _ . -', examples: ['press-7'] });

/** Milliseconds since 1970-01-01T00:00:00Z. Every instant in a response is one, and its field's name ends in `Ms`. */
export const instantMsSchema = z
  .number()
  .meta({ description: 'Milliseconds since 1970-01-01T00:00:00Z', examples: [1_795_222_800_000] });

/** An instant in a query: RFC 3339, a date for its begin in UTC, or epoch milliseconds. Parses to epoch milliseconds. */
export const instantQuerySchema = z
  .string()
  .max(40)
  .transform((text, context) => {
    const ms = /^-?\d{1,15}$/.test(text) ? Number(text) : parseRfc3339(isDate(text) ? `${text}T00:00:00Z` : text);
    if (ms !== undefined) return ms;
    context.addIssue({
      code: 'custom',
      message:
        'must be RFC 3339 with an offset, such as 2026-11-21T01:00:00Z (a + is %2B in a query), or epoch milliseconds',
    });
    return z.NEVER;
  })
  .meta({
    description: 'RFC 3339, a date for its begin in UTC, or milliseconds since 1970',
    examples: ['2026-11-21T01:00:00Z'],
  });

function isDate(text: string): boolean {
  return /^\d{4}-\d{2}-\d{2}$/.test(text);
}

export const siteQuerySchema = nameSchema.optional().meta({
  description: 'The site; needed only where the tenant has machines of the same name at several sites',
});

/** A list in a query, separated by commas. */
export function commaListSchema<Value extends string>(item: z.ZodType<Value, string>, maxItems: number) {
  return z
    .string()
    .max(1000)
    .transform((text) => text.split(',').filter((part) => part !== ''))
    .pipe(z.array(item).min(1).max(maxItems));
}

export const flagQuerySchema = z.enum(['true', 'false']).transform((text) => text === 'true');

/** `limit` and `cursor` of a paged list. */
export function pageQuerySchema(maxLimit: number, defaultLimit: number) {
  return {
    limit: z.coerce
      .number()
      .int()
      .min(1)
      .max(maxLimit)
      .default(defaultLimit)
      .meta({ description: `How many items at most, 1 to ${maxLimit}` }),
    cursor: z
      .string()
      .max(1024)
      .optional()
      .meta({ description: 'nextCursor of the page before; absent for the first page' }),
  };
}

/** A page of a list: `nextCursor` is absent on the last page. */
export function pageSchema<Item extends z.ZodType>(item: Item) {
  return z.object({
    items: z.array(item),
    nextCursor: z.string().optional().meta({ description: 'Pass it as `cursor` for the next page' }),
  });
}
