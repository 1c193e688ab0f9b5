import { describe, expect, it } from '@jest/globals';
import { jwksIdentityVerifierConfigSchema } from '../adapters/oidc/jwks-identity-verifier/config.ts';
import { CLOUDS } from '../core/decision/cloud.ts';
import { otherIssuer } from './other-issuer.ts';
import { changed, shipped, synthesized, type Attributes } from './testing/synthesized.ts';

const ISSUER = { issuer: 'https://id.example.org', audience: 'tribo' };
const SIGN_IN = { id: 'plant', name: 'Plant', clientId: 'tribo-page', clientSecretName: 'page-secret' };

describe('an issuer that is not of the cloud', () => {
  it.each([
    ['says tenant and role as the platform does', {}, {}],
    ['has a claim of the tenant', { tenant: { claim: 'company' } }, { claims: { tenant: { claim: 'company' } } }],
    ['is of one tenant', { tenant: { is: 'acme' } }, { claims: { tenant: { is: 'acme' } } }],
    [
      'has groups, whose members have a role',
      { groups: { admin: 'plant admins', viewer: 'everybody' } },
      { claims: { roles: { claim: 'groups', names: { 'plant admins': 'admin', everybody: 'viewer' } } } },
    ],
    [
      'names applications in place of an audience',
      { clientIds: ['plant-page', 'plant-reports'] },
      { audience: ['plant-page', 'plant-reports'], claims: { audience: 'client_id' } },
    ],
    ['lets people sign in at the page', { signIn: SIGN_IN }, { signIn: SIGN_IN }],
  ])('%s', (_what, given, expected) => {
    const { adapter, ...settings } = otherIssuer({ ...ISSUER, ...given });
    expect(adapter).toBe('jwks-identity-verifier');
    expect(settings).toEqual({ ...ISSUER, ...expected });
    expect(jwksIdentityVerifierConfigSchema.parse(settings)).toMatchObject(expected);
  });

  it.each(CLOUDS)('is read as the environment says at %s', (cloud) => {
    const identity = { ...ISSUER, tenant: { is: 'textiel' }, groups: { operator: 'shift leaders' }, signIn: SIGN_IN };
    const { platform } = synthesized(changed(shipped('gent.dev'), { identity }), cloud).json;
    expect((platform.output!['ports']!.value as Attributes)['identityVerifiers']).toEqual([otherIssuer(identity)]);
  });
});
