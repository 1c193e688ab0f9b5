import { createHmac, generateKeyPairSync, sign } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { until } from '#core/contracts/until.ts';
import { startHttpReceiver } from '#test/support/http-receiver.ts';
import { OidcIssuer } from '#test/support/oidc-issuer.ts';
import { jwksIdentityVerifierConfigSchema, MAX_TOKEN_LENGTH } from './config.ts';
import { JwksIdentityVerifier } from './jwks-identity-verifier.ts';

const encoded = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');

/** A verifier that finds the issuer's keys by discovery. */
function verifierFor(issuer: OidcIssuer, settings: object = {}): JwksIdentityVerifier {
  return new JwksIdentityVerifier(
    jwksIdentityVerifierConfigSchema.parse({ issuer: issuer.issuer, audience: 'tribo', ...settings }),
  );
}

function claimsOf({ issuer }: OidcIssuer) {
  const iat = Math.floor(Date.now() / 1000);
  return { iss: issuer, aud: 'tribo', sub: 'maria', tenant: 'demo', roles: ['operator'], iat, exp: iat + 600 };
}

const denied = (why: string) => ({ code: 'permission_denied', message: expect.stringContaining(why) });

describe('a site that names an issuer alone', () => {
  it('finds its keys by its discovery document', async () => {
    await using issuer = await OidcIssuer.open();
    const identity = await verifierFor(issuer).verify(await issuer.sign(claimsOf(issuer)));
    expect(identity).toMatchObject({ subject: 'maria', tenant: 'demo', roles: ['operator'] });
    expect(issuer.requests).toEqual(['/.well-known/openid-configuration', '/keys']);
  });

  it('takes any of several audiences', async () => {
    await using issuer = await OidcIssuer.open();
    const verifier = verifierFor(issuer, { audience: ['tribo', 'tribo-of-old'] });
    await verifier.verify(await issuer.sign({ ...claimsOf(issuer), aud: ['other', 'tribo-of-old'] }));
    const foreign = issuer.sign({ ...claimsOf(issuer), aud: 'other' });
    await expect(verifier.verify(await foreign)).rejects.toMatchObject(denied('the claim aud'));
  });
});

describe('an attacker', () => {
  it('who signs by HMAC with the issuer’s public key is refused (algorithm confusion)', async () => {
    await using issuer = await OidcIssuer.open();
    const verifier = verifierFor(issuer);
    const [key] = issuer.publicKeys().keys;
    const body = `${encoded({ alg: 'HS256', kid: key?.kid })}.${encoded(claimsOf(issuer))}`;
    for (const secret of [JSON.stringify(key), String(key?.['x'])]) {
      const token = `${body}.${createHmac('sha256', secret).update(body).digest('base64url')}`;
      await expect(verifier.verify(token)).rejects.toMatchObject(denied('algorithm is not allowed'));
    }
  });

  it('who signs with an algorithm that the issuer has no key of is refused, also under its key id', async () => {
    await using issuer = await OidcIssuer.open();
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const body = `${encoded({ alg: 'RS256', kid: 'key-0' })}.${encoded(claimsOf(issuer))}`;
    const signature = sign('sha256', Buffer.from(body), privateKey);
    const token = `${body}.${signature.toString('base64url')}`;
    await expect(verifierFor(issuer).verify(token)).rejects.toMatchObject(denied('no such key'));
  });

  it('whatever the header and the claims are, is told that the token is refused, and never that keys are out of reach', async () => {
    await using issuer = await OidcIssuer.open();
    const verifier = verifierFor(issuer);
    const names = fc.constantFrom('alg', 'kid', 'typ', 'crit', 'b64', 'jwk', 'jku', 'x5c', 'zip', 'enc', 'iss', 'exp');
    const values = fc.oneof(
      fc.constantFrom('ES256', 'RS256', 'EdDSA', 'HS256', 'none', 'key-0', 'JWT'),
      fc.jsonValue(),
    );
    const part = fc.dictionary(names, values).map(encoded);
    await fc.assert(
      fc.asyncProperty(part, part, fc.base64String(), async (header, claims, signature) => {
        const token = `${header}.${claims}.${signature.replace(/=+$/, '')}`;
        await expect(verifier.verify(token)).rejects.toMatchObject({ code: 'permission_denied' });
      }),
      { numRuns: 300 },
    );
  });

  it('who names a place for keys in the token makes nobody ask there (jku, x5u)', async () => {
    await using issuer = await OidcIssuer.open();
    await using own = await OidcIssuer.open();
    const token = await own.sign(claimsOf(issuer), { kid: 'mine', jku: own.jwksUri, x5u: own.jwksUri });
    await expect(verifierFor(issuer).verify(token)).rejects.toMatchObject(denied('no such key'));
    expect(own.requests).toEqual([]);
  });

  it('who floods with key ids that nobody has makes one request to the issuer, and not one each', async () => {
    await using issuer = await OidcIssuer.open();
    const verifier = verifierFor(issuer);
    await verifier.verify(await issuer.sign(claimsOf(issuer)));
    const tokens = await Promise.all(
      Array.from({ length: 200 }, (_, index) => issuer.sign(claimsOf(issuer), { kid: `flood-${index}` })),
    );
    const verdicts = await Promise.allSettled(tokens.map((token) => verifier.verify(token)));
    expect(verdicts.every(({ status }) => status === 'rejected')).toBe(true);
    expect(issuer.requests.filter((path) => path === '/keys')).toHaveLength(1);
  });

  it('who floods while the issuer fails makes one request in keysRetryMs, and not one each', async () => {
    await using issuer = await OidcIssuer.open();
    issuer.answer = (_path, response) => Boolean(response.writeHead(500).end());
    const verifier = verifierFor(issuer, { keysRetryMs: 600_000 });
    for (let index = 0; index < 50; index++) {
      const token = await issuer.sign(claimsOf(issuer), { kid: `flood-${index}` });
      await expect(verifier.verify(token)).rejects.toMatchObject({ code: 'unavailable' });
    }
    expect(issuer.requests).toHaveLength(1);
  });

  it('who sends a huge token is refused before it is read', async () => {
    await using issuer = await OidcIssuer.open();
    const token = await issuer.sign({ ...claimsOf(issuer), padding: 'x'.repeat(MAX_TOKEN_LENGTH) });
    await expect(verifierFor(issuer).verify(token)).rejects.toMatchObject(denied('too long'));
    expect(issuer.requests).toEqual([]);
  });

  it('whose name begins as another one, beyond what is kept of it, is refused and not taken for that one', async () => {
    await using issuer = await OidcIssuer.open();
    const verifier = verifierFor(issuer);
    const longest = 'm'.repeat(256);
    expect((await verifier.verify(await issuer.sign({ ...claimsOf(issuer), sub: longest }))).subject).toBe(longest);
    const longer = issuer.sign({ ...claimsOf(issuer), sub: `${longest}m` });
    await expect(verifier.verify(await longer)).rejects.toMatchObject(denied('more than 256 characters'));
  });

  it('who has a key that the issuer withdrew is refused once keysMaxAgeMs is over', async () => {
    await using issuer = await OidcIssuer.open();
    const verifier = verifierFor(issuer, { keysMaxAgeMs: 1000, trustMs: 0 });
    const token = await issuer.sign(claimsOf(issuer));
    await verifier.verify(token);
    await issuer.rotate();
    issuer.withdrawOldKeys();
    const isRefused = () =>
      verifier.verify(token).then(
        () => false,
        () => true,
      );
    await until(isRefused, 'the withdrawn key is refused', 30_000);
    await expect(verifier.verify(token)).rejects.toMatchObject(denied('no such key'));
    await verifier.verify(await issuer.sign(claimsOf(issuer)));
  });
});

describe('an issuer’s documents', () => {
  it('that are another issuer’s are not believed (mix-up)', async () => {
    await using issuer = await OidcIssuer.open();
    await using other = await OidcIssuer.open();
    issuer.answer = (path, response) =>
      path.startsWith('/.well-known/') &&
      Boolean(response.end(JSON.stringify({ issuer: other.issuer, jwks_uri: issuer.jwksUri })));
    const failure = verifierFor(issuer).verify(await issuer.sign(claimsOf(issuer)));
    await expect(failure).rejects.toMatchObject({
      code: 'unavailable',
      cause: { message: expect.stringContaining(`is of the issuer ${other.issuer}`) },
    });
  });

  it.each([
    ['that name keys at another host make nobody ask there', (url: string) => url],
    ['that name keys at an address of this machine’s network make nobody ask there', () => 'http://169.254.169.254/'],
    ['that name a file make nobody read it', () => 'file:///etc/passwd'],
  ])('%s (SSRF)', async (_what, place) => {
    await using issuer = await OidcIssuer.open();
    const asked: string[] = [];
    await using elsewhere = await startHttpReceiver((request, response) => {
      asked.push(String(request.url));
      response.end('{"keys":[]}');
    });
    const document = { issuer: issuer.issuer, jwks_uri: place(`${elsewhere.url}/keys`) };
    issuer.answer = (path, response) =>
      path.startsWith('/.well-known/') && Boolean(response.end(JSON.stringify(document)));
    await expect(verifierFor(issuer).verify(await issuer.sign(claimsOf(issuer)))).rejects.toMatchObject({
      code: 'unavailable',
      cause: { message: expect.stringContaining('names keys at another host') },
    });
    expect(asked).toEqual([]);
    expect(issuer.requests).not.toContain('/keys');
  });

  it.each(['/.well-known/openid-configuration', '/keys'])(
    'that redirect from %s are not followed (SSRF)',
    async (from) => {
      await using issuer = await OidcIssuer.open();
      const asked: string[] = [];
      await using elsewhere = await startHttpReceiver((request, response) => {
        asked.push(String(request.url));
        response.end('{"keys":[]}');
      });
      issuer.answer = (path, response) =>
        path === from && Boolean(response.writeHead(302, { location: `${elsewhere.url}/keys` }).end());
      await expect(verifierFor(issuer).verify(await issuer.sign(claimsOf(issuer)))).rejects.toMatchObject({
        code: 'unavailable',
      });
      expect(asked).toEqual([]);
    },
  );

  it.each(['/.well-known/openid-configuration', '/keys'])(
    'that never end at %s are read no further than a bound',
    async (at) => {
      await using issuer = await OidcIssuer.open();
      issuer.answer = (path, response) => {
        if (path !== at) return false;
        const more = () => response.destroyed || response.write(' '.repeat(65_536), () => setImmediate(more));
        more();
        return true;
      };
      await expect(verifierFor(issuer).verify(await issuer.sign(claimsOf(issuer)))).rejects.toMatchObject({
        code: 'unavailable',
        cause: { message: expect.stringContaining('more than 262144 bytes') },
      });
    },
  );

  it('that do not come are waited for no longer than fetchTimeoutMs', async () => {
    await using issuer = await OidcIssuer.open();
    issuer.answer = () => true;
    const failure = verifierFor(issuer, { fetchTimeoutMs: 100 }).verify(await issuer.sign(claimsOf(issuer)));
    await expect(failure).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('that do not come are waited for no longer than the caller waits', async () => {
    await using issuer = await OidcIssuer.open();
    const stopped = new AbortController();
    issuer.answer = () => {
      stopped.abort();
      return true;
    };
    const verifier = verifierFor(issuer, { fetchTimeoutMs: 60_000 });
    const failure = verifier.verify(await issuer.sign(claimsOf(issuer)), { signal: stopped.signal });
    await expect(failure).rejects.toMatchObject({ code: 'cancelled' });
  });
});

describe('token kinds', () => {
  const access = { typ: 'at+jwt' };
  it.each([
    ['access', {}, {}, true],
    ['access', {}, access, true],
    ['access', {}, { typ: 'application/at+jwt' }, true],
    ['access', { at_hash: 'x' }, { typ: 'JWT' }, false],
    ['access', {}, { typ: 'logout+jwt' }, false],
    ['at+jwt', {}, access, true],
    ['at+jwt', {}, { typ: 'JWT' }, false],
    ['at+jwt', {}, {}, false],
    ['id', { at_hash: 'x' }, {}, true],
    ['id', {}, { typ: 'JWT' }, true],
    ['id', {}, access, false],
  ] as const)(
    'where %s tokens are wanted, claims %j and header %j: taken %s',
    async (tokens, claims, header, isTaken) => {
      await using issuer = await OidcIssuer.open();
      const verdict = verifierFor(issuer, { tokens }).verify(
        await issuer.sign({ ...claimsOf(issuer), ...claims }, header),
      );
      if (isTaken) await verdict;
      else await expect(verdict).rejects.toMatchObject(denied('another kind of token'));
    },
  );
});

describe('configuration', () => {
  it.each([
    'http://issuer.example',
    'https://user:secret@issuer.example',
    'https://issuer.example/?tenant=1',
    'https://issuer.example/#x',
    'file:///etc/keys',
    'issuer.example',
  ])('refuses the issuer %s', (issuer) => {
    expect(jwksIdentityVerifierConfigSchema.safeParse({ issuer, audience: 'tribo' }).success).toBe(false);
  });

  it.each(['HS256', 'none'])('has no algorithm %s to allow', (algorithm) => {
    const settings = { issuer: 'https://issuer.example', audience: 'tribo', algorithms: [algorithm] };
    expect(jwksIdentityVerifierConfigSchema.safeParse(settings).success).toBe(false);
  });
});
