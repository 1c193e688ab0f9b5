import { describe, expect, it } from '@jest/globals';
import { SignJWT } from 'jose';
import { KeyRing, privateKeyOf } from '#adapters/sql/signing-keys.ts';
import { identityVerifierContract } from '#core/contracts/identity-verifier.contract.ts';
import { until } from '#core/contracts/until.ts';
import type { TenantId } from '#core/domain/ids.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import { openIdentity } from '#test/support/embedded-identity.ts';
import { startHttpReceiver } from '#test/support/http-receiver.ts';
import { JwksIdentityVerifier } from './jwks-identity-verifier.ts';

const DAY_MS = 86_400_000;
const tenant = 'demo' as TenantId;
const request = { tenant, subject: 'historian', roles: ['viewer'], lifetimeMs: DAY_MS } as const;

describeContract(identityVerifierContract, 'the embedded issuer’s tokens, by its published keys', async () => {
  const identity = await openIdentity();
  const { issuer, secrets, verifier, verifierConfig } = identity;
  const nowSeconds = Math.floor(Date.now() / 1000);
  return {
    verifier,
    clockToleranceMs: verifierConfig.clockToleranceMs,
    validClaims: () => ({
      iss: issuer.issuer,
      aud: 'tribo',
      sub: 'maria',
      tenant: 'demo',
      roles: ['operator'],
      iat: nowSeconds,
      exp: nowSeconds + 600,
    }),
    sign: async (claims) => {
      const { kid } = issuer.publicKeys().keys.at(-1)!;
      const key = KeyRing.parse((await secrets.get(`local-identity.keys.${kid}`))!).active(Date.now());
      return new SignJWT({ ...claims })
        .setProtectedHeader({ alg: 'ES256', kid: key.kid })
        .sign(await privateKeyOf(key));
    },
    publicKeys: async () => {
      const response = await fetch(identity.server.jwksUri);
      return (await response.json()) as { keys: readonly Record<string, unknown>[] };
    },
    rotate: () => issuer.rotateKeys(),
    [Symbol.asyncDispose]: () => identity[Symbol.asyncDispose](),
  };
});

describe('JWKS identity verifier', () => {
  it('says unavailable, and not denied, while the issuer cannot be reached', async () => {
    await using identity = await openIdentity();
    const { token } = await identity.issuer.issue(request);
    await identity.server.close();
    await expect(identity.verifier.verify(token)).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('goes on with the keys it has while the issuer is away', async () => {
    await using identity = await openIdentity();
    const [one, two] = [await identity.issuer.issue(request), await identity.issuer.issue(request)];
    await identity.verifier.verify(one.token);
    await identity.server.close();
    await identity.verifier.verify(two.token);
  });

  it('tells while keys cannot be fetched whom that keeps out, and no more once they can, also when no further token comes', async () => {
    await using identity = await openIdentity();
    const keys = await (await fetch(identity.server.jwksUri)).text();
    let status = 200;
    await using issuer = await startHttpReceiver((_request, response) => response.writeHead(status).end(keys));
    const config = { ...identity.verifierConfig, jwksUri: issuer.url, keysRetryMs: 0, trustMs: 0, keysCooldownMs: 0 };
    const [current, late] = [60_000, 0].map((keysMaxAgeMs) => new JwksIdentityVerifier({ ...config, keysMaxAgeMs }));
    const tokens = [await identity.issuer.issue(request)];
    for (const verifier of [current!, late!]) {
      expect(verifier.problem()).toBeUndefined();
      await verifier.verify(tokens[0]!.token);
      expect(verifier.problem()).toBeUndefined();
    }

    status = 503;
    await identity.issuer.rotateKeys();
    const { token } = await identity.issuer.issue(request);
    for (const verifier of [current!, late!])
      await expect(verifier.verify(token)).rejects.toMatchObject({ code: 'unavailable' });
    await current!.verify(tokens[0]!.token);
    expect(current!.problem()).toMatch(
      /cannot be fetched \(.* answered 503\); its tokens are judged by those fetched before/,
    );
    await expect(late!.verify(tokens[0]!.token)).rejects.toMatchObject({ code: 'unavailable' });
    expect(late!.problem()).toMatch(/^the keys of the issuer .* answered 503\); nobody is let in by a token of it/);

    status = 200;
    for (const verifier of [current!, late!])
      await until(() => verifier.problem() === undefined, 'the keys are fetched again');
  });

  it('refuses a remembered token once it has expired', async () => {
    await using identity = await openIdentity();
    const { token } = await identity.issuer.issue({ ...request, lifetimeMs: 60_000 });
    await identity.verifier.verify(token);
    identity.clock.advance(60_000 + identity.verifierConfig.clockToleranceMs + 1000);
    await expect(identity.verifier.verify(token)).rejects.toMatchObject({ code: 'permission_denied' });
  });

  it('asks the issuer for an unknown key id no more often than the cooldown allows', async () => {
    await using identity = await openIdentity();
    const { token } = await identity.issuer.issue(request);
    const patient = new JwksIdentityVerifier(
      { ...identity.verifierConfig, keysCooldownMs: 60_000 },
      { clock: identity.clock },
    );
    await patient.verify(token);
    await identity.issuer.rotateKeys();
    const rotated = await identity.issuer.issue(request);
    await expect(patient.verify(rotated.token)).rejects.toMatchObject({ code: 'permission_denied' });
  });
});
