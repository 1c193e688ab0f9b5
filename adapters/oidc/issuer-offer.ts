import type { z } from 'zod';
import type { IssuerVerifier } from '#core/ports/identity-verifier.ts';
import type { GetPort } from '#core/ports/tokens.ts';
import { provide, type Offer } from '../provider-module.ts';
import {
  jwksIdentityVerifierConfigSchema,
  type JwksIdentityVerifierConfig,
  type JwksIdentityVerifierSettings,
} from './jwks-identity-verifier/config.ts';
import { JwksIdentityVerifier } from './jwks-identity-verifier/jwks-identity-verifier.ts';
import { SignInIdentityVerifier } from './jwks-identity-verifier/sign-in-identity-verifier.ts';

/** Makes an offer of an issuer whose tokens a site takes besides those of its own; `tokens` says how they are checked. */
export function issuerOffer<Schema extends z.ZodType>(
  adapter: string,
  schema: Schema,
  tokens: (settings: z.output<Schema>) => JwksIdentityVerifierSettings,
): Offer {
  const settingsOf = (settings: z.output<Schema>) => jwksIdentityVerifierConfigSchema.parse(tokens(settings));
  const offer = provide(
    'identityVerifiers',
    adapter,
    schema,
    async (settings, { get }) => [await openVerifier(settingsOf(settings), get)],
    async (settings) => (await import('./issuer-verification.ts')).verifyIssuer(settingsOf(settings)),
  );
  return {
    ...{ ...offer, isOneOfSeveral: true },
    aloneFor: (settings) => {
      const { issuer, signIn } = tokens(settings as z.output<Schema>);
      return [`the issuer ${issuer}`, ...(signIn ? [`the signIn.id ${signIn.id}`] : [])];
    },
  };
}

async function openVerifier({ signIn, ...config }: JwksIdentityVerifierConfig, get: GetPort): Promise<IssuerVerifier> {
  const clock = await get('clock');
  if (!signIn) return new JwksIdentityVerifier(config, { clock });
  return new SignInIdentityVerifier({ ...config, signIn }, { clock, secrets: await get('secretStore') });
}
