import { z } from 'zod';

/** Settings of the issuer that a site has of its own, wherever it lists its tokens. */
export const tokenIssuerShape = {
  /** The `aud` claim of the tokens. */
  audience: z.string().min(1).default('tribo'),
  /** A new signing key is made when the newest is older. */
  keyLifetimeMs: z
    .int()
    .positive()
    .default(90 * 86_400_000),
  /** A new key is published this long before it signs, so that verifiers know it by then. */
  publishLeadMs: z.int().min(0).default(3_600_000),
  /** The longest life of a token; a retired key is published for this long after its last signature. */
  maxTokenLifetimeMs: z
    .int()
    .positive()
    .default(366 * 86_400_000),
  /** How often it is read what was revoked, and which key is the newest, besides when a change is told, so that a notice that was lost is made up for. */
  revokedPollMs: z.int().min(100).max(600_000).default(5_000),
};

export type TokenIssuerSettings = {
  readonly [Name in keyof typeof tokenIssuerShape]: z.output<(typeof tokenIssuerShape)[Name]>;
};
