import assert from 'node:assert/strict';
import type { TenantId } from '../domain/ids.ts';
import type { Identity } from '../ports/identity-verifier.ts';
import type { TokenIssuer, TokenRequest } from '../ports/token-issuer.ts';
import type { Contract } from './contract.ts';
import { failsWith } from './fails-with.ts';
import { until } from './until.ts';

export interface TokenIssuerHarness {
  readonly issuer: TokenIssuer;
  /** Verifies a token as the platform's services do, with what this process knows of revocations. */
  verify(token: string): Promise<Identity>;
  /** The same issuer as another process has it that starts now, with what that knows of revocations. */
  another(): Promise<Pick<TokenIssuerHarness, 'issuer' | 'verify'>>;
  /** Lets so much time pass for issuer and verifier. */
  advance(ms: number): void;
  /** The longest life that the issuer gives. */
  readonly maxLifetimeMs: number;
  /** Two tenants without tokens. */
  readonly tenants: readonly [TenantId, TenantId];
}

const HOUR_MS = 3_600_000;

export const tokenIssuerContract: Contract<TokenIssuerHarness> = {
  port: 'token-issuer',
  cases: [
    {
      name: 'issues a token that verifies as the client it was issued for, until the time it says',
      async run(harness) {
        const { token, record } = await harness.issuer.issue(requestOf(harness));
        const { tokenId, expiresAtMs, ...who } = await harness.verify(token);
        assert.deepEqual(who, { subject: 'historian', tenant: harness.tenants[0], roles: ['viewer'] });
        assert.equal(tokenId, record.id);
        assert.equal(record.expiresAtMs - record.createdAtMs, HOUR_MS);
        assert.ok(Math.abs(expiresAtMs - record.expiresAtMs) <= 1000, 'a token tells whole seconds');
      },
    },
    {
      name: 'lists what it issued, newest first, and nowhere the token itself',
      async run(harness) {
        const issued = [];
        for (let index = 0; index < 3; index++) {
          issued.unshift(await harness.issuer.issue({ ...requestOf(harness), subject: `client-${index}` }));
          harness.advance(1000);
        }
        const listed = await harness.issuer.listTokens(harness.tenants[0]);
        assert.deepEqual(
          listed,
          issued.map(({ record }) => record),
        );
        for (const { token } of issued) assert.ok(!JSON.stringify(listed).includes(token.split('.')[2]!));
      },
    },
    {
      name: 'forgets tokens that have expired',
      async run(harness) {
        await harness.issuer.issue(requestOf(harness));
        harness.advance(2 * HOUR_MS);
        assert.deepEqual(await harness.issuer.listTokens(harness.tenants[0]), []);
      },
    },
    {
      name: 'has a revoked token refused from then on, also one that was verified before, and lists it as revoked',
      async run(harness) {
        const [kept, revoked] = [
          await harness.issuer.issue(requestOf(harness)),
          await harness.issuer.issue(requestOf(harness)),
        ];
        await harness.verify(revoked.token);
        await harness.issuer.revoke(harness.tenants[0], revoked.record.id);
        await assert.rejects(harness.verify(revoked.token), failsWith('permission_denied'));
        await harness.verify(kept.token);
        const listed = await harness.issuer.listTokens(harness.tenants[0]);
        assert.deepEqual(
          new Map(listed.map((each) => [each.id, each.revoked])),
          new Map([
            [kept.record.id, false],
            [revoked.record.id, true],
          ]),
        );
      },
    },
    {
      name: 'is one with what other processes have: what one issues, others take, list and revoke, and a revoked token is soon refused by all',
      async run(harness) {
        const [tenant] = harness.tenants;
        const other = await harness.another();
        const { token, record } = await harness.issuer.issue(requestOf(harness));
        assert.equal((await other.verify(token)).tokenId, record.id);
        assert.deepEqual(await other.issuer.listTokens(tenant), [record]);
        await other.issuer.revoke(tenant, record.id);
        await assert.rejects(other.verify(token), failsWith('permission_denied'));
        const isRefused = () => harness.verify(token).then(() => false, failsWith('permission_denied'));
        await until(isRefused, 'the token is refused by the process that issued it');
        assert.deepEqual(await harness.issuer.listTokens(tenant), [{ ...record, revoked: true }]);
      },
    },
    {
      name: 'is one from the start: it takes what a process issues that starts right after it',
      async run(harness) {
        const other = await harness.another();
        const { token, record } = await other.issuer.issue(requestOf(harness));
        assert.equal((await harness.verify(token)).tokenId, record.id);
      },
    },
    {
      name: 'knows in a process that starts later which tokens were revoked',
      async run(harness) {
        const { token, record } = await harness.issuer.issue(requestOf(harness));
        await harness.issuer.revoke(harness.tenants[0], record.id);
        await assert.rejects((await harness.another()).verify(token), failsWith('permission_denied'));
      },
    },
    {
      name: "shows and revokes a tenant's own tokens alone",
      async run(harness) {
        const { token, record } = await harness.issuer.issue(requestOf(harness));
        assert.deepEqual(await harness.issuer.listTokens(harness.tenants[1]), []);
        await assert.rejects(harness.issuer.revoke(harness.tenants[1], record.id), failsWith('not_found'));
        await harness.verify(token);
      },
    },
    {
      name: 'refuses with invalid_argument no role, a life of no length or too long, and a subject that is no name',
      async run(harness) {
        const wrong: Partial<TokenRequest>[] = [
          { roles: [] },
          { lifetimeMs: 0 },
          { lifetimeMs: Number.NaN },
          { lifetimeMs: harness.maxLifetimeMs + 1 },
          { subject: '' },
          { subject: 'a b' },
        ];
        for (const each of wrong) {
          const attempt = harness.issuer.issue({ ...requestOf(harness), ...each });
          await assert.rejects(attempt, failsWith('invalid_argument'), JSON.stringify(each));
        }
        assert.deepEqual(await harness.issuer.listTokens(harness.tenants[0]), []);
      },
    },
    {
      name: 'rejects with cancelled when the caller has aborted, and issues nothing',
      async run(harness) {
        const attempt = harness.issuer.issue(requestOf(harness), { signal: AbortSignal.abort() });
        await assert.rejects(attempt, failsWith('cancelled'));
        assert.deepEqual(await harness.issuer.listTokens(harness.tenants[0]), []);
      },
    },
  ],
};

function requestOf({ tenants: [tenant] }: TokenIssuerHarness): TokenRequest {
  return { tenant, subject: 'historian', roles: ['viewer'], lifetimeMs: HOUR_MS };
}
