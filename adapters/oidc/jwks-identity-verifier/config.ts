import { z } from 'zod';
import { judgedOnceRead } from '#adapters/judged-once-read.ts';
import { isName } from '#core/domain/ids.ts';
import { isRole } from '#core/domain/role.ts';

/** A larger one is no token of an issuer that we would choose, and costs time to hash. Entra's, with 200 groups, have 12,000 characters. */
export const MAX_TOKEN_LENGTH = 12_288;

const claim = z.string().min(1).max(256);
const role = z.string().refine(isRole, { error: 'is no role of this platform' });
const one = z.string().min(1).max(1024);

/** An address that only its owner answers at: HTTPS, or this machine. */
export const issuerUrlSchema = z.string().max(1024).refine(isSafe, {
  error: 'must be an https address (http on loopback alone) without user, query and fragment',
});

/** The tenant of a token: a claim that has its name, or the one tenant that all who have a token of the issuer belong to. */
export const tenantSchema = z.union(
  [z.strictObject({ claim }), z.strictObject({ is: z.string().refine(isName, { error: 'is no name of a tenant' }) })],
  { error: 'must be { claim: <its name> } or { is: <a tenant> }' },
);

/** Which of the issuer's names, of groups or roles, is which role of the platform. */
export const roleNamesSchema = z.record(z.string(), role);

/** Where a token of an issuer says what the platform wants to know. */
export const claimsMappingSchema = z.strictObject({
  /** The claim that names whom the token is for, where the issuer has another than `aud`. */
  audience: claim.default('aud'),
  subject: claim.default('sub'),
  tenant: tenantSchema.default({ claim: 'tenant' }),
  roles: z
    .strictObject({
      /** A list of texts: roles or groups. */
      claim: claim.default('roles'),
      /** What the names of roles begin with; others are passed over. */
      prefix: z.string().max(64).default(''),
      /** Instead: which of the issuer's names is which role. */
      names: roleNamesSchema.optional(),
    })
    .prefault({}),
  /**
   * The begin of scopes that are roles, such as `tribo/` of `tribo/viewer`: counted for a client that speaks for itself alone, whose `sub` is
   * its `client_id` (RFC 9068, 2.2). A person's token has the scopes that an application asked for, which are no roles of that person.
   */
  clientScopes: z.string().min(1).max(256).optional(),
  /** Claims that must be exactly so: `token_use: access`. */
  required: z.record(claim, z.string()).default({}),
  /** Claims that must be there: what tells a token of one kind from those of another. */
  present: z.array(claim).default([]),
});

export type ClaimsMapping = z.infer<typeof claimsMappingSchema>;

/** What may be set for each issuer, whichever it is. */
export const verifierSettings = {
  clockToleranceMs: z.int().min(0).max(300_000).default(30_000),
  /** How long the issuer's keys are used before they are fetched again: a key that it withdraws works no longer than this and `trustMs`. */
  keysMaxAgeMs: z.int().min(1000).max(86_400_000).default(600_000),
  /** An unknown key id makes the keys be fetched again, but no sooner than this after the last time. */
  keysCooldownMs: z.int().min(0).default(30_000),
  /** After keys could not be fetched it is not tried again sooner than this, however many tokens come. */
  keysRetryMs: z.int().min(0).default(1000),
  fetchTimeoutMs: z.int().min(100).max(60_000).default(5000),
  /** How long a token's good signature is believed without checking it again; also how long a retired key goes on working. */
  trustMs: z.int().min(0).max(600_000).default(60_000),
  maxCachedTokens: z.int().min(0).max(1_000_000).default(10_000),
};

/** The issuer that each site has of its own is of a name below this. */
export const OWN_ISSUERS = 'issuer.tribo.localhost';

/** What a site says of an issuer that people sign in at, whichever it is. */
export const signInSettings = {
  /** Names it in addresses, so also in the redirect URI that the issuer must know: `<public URL>/v1/sign-in/<id>/callback`. */
  id: z.string().regex(/^[a-z0-9][a-z0-9-]{0,31}$/, { error: 'must be 1 to 32 of a-z 0-9 -' }),
  /** For people: `Sign in with <name>`. */
  name: z.string().trim().min(1).max(64),
  /** The page's client at the issuer, which its ID tokens are for. */
  clientId: one,
  /** Under which name the secret store has the client's secret; absent for a public client, which has none. */
  clientSecretName: z
    .string()
    .refine((text) => isName(text) && !text.startsWith('.'), { error: 'is no name of a secret' })
    .optional(),
  scopes: z
    .array(z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]{1,256}$/, { error: 'is no scope' }))
    .max(20)
    .refine((scopes) => scopes.includes('openid'), { error: 'must have openid among them' })
    .default(['openid', 'profile']),
  /** How long a session lasts that is begun by it. */
  sessionMs: z
    .int()
    .min(60_000)
    .max(7 * 86_400_000)
    .default(12 * 3_600_000),
  /** Whether signing out at the page leads to where the issuer's own session ends, if it has such a place. */
  signOutAtIssuer: z.boolean().default(true),
};

/** Absent, both: as the issuer's discovery document says, at the issuer's own host. */
const endpointsShape = {
  authorizationEndpoint: issuerUrlSchema.optional(),
  tokenEndpoint: issuerUrlSchema.optional(),
};

/** How people sign in at an issuer by the authorization code flow; its ID tokens are read by the same claims as its other tokens. */
const signInSchema = z
  .strictObject({
    ...signInSettings,
    /** How the client shows its secret at the token endpoint. */
    clientAuthentication: z.enum(['basic', 'post']).default('basic'),
    ...endpointsShape,
    /** Where a session at the issuer ends. Absent: as its discovery document says, at the issuer's own host; else nowhere. */
    endSessionEndpoint: issuerUrlSchema.optional(),
    /** What that place calls the address to come back to. */
    signOutReturn: z.enum(['post_logout_redirect_uri', 'logout_uri']).default('post_logout_redirect_uri'),
    /** The `iss` of its ID tokens, where that is another than of its access tokens. */
    issuer: issuerUrlSchema.optional(),
    /** Claims that its ID tokens must have exactly so. Absent: those of `claims.required`. */
    required: z.record(claim, z.string()).optional(),
  })
  .refine(({ authorizationEndpoint: one, tokenEndpoint: other }) => (one === undefined) === (other === undefined), {
    error: 'must have both authorizationEndpoint and tokenEndpoint, or neither',
    ...judgedOnceRead(endpointsShape),
  });

export type SignInConfig = z.infer<typeof signInSchema>;

/** How the tokens of one issuer are checked: the embedded issuer, Cognito, Entra ID and Identity Platform differ in these values alone. */
export const jwksIdentityVerifierConfigSchema = z.strictObject({
  /** Exactly the `iss` claim. */
  issuer: issuerUrlSchema,
  /** One of a token's `aud` must be this, or one of these. */
  audience: z.union([one.transform((text) => [text]), z.array(one).min(1).max(20)], {
    error: 'must be a text, or a list of them',
  }),
  /** Where the issuer publishes its keys. Absent: where its `/.well-known/openid-configuration` says, at the issuer's own host. */
  jwksUri: issuerUrlSchema.optional(),
  /** Signature algorithms that are accepted; symmetric ones and `none` never are. */
  algorithms: z
    .array(z.enum(['ES256', 'ES384', 'RS256', 'PS256', 'EdDSA']))
    .min(1)
    .default(['ES256', 'RS256']),
  /** Which tokens are meant: access tokens, those alone that say so in their header by `at+jwt` (RFC 9068), or ID tokens. */
  tokens: z.enum(['access', 'at+jwt', 'id']).default('access'),
  claims: claimsMappingSchema.prefault({}),
  /** Absent: nobody signs in by it at the page. */
  signIn: signInSchema.optional(),
  ...verifierSettings,
});

export type JwksIdentityVerifierConfig = z.infer<typeof jwksIdentityVerifierConfigSchema>;
/** Before defaults. */
export type JwksIdentityVerifierSettings = z.input<typeof jwksIdentityVerifierConfigSchema>;

function isSafe(text: string): boolean {
  const url = URL.parse(text);
  if (!url || url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') return false;
  return (
    url.protocol === 'https:' || (url.protocol === 'http:' && /^(127\.0\.0\.1|\[::1\]|localhost)$/.test(url.hostname))
  );
}
