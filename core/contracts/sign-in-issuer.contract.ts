import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { isPortError, type PortErrorCode } from '../errors.ts';
import type { SignInAnswer, SignInIssuer, SignInRequest } from '../ports/identity-verifier.ts';
import type { Contract } from './contract.ts';

export interface SignInIssuerHarness {
  readonly issuer: SignInIssuer;
  /** Of the page, as the issuer knows it. */
  readonly redirectUri: string;
  /** Of the page too: where the issuer may send a browser that has signed out. */
  readonly signedOutUri: string;
  /**
   * Goes to the issuer as a browser, and resolves to the parameters that it would bring back: `maria` is an operator of the tenant `demo`,
   * `guest` has no role, `nobody` gives up at the issuer.
   */
  answer(url: string, person: 'maria' | 'guest' | 'nobody'): Promise<SignInAnswer['parameters']>;
}

/** A sign-in up to the issuer's answer. */
async function answered(harness: SignInIssuerHarness, person: 'maria' | 'guest' | 'nobody' = 'maria') {
  const { issuer, redirectUri } = harness;
  const { url, attempt } = await issuer.beginSignIn(redirectUri);
  return { redirectUri, attempt, parameters: await harness.answer(url, person) };
}

async function assertRefused(
  { issuer }: SignInIssuerHarness,
  answer: SignInAnswer,
  code: PortErrorCode,
  why: string,
): Promise<void> {
  await assert.rejects(
    issuer.completeSignIn(answer),
    (error: unknown) => {
      assert.ok(isPortError(error), why);
      assert.equal(error.code, code, `${why}: ${error.message}`);
      const { state, nonce, codeVerifier } = answer.attempt;
      const secrets = [answer.parameters['code'], state, nonce, codeVerifier];
      for (const secret of secrets) if (secret) assert.ok(!error.message.includes(secret), `${why}: it tells a secret`);
      return true;
    },
    why,
  );
}

const queryOf = ({ url }: SignInRequest) => new URL(url).searchParams;

export const signInIssuerContract: Contract<SignInIssuerHarness> = {
  port: 'identity-verifier',
  capability: 'SignInIssuer',
  cases: [
    {
      name: 'is offered to people by an id that fits into an address, a name, and how long a session lasts',
      async run({ issuer: { signIn } }) {
        assert.match(signIn.id, /^[a-z0-9][a-z0-9-]{0,31}$/);
        assert.notEqual(signIn.name.trim(), '');
        assert.ok(signIn.sessionMs > 0);
      },
    },
    {
      name: 'sends a browser to ask for a code by PKCE, with state and nonce of the attempt, to come back to that place alone',
      async run({ issuer, redirectUri }) {
        const request = await issuer.beginSignIn(redirectUri);
        const query = queryOf(request);
        const { state, nonce, codeVerifier } = request.attempt;
        const challenge = createHash('sha256').update(codeVerifier).digest('base64url');
        assert.equal(query.get('response_type'), 'code');
        assert.equal(query.get('redirect_uri'), redirectUri);
        assert.deepEqual([query.get('state'), query.get('nonce')], [state, nonce]);
        assert.deepEqual([query.get('code_challenge'), query.get('code_challenge_method')], [challenge, 'S256']);
        assert.ok(!request.url.includes(codeVerifier), 'the address tells the verifier');
      },
    },
    {
      name: 'begins each attempt with values of its own, which nobody guesses',
      async run({ issuer, redirectUri }) {
        const begun = await Promise.all(Array.from({ length: 8 }, () => issuer.beginSignIn(redirectUri)));
        const values = begun.flatMap(({ attempt }) => [attempt.state, attempt.nonce, attempt.codeVerifier]);
        assert.equal(new Set(values).size, values.length);
        for (const value of values) assert.match(value, /^[\w.~-]{22,128}$/);
      },
    },
    {
      name: 'tells who has signed in, with tenant and roles by the claims',
      async run(harness) {
        const identity = await harness.issuer.completeSignIn(await answered(harness));
        assert.deepEqual(
          { subject: identity.subject, tenant: identity.tenant, roles: identity.roles },
          { subject: 'maria', tenant: 'demo', roles: ['operator'] },
        );
        assert.ok(identity.expiresAtMs > Date.now());
      },
    },
    {
      name: 'keeps apart attempts that go on at once',
      async run(harness) {
        const answers = await Promise.all([answered(harness), answered(harness)]);
        const [one, other] = answers;
        await assertRefused(
          harness,
          { ...one, parameters: other.parameters },
          'invalid_argument',
          'the answer of another',
        );
        assert.equal((await harness.issuer.completeSignIn(one)).subject, 'maria');
      },
    },
    {
      name: 'takes an answer once',
      async run(harness) {
        const answer = await answered(harness);
        await harness.issuer.completeSignIn(answer);
        await assertRefused(harness, answer, 'invalid_argument', 'its code is used up');
      },
    },
    {
      name: 'refuses a code that another browser was given, under one’s own state (code injection)',
      async run(harness) {
        const [own, stolen] = [await answered(harness), await answered(harness)];
        const parameters = { ...own.parameters, code: stolen.parameters['code']! };
        await assertRefused(harness, { ...own, parameters }, 'invalid_argument', 'the code of another');
      },
    },
    {
      name: 'refuses an answer that is not to this attempt: of another state or nonce, or that PKCE does not fit',
      async run(harness) {
        for (const change of [{ state: 'x'.repeat(43) }, { nonce: 'x'.repeat(43) }, { codeVerifier: 'x'.repeat(43) }]) {
          const answer = await answered(harness);
          const attempt = { ...answer.attempt, ...change };
          await assertRefused(harness, { ...answer, attempt }, 'invalid_argument', Object.keys(change).join());
        }
      },
    },
    {
      name: 'refuses an answer that says it is of another issuer (mix-up)',
      async run(harness) {
        const answer = await answered(harness);
        const parameters = { ...answer.parameters, iss: 'https://evil.example' };
        await assertRefused(harness, { ...answer, parameters }, 'invalid_argument', 'iss');
      },
    },
    {
      name: 'refuses an answer without a code or without a state',
      async run(harness) {
        for (const missing of ['code', 'state']) {
          const answer = await answered(harness);
          const parameters = Object.fromEntries(Object.entries(answer.parameters).filter(([name]) => name !== missing));
          await assertRefused(harness, { ...answer, parameters }, 'invalid_argument', `without ${missing}`);
        }
      },
    },
    {
      name: 'lets nobody in who has no role, or who has given up at the issuer',
      async run(harness) {
        for (const person of ['guest', 'nobody'] as const)
          await assertRefused(harness, await answered(harness, person), 'permission_denied', person);
      },
    },
    {
      name: 'tells where a browser signs out at the issuer, and that it comes back to that place alone, or that there is no such place',
      async run({ issuer, signedOutUri }) {
        const place = await issuer.signOutUrl(signedOutUri);
        if (place === undefined) return;
        const { protocol, hostname, searchParams } = new URL(place);
        assert.ok(protocol === 'https:' || ['127.0.0.1', 'localhost'].includes(hostname), place);
        assert.equal([...searchParams.values()].filter((value) => value === signedOutUri).length, 1, place);
        assert.notEqual(searchParams.get('client_id') ?? '', '', place);
      },
    },
    {
      name: 'rejects a call whose caller has stopped waiting',
      async run(harness) {
        const { issuer, redirectUri, signedOutUri } = harness;
        const options = { signal: AbortSignal.abort() };
        const answer = await answered(harness);
        const calls = [
          () => issuer.beginSignIn(redirectUri, options),
          () => issuer.completeSignIn(answer, options),
          () => issuer.signOutUrl(signedOutUri, options),
        ];
        for (const call of calls)
          await assert.rejects(call, (error: unknown) => isPortError(error) && error.code === 'cancelled');
      },
    },
  ],
};
