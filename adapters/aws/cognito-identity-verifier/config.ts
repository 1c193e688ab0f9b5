import { z } from 'zod';
import { judgedOnceRead } from '../../judged-once-read.ts';
import {
  issuerUrlSchema,
  signInSettings,
  tenantSchema,
  verifierSettings,
} from '../../oidc/jwks-identity-verifier/config.ts';

const client = z.string().regex(/^[\w+]{1,128}$/);

const poolShape = {
  region: z.string().regex(/^[a-z]{2}(-[a-z]+)+-\d$/),
  /** Such as `us-east-2_AbCdEf123`. */
  userPoolId: z.string().regex(/^[\w-]+_[0-9a-zA-Z]+$/),
};

/** Where tokens are those of an Amazon Cognito user pool. */
export const cognitoIdentityVerifierConfigSchema = z
  .strictObject({
    ...poolShape,
    /** The app clients whose tokens are taken. */
    clientIds: z.array(client).min(1).max(20),
    /** Access tokens have no custom attributes unless a trigger adds them: then name the claim, else the one tenant of the pool. */
    tenant: tenantSchema,
    /** What the names of groups that are roles begin with: `tribo-operator`. */
    groupPrefix: z.string().max(64).default('tribo-'),
    /** The begin of scopes that are roles for a client of its own (`client_credentials`): of a resource server, such as `tribo/`. */
    clientScopes: z.string().min(1).max(256).optional(),
    /** Where the keys are fetched from, of a server that speaks Cognito's protocol. Absent: Cognito itself. */
    jwksUri: issuerUrlSchema.optional(),
    /** How people sign in at the page; `clientId` may be another app client than those of `clientIds`. */
    signIn: z
      .strictObject({
        ...signInSettings,
        /** The address of the pool's domain: `https://plant.auth.us-east-2.amazoncognito.com`, or its own. */
        domain: issuerUrlSchema,
      })
      .optional(),
    ...verifierSettings,
  })
  .refine(({ region, userPoolId }) => userPoolId.startsWith(`${region}_`), {
    error: 'is of another region: a pool has that of its own in its name',
    path: ['userPoolId'],
    ...judgedOnceRead(poolShape),
  });

export type CognitoIdentityVerifierConfig = z.infer<typeof cognitoIdentityVerifierConfigSchema>;
