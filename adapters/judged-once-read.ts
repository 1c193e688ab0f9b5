import { z } from 'zod';

/**
 * For a rule over several settings (`refine`): it is judged as soon as those can be read, whatever else is missing or wrong, so that a site is told
 * everything at once. Without this zod judges the rules of an object only where nothing in it is wrong.
 */
export function judgedOnceRead(settings: z.ZodRawShape): {
  readonly when: (judged: { readonly value: unknown }) => boolean;
} {
  const schema = z.object(settings);
  return { when: ({ value }) => schema.safeParse(value).success };
}
