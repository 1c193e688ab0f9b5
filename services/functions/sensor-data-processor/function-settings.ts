import { z } from 'zod';
import { isName, type SiteId, type TenantId } from '#core/domain/ids.ts';
import { PortError } from '#core/errors.ts';

const name = z.string().refine(isName, 'must be 1 to 64 of the characters A-Z a-z 0-9 _ . -');

/** Where devices are whose messages name their machines only: settings of the function at any cloud. */
export const placeShape = {
  TRIBO_TENANT: name.transform((text) => text as TenantId),
  TRIBO_SITE: name.transform((text) => text as SiteId),
};

/** The settings in the function's environment. @throws PortError failed_precondition that names each which is wrong. */
export function settingsOf<Schema extends z.ZodType>(
  schema: Schema,
  env: Readonly<Record<string, string | undefined>>,
): z.infer<Schema> {
  const { data, error } = schema.safeParse(env);
  if (!error) return data;
  const problems = error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
  throw new PortError('failed_precondition', `the function's environment: ${problems.join('; ')}`, { cause: error });
}
