import assert from 'node:assert/strict';
import { createHmac, generateKeyPairSync, sign } from 'node:crypto';
import type { TenantId } from '../domain/ids.ts';
import type { IdentityVerifier } from '../ports/identity-verifier.ts';
import type { Contract } from './contract.ts';

export interface IdentityVerifierHarness {
  readonly verifier: IdentityVerifier;
  /** Claims of a token that is valid now, for the tenant `demo` and the role operator. */
  validClaims(): Claims;
  /** A JWS of the claims by the issuer's present key. */
  sign(claims: Claims): Promise<string>;
  /** The issuer's published keys: JSON Web Key Set. */
  publicKeys(): Promise<{ readonly keys: readonly JsonWebKeyOfIssuer[] }>;
  /** The issuer signs with another key from now on, and still publishes the one before. */
  rotate(): Promise<void>;
  /** What the verifier was told to allow between its clock and the issuer's. */
  readonly clockToleranceMs: number;
}

export type Claims = Readonly<Record<string, unknown>>;
export type JsonWebKeyOfIssuer = Readonly<Record<string, unknown>> & { readonly kid?: string };

const base64url = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
const nowSeconds = () => Math.floor(Date.now() / 1000);

async function assertRefused({ verifier }: IdentityVerifierHarness, token: string, why: string): Promise<void> {
  await assert.rejects(
    verifier.verify(token),
    (error: unknown) => {
      assert.ok(error instanceof Error && 'code' in error, why);
      assert.equal(error.code, 'permission_denied', why);
      if (token.length > 8) assert.ok(!error.message.includes(token), 'the message repeats the token');
      return true;
    },
    why,
  );
}

function without(claims: Claims, name: string): Claims {
  return Object.fromEntries(Object.entries(claims).filter(([key]) => key !== name));
}

export const identityVerifierContract: Contract<IdentityVerifierHarness> = {
  port: 'identity-verifier',
  cases: [
    {
      name: 'tells tenant, subject, roles and expiry of a valid token',
      async run(harness) {
        const claims = { ...harness.validClaims(), sub: 'maria', jti: 'token-1' };
        const identity = await harness.verifier.verify(await harness.sign(claims));
        assert.equal(identity.tenant, 'demo');
        assert.equal(identity.subject, 'maria');
        assert.deepEqual(identity.roles, ['operator']);
        assert.equal(identity.tokenId, 'token-1');
        assert.ok(identity.expiresAtMs > Date.now());
      },
    },
    {
      name: 'answers the same for a token it has seen before',
      async run(harness) {
        const token = await harness.sign(harness.validClaims());
        assert.deepEqual(await harness.verifier.verify(token), await harness.verifier.verify(token));
      },
    },
    {
      name: 'refuses a token whose claims were changed after it was signed',
      async run(harness) {
        const claims = harness.validClaims();
        const [header, , signature] = (await harness.sign(claims)).split('.');
        for (const change of [{ tenant: 'other' }, { roles: ['admin'] }, { exp: nowSeconds() + 1e6 }]) {
          await assertRefused(
            harness,
            `${header}.${base64url({ ...claims, ...change })}.${signature}`,
            'changed claims',
          );
        }
      },
    },
    {
      name: 'refuses a token that somebody else signed under the issuer’s key id',
      async run(harness) {
        const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
        const kid = (await harness.publicKeys()).keys[0]?.kid;
        const body = `${base64url({ alg: 'ES256', kid, typ: 'JWT' })}.${base64url(harness.validClaims())}`;
        const signature = sign('sha256', Buffer.from(body), { key: privateKey, dsaEncoding: 'ieee-p1363' });
        await assertRefused(harness, `${body}.${signature.toString('base64url')}`, 'forged');
      },
    },
    {
      name: 'refuses a token that brings its own key',
      async run(harness) {
        const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
        const header = { alg: 'ES256', kid: 'mine', jwk: publicKey.export({ format: 'jwk' }) };
        const body = `${base64url(header)}.${base64url(harness.validClaims())}`;
        const signature = sign('sha256', Buffer.from(body), { key: privateKey, dsaEncoding: 'ieee-p1363' });
        await assertRefused(harness, `${body}.${signature.toString('base64url')}`, 'embedded key');
      },
    },
    {
      name: 'refuses a token without a signature (alg none)',
      async run(harness) {
        for (const alg of ['none', 'None', 'NONE']) {
          const kid = (await harness.publicKeys()).keys[0]?.kid;
          const body = `${base64url({ alg, kid })}.${base64url(harness.validClaims())}`;
          await assertRefused(harness, `${body}.`, alg);
        }
      },
    },
    {
      name: 'refuses a token whose HMAC key is the issuer’s public key',
      async run(harness) {
        const key = (await harness.publicKeys()).keys[0];
        const body = `${base64url({ alg: 'HS256', kid: key?.kid })}.${base64url(harness.validClaims())}`;
        for (const secret of [JSON.stringify(key), String(key?.['x'])]) {
          await assertRefused(
            harness,
            `${body}.${createHmac('sha256', secret).update(body).digest('base64url')}`,
            'HS256',
          );
        }
      },
    },
    {
      name: 'refuses a token that has expired or is not valid yet, but for the clock tolerance',
      async run(harness) {
        const toleranceS = harness.clockToleranceMs / 1000;
        const claims = harness.validClaims();
        await assertRefused(harness, await harness.sign({ ...claims, exp: nowSeconds() - toleranceS - 5 }), 'expired');
        await assertRefused(harness, await harness.sign({ ...claims, nbf: nowSeconds() + toleranceS + 5 }), 'not yet');
        await harness.verifier.verify(
          await harness.sign({ ...claims, nbf: nowSeconds() + Math.max(0, toleranceS - 5), exp: nowSeconds() + 60 }),
        );
      },
    },
    {
      name: 'refuses a token for another audience or of another issuer',
      async run(harness) {
        const claims = harness.validClaims();
        await assertRefused(harness, await harness.sign({ ...claims, aud: 'another-api' }), 'audience');
        await assertRefused(harness, await harness.sign({ ...claims, iss: 'https://evil.example' }), 'issuer');
      },
    },
    {
      name: 'refuses a token that lacks one of the claims it must have',
      async run(harness) {
        for (const name of ['iss', 'aud', 'exp', 'sub', 'tenant', 'roles']) {
          await assertRefused(harness, await harness.sign(without(harness.validClaims(), name)), `without ${name}`);
        }
      },
    },
    {
      name: 'refuses claims of the wrong shape',
      async run(harness) {
        const wrong: Claims[] = [
          { tenant: '../other' },
          { tenant: '__proto__' },
          { tenant: ['demo'] },
          { tenant: '' },
          { roles: 'admin' },
          { roles: [] },
          { roles: [{ admin: true }] },
          { sub: '' },
        ];
        for (const claims of wrong) {
          await assertRefused(
            harness,
            await harness.sign({ ...harness.validClaims(), ...claims }),
            JSON.stringify(claims),
          );
        }
      },
    },
    {
      name: 'leaves out roles it does not know, and refuses a token that has no other',
      async run(harness) {
        const token = await harness.sign({ ...harness.validClaims(), roles: ['viewer', 'superuser'] });
        assert.deepEqual((await harness.verifier.verify(token)).roles, ['viewer']);
        await assertRefused(harness, await harness.sign({ ...harness.validClaims(), roles: ['superuser'] }), 'unknown');
      },
    },
    {
      name: 'keeps tenants apart: the identity is of the tenant in the signed claim',
      async run(harness) {
        const token = await harness.sign({ ...harness.validClaims(), tenant: 'other' });
        assert.equal((await harness.verifier.verify(token)).tenant, 'other' as TenantId);
      },
    },
    {
      name: 'accepts tokens of a new key after a rotation, and still those of the key before',
      async run(harness) {
        const before = await harness.sign(harness.validClaims());
        await harness.verifier.verify(before);
        await harness.rotate();
        const after = await harness.sign({ ...harness.validClaims(), jti: 'after' });
        assert.notEqual(before.split('.')[0], after.split('.')[0]);
        await harness.verifier.verify(after);
        await harness.verifier.verify(before);
        await harness.verifier.verify(await harness.sign({ ...harness.validClaims(), jti: 'again' }));
      },
    },
    {
      name: 'refuses what is no token at all',
      async run(harness) {
        const nonsense = ['', ' ', 'abc', 'a.b.c', '..', `${'x'.repeat(100_000)}.y.z`, '{"alg":"none"}', 'é.ü.ß'];
        for (const token of nonsense) await assertRefused(harness, token, token.slice(0, 20));
      },
    },
    {
      name: 'rejects a call whose caller has stopped waiting',
      async run(harness) {
        const token = await harness.sign(harness.validClaims());
        await assert.rejects(
          harness.verifier.verify(token, { signal: AbortSignal.abort() }),
          (error: unknown) => error instanceof Error && 'code' in error && error.code === 'cancelled',
        );
      },
    },
  ],
};
