import type { Offer } from '../provider-module.ts';
import { issuerOffer } from './issuer-offer.ts';
import { jwksIdentityVerifierConfigSchema } from './jwks-identity-verifier/config.ts';

/** What a site may have of any OpenID provider. */
export const oidcOffers: readonly Offer[] = [
  issuerOffer('jwks-identity-verifier', jwksIdentityVerifierConfigSchema, (settings) => settings),
];
