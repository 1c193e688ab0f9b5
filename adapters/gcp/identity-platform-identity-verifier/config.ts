import { z } from 'zod';
import { tenantSchema, verifierSettings } from '../../oidc/jwks-identity-verifier/config.ts';

/** Where tokens are ID tokens of Google's Identity Platform (or Firebase Authentication, which issues the same). */
export const identityPlatformIdentityVerifierConfigSchema = z.strictObject({
  projectId: z.string().regex(/^[a-z][a-z0-9-]{4,28}[a-z0-9]$/),
  /** A custom claim, or the one tenant of the project. */
  tenant: tenantSchema.default({ claim: 'tenant' }),
  ...verifierSettings,
});

export type IdentityPlatformIdentityVerifierConfig = z.infer<typeof identityPlatformIdentityVerifierConfigSchema>;
