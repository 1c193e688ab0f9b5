import type { JWTPayload } from 'jose';
import type { JwksIdentityVerifierConfig } from './config.ts';

/**
 * What a token says of its kind: by the `typ` of its header (`at+jwt`, `logout+jwt`), or by claims that ID tokens alone have (OpenID Connect
 * Core, 3.1.3.6 and 3.3.2.11). Undefined where it does not say; then the audience tells it, and claims that the issuer's preset requires.
 */
export function kindOf({ at_hash, c_hash }: JWTPayload, { typ }: { readonly typ?: unknown }): string | undefined {
  const said = typeof typ === 'string' ? typ.toLowerCase().replace(/^application\//, '') : 'jwt';
  if (said !== 'jwt') return said;
  return at_hash !== undefined || c_hash !== undefined ? 'id' : undefined;
}

/** Which kinds are taken where tokens of one are wanted. */
export const TAKEN: Readonly<Record<JwksIdentityVerifierConfig['tokens'], ReadonlySet<string | undefined>>> = {
  access: new Set([undefined, 'at+jwt']),
  'at+jwt': new Set(['at+jwt']),
  id: new Set([undefined, 'id']),
};
