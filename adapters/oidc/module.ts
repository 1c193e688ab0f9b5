import type { Offer } from '../provider-module.ts';
import { issuerOffer } from './issuer-offer.ts';
import { issuerUrlSchema, jwksIdentityVerifierConfigSchema, OWN_ISSUERS } from './jwks-identity-verifier/config.ts';

/** Of another site's own issuer nobody here would learn which tokens were revoked there. */
const siteSchema = jwksIdentityVerifierConfigSchema.extend({
  issuer: issuerUrlSchema.refine((issuer) => URL.parse(issuer)?.hostname.endsWith(`.${OWN_ISSUERS}`) !== true, {
    error: "is a Tribo site's own issuer, whose tokens that site takes without being told: leave it out",
  }),
});

/** What a site may have of any OpenID provider. */
export const oidcOffers: readonly Offer[] = [issuerOffer('jwks-identity-verifier', siteSchema, (settings) => settings)];
