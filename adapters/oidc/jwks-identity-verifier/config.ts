import { z } from 'zod';

/** How the tokens of one issuer are checked: the embedded issuer, Cognito, Entra ID and Identity Platform differ in these values alone. */
export const jwksIdentityVerifierConfigSchema = z.object({
  /** Exactly the `iss` claim. */
  issuer: z.string().min(1),
  /** One of a token's `aud` must be this. */
  audience: z.string().min(1),
  /** Where the issuer publishes its keys. */
  jwksUri: z.url(),
  /** Signature algorithms that are accepted; symmetric ones and `none` never are. */
  algorithms: z
    .array(z.enum(['ES256', 'ES384', 'RS256', 'PS256', 'EdDSA']))
    .min(1)
    .default(['ES256', 'RS256']),
  tenantClaim: z.string().min(1).default('tenant'),
  rolesClaim: z.string().min(1).default('roles'),
  clockToleranceMs: z.int().min(0).max(300_000).default(30_000),
  /** How long the issuer's keys are used before they are fetched again. */
  keysMaxAgeMs: z.int().min(1000).default(600_000),
  /** An unknown key id makes the keys be fetched again, but no sooner than this after the last time. */
  keysCooldownMs: z.int().min(0).default(30_000),
  fetchTimeoutMs: z.int().min(100).default(5000),
  /** How long a token's good signature is believed without checking it again; also how long a retired key goes on working. */
  trustMs: z.int().min(0).max(600_000).default(60_000),
  maxCachedTokens: z.int().min(0).default(10_000),
});

export type JwksIdentityVerifierConfig = z.infer<typeof jwksIdentityVerifierConfigSchema>;
