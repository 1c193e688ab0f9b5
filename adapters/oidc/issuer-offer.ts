import type { z } from 'zod';
import { provide, type Offer } from '../provider-module.ts';
import {
  jwksIdentityVerifierConfigSchema,
  type JwksIdentityVerifierSettings,
} from './jwks-identity-verifier/config.ts';
import { JwksIdentityVerifier } from './jwks-identity-verifier/jwks-identity-verifier.ts';

/** Makes an offer of an issuer whose tokens a site takes besides those of its own; `tokens` says how they are checked. */
export function issuerOffer<Schema extends z.ZodType>(
  adapter: string,
  schema: Schema,
  tokens: (settings: z.output<Schema>) => JwksIdentityVerifierSettings,
): Offer {
  const offer = provide('identityVerifiers', adapter, schema, async (settings, { get }) => [
    new JwksIdentityVerifier(jwksIdentityVerifierConfigSchema.parse(tokens(settings)), { clock: await get('clock') }),
  ]);
  return {
    ...{ ...offer, isOneOfSeveral: true },
    aloneFor: (settings) => `the issuer ${tokens(settings as z.output<Schema>).issuer}`,
  };
}
