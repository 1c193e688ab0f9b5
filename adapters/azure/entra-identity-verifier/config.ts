import { z } from 'zod';
import { judgedOnceRead } from '../../judged-once-read.ts';
import {
  roleNamesSchema,
  signInSettings,
  tenantSchema,
  verifierSettings,
} from '../../oidc/jwks-identity-verifier/config.ts';

const applicationShape = {
  /** The application's client id for tokens of version 2, its application id URI for those of version 1. */
  audience: z.string().min(1).max(256),
  /** As `requestedAccessTokenVersion` in the application's manifest says. */
  version: z.union([z.literal(1), z.literal(2)]).default(2),
};

/** Where tokens are those of Microsoft Entra ID for an application that stands for this platform. */
export const entraIdentityVerifierConfigSchema = z
  .strictObject({
    /** The directory's ("tenant") id. Tokens of any other are refused, also where the application takes accounts of many. */
    directoryId: z.guid(),
    ...applicationShape,
    tenant: tenantSchema,
    /** The role of each group by its object id, where groups are what counts. Absent: app roles, named as the platform's. */
    groups: roleNamesSchema.optional(),
    /** How people sign in at the page: by an application of the directory, the same or another. */
    signIn: z.strictObject(signInSettings).optional(),
    ...verifierSettings,
  })
  .refine(({ version, audience }) => version === 1 || z.guid().safeParse(audience).success, {
    error: 'must be the client id of the application: tokens of version 2 name no other audience (its URI: version 1)',
    path: ['audience'],
    ...judgedOnceRead(applicationShape),
  });

export type EntraIdentityVerifierConfig = z.infer<typeof entraIdentityVerifierConfigSchema>;
