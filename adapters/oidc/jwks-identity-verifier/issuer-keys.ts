import { createRemoteJWKSet, customFetch, type FetchImplementation } from 'jose';
import { z } from 'zod';
import type { Clock } from '#core/clock.ts';
import { messageOf } from '#core/errors.ts';
import { bodyOf } from './body-of.ts';
import type { JwksIdentityVerifierConfig } from './config.ts';

const discoverySchema = z.object({ issuer: z.string(), jwks_uri: z.string() });

type KeySource = Pick<
  JwksIdentityVerifierConfig,
  'issuer' | 'jwksUri' | 'keysCooldownMs' | 'keysMaxAgeMs' | 'keysRetryMs' | 'fetchTimeoutMs'
>;

/** The keys of an issuer as they are fetched. */
export interface IssuerKeys {
  readonly keyOf: ReturnType<typeof createRemoteJWKSet>;
  /** Why they cannot be fetched, and what that does; undefined while they can, or nobody asked for any. It has them tried again. */
  problem(): string | undefined;
}

/**
 * The keys that an issuer publishes, by the key id of a token. They are asked for at the address that is configured, or at the one that the
 * issuer's discovery document names if that is at the issuer's own host: nothing that a token says, and no redirect, chooses an address.
 */
export function issuerKeys(source: KeySource, clock: Clock): IssuerKeys {
  const { issuer, jwksUri, keysCooldownMs, keysMaxAgeMs, keysRetryMs, fetchTimeoutMs } = source;
  const discovery = discoveryOf(issuer);
  let failed: { readonly atMs: number; readonly error: unknown } | undefined;
  const fetchKeys: FetchImplementation = async (_url, options) => {
    // Each token with an unknown key would else be a request to an issuer that is in trouble already.
    if (failed && clock.monotonicMs() - failed.atMs < keysRetryMs) throw failed.error;
    try {
      const { text: keys } = await fetchDocument(jwksUri ?? (await discoverKeys(discovery, issuer, options)), options);
      failed = undefined;
      return new Response(keys);
    } catch (error) {
      failed = { atMs: clock.monotonicMs(), error };
      throw error;
    }
  };
  const keyOf = createRemoteJWKSet(new URL(jwksUri ?? discovery), {
    cooldownDuration: keysCooldownMs,
    cacheMaxAge: keysMaxAgeMs,
    timeoutDuration: fetchTimeoutMs,
    [customFetch]: fetchKeys,
  });
  return {
    keyOf,
    problem: () => {
      if (!failed) return undefined;
      // Else it would be told until the next token comes, however long the issuer is back.
      void keyOf.reload().catch(() => undefined);
      const effect = keyOf.fresh
        ? 'its tokens are judged by those fetched before'
        : `nobody is let in by a token of it: see that this machine reaches ${jwksUri ?? discovery}`;
      return `the keys of the issuer ${issuer} cannot be fetched (${whyOf(failed.error)}); ${effect}`;
    },
  };
}

/** What `fetch` says of a failure is in its cause. */
function whyOf(error: unknown): string {
  const { cause } = error as { readonly cause?: unknown };
  return messageOf(cause instanceof Error && cause.message !== '' ? cause : error);
}

/** Where an issuer says what it is. */
export function discoveryOf(issuer: string): string {
  return `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
}

type FetchOptions = Parameters<FetchImplementation>[1];

/** Where an issuer says that its keys are. @throws Error where the document is another issuer's, or sends us to another host. */
export async function discoverKeys(discovery: string, issuer: string, options: FetchOptions): Promise<string> {
  const document = discoverySchema.parse(JSON.parse((await fetchDocument(discovery, options)).text));
  if (document.issuer !== issuer)
    throw new Error(
      `${discovery} is of the issuer ${document.issuer}: set issuer to exactly that, or to its own address`,
    );
  if (URL.parse(document.jwks_uri)?.origin !== new URL(issuer).origin)
    throw new Error(`${discovery} names keys at another host, ${document.jwks_uri}: set jwksUri if they are meant`);
  return document.jwks_uri;
}

/** With what its answer says of the time. @throws Error where the answer is not the document itself: also a redirect, which is not followed. */
export async function fetchDocument(
  url: string,
  options: FetchOptions,
): Promise<{ readonly text: string; readonly date: string | null }> {
  const response = await fetch(url, options);
  if (response.status !== 200 || !response.body) {
    await response.body?.cancel();
    throw new Error(`${url} answered ${response.status}`);
  }
  return { text: (await bodyOf(response, url)).toString('utf8'), date: response.headers.get('date') };
}
