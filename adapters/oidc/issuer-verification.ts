import type { JWK } from 'jose';
import { z } from 'zod';
import { deployedChecks, Unchecked, type Verification } from '#core/contracts/verification.ts';
import { messageOf, PortError } from '#core/errors.ts';
import type { JwksIdentityVerifierConfig } from './jwks-identity-verifier/config.ts';
import { discoverKeys, discoveryOf, fetchDocument } from './jwks-identity-verifier/issuer-keys.ts';

/** HTTP says the time in whole seconds. */
const SECOND_MS = 1_000;

const keysSchema = z.object({ keys: z.array(z.record(z.string(), z.unknown())) });

/**
 * Looks at an issuer as the platform does: where its keys are, whether one of them signs in a way that is accepted, and whether its clock is
 * that of this machine. The contract itself signs tokens, which only the issuer can.
 */
export async function verifyIssuer(settings: JwksIdentityVerifierConfig): Promise<Verification> {
  const { issuer, jwksUri, algorithms, audience, clockToleranceMs } = settings;
  const discovery = discoveryOf(issuer);
  const placeOfKeys = async () => jwksUri ?? (await discoverKeys(discovery, issuer, optionsOf(settings)));
  const checks = [
    ...(jwksUri === undefined
      ? [
          {
            name: `${discovery} says where the keys are`,
            run: async () => {
              await looked(placeOfKeys);
            },
          },
        ]
      : []),
    {
      name: `a key is published for ${algorithms.join(' or ')}`,
      run: () => looked(async () => checkKeys(await fetchDocument(await placeOfKeys(), optionsOf(settings)), settings)),
    },
    {
      name: `the clocks differ by at most ${clockToleranceMs / SECOND_MS} s`,
      run: () =>
        looked(async () => {
          const askedAtMs = Date.now();
          const { date } = await fetchDocument(await placeOfKeys(), optionsOf(settings));
          checkClock(date, askedAtMs, settings);
        }),
    },
  ];
  return {
    makes: 'nothing',
    needs: `to reach ${new URL(jwksUri ?? issuer).host} from here, directly: a proxy or a redirect is not followed`,
    contracts: [
      deployedChecks('identity-verifier', checks, [
        {
          name: 'a token of a person is taken, with tenant and roles',
          why: 'the issuer alone signs one',
          byHand: `sign in for the audience ${audience.join(' or ')}, and ask the platform for its machines with the token: 401 says what is wrong with it`,
        },
      ]),
    ],
    sweep: async () => 0,
    close: async () => undefined,
  };
}

function optionsOf({ fetchTimeoutMs }: JwksIdentityVerifierConfig) {
  return {
    headers: new Headers({ accept: 'application/json' }),
    method: 'GET',
    redirect: 'manual',
    signal: AbortSignal.timeout(fetchTimeoutMs),
  } as const;
}

/** What is answered wrongly stays so; a network may be better the next time. */
async function looked<Result>(look: () => Promise<Result>): Promise<Result> {
  try {
    return await look();
  } catch (error) {
    if (error instanceof PortError || error instanceof Unchecked) throw error;
    // What `fetch` rejects with where nobody answers is a TypeError.
    const isOfNetwork = ['TypeError', 'TimeoutError'].includes((error as Error).name);
    throw new PortError(isOfNetwork ? 'unavailable' : 'failed_precondition', textOf(error), { cause: error });
  }
}

function textOf(error: unknown): string {
  const { cause } = error as { readonly cause?: unknown };
  return cause === undefined ? messageOf(error) : `${messageOf(error)}: ${messageOf(cause)}`;
}

function checkKeys({ text }: { readonly text: string }, { algorithms }: JwksIdentityVerifierConfig): void {
  const { keys } = keysSchema.parse(JSON.parse(text));
  if (keys.some((key) => algorithms.some((algorithm) => isFor(key, algorithm)))) return;
  const published = keys.map(({ kty, crv, alg, use }) => [kty, crv, alg, use].filter(Boolean).join(' '));
  throw new PortError(
    'failed_precondition',
    `none of its keys (${published.join(', ') || 'it publishes none'}) is for ${algorithms.join(' or ')}: set algorithms to what it signs by`,
  );
}

type Algorithm = JwksIdentityVerifierConfig['algorithms'][number];

/** RFC 7518, 3.1 and RFC 8037, 3.1. */
const SHAPES: Readonly<Record<Algorithm, { readonly kty: string; readonly crv?: string }>> = {
  ES256: { kty: 'EC', crv: 'P-256' },
  ES384: { kty: 'EC', crv: 'P-384' },
  RS256: { kty: 'RSA' },
  PS256: { kty: 'RSA' },
  EdDSA: { kty: 'OKP', crv: 'Ed25519' },
};

function isFor({ kty, crv, alg, use }: JWK, algorithm: Algorithm): boolean {
  const shape = SHAPES[algorithm];
  return (
    kty === shape.kty &&
    (shape.crv === undefined || crv === shape.crv) &&
    (alg === undefined || alg === algorithm) &&
    (use === undefined || use === 'sig')
  );
}

function checkClock(date: string | null, askedAtMs: number, { clockToleranceMs }: JwksIdentityVerifierConfig): void {
  const saidMs = Date.parse(date ?? '');
  if (Number.isNaN(saidMs))
    throw new Unchecked(
      'its answers do not say the time',
      'compare the time of an `iat` of a fresh token with that of this machine',
    );
  // It was said between the question and now.
  const behindMs = Math.max(askedAtMs - SECOND_MS - saidMs, saidMs - Date.now(), 0);
  if (behindMs > clockToleranceMs)
    throw new PortError(
      'failed_precondition',
      `its clock and this machine's differ by ${Math.round(behindMs / SECOND_MS)} s, more than the clockToleranceMs of ${clockToleranceMs}: tokens would be refused as not valid yet, or expired; keep this machine's clock by NTP`,
    );
}
