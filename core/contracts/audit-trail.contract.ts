import assert from 'node:assert/strict';
import type { TenantId } from '../domain/ids.ts';
import { MAX_AUDIT_SUMMARY, type AuditAttempt, type AuditTrail } from '../ports/audit-trail.ts';
import type { Contract } from './contract.ts';
import { failsWith } from './fails-with.ts';

export interface AuditTrailHarness {
  /** Keeps at most `maxEntries` when it forgets. */
  readonly trail: AuditTrail;
  readonly maxEntries: number;
  /** Two tenants of this case alone. */
  readonly tenants: readonly [TenantId, TenantId];
  /** Another client of the same trail, as another process would open it. */
  reopen(): Promise<AuditTrail>;
}

const T0 = Date.UTC(2026, 0, 1);

function attempt(tenant: TenantId, change: Partial<AuditAttempt> = {}): AuditAttempt {
  return { tenant, atMs: T0, actor: 'asha', action: 'device.disable', target: 'press-7', ...change };
}

export const auditTrailContract: Contract<AuditTrailHarness> = {
  port: 'audit-trail',
  cases: [
    {
      name: 'gives an entry back as it was written, also to a second client',
      async run({ trail, tenants: [tenant], ...harness }) {
        const before = '{"enabled":true} ✓';
        const id = await trail.begin(attempt(tenant, { before }));
        await trail.finish(id, { outcome: 'done', after: '{"enabled":false}' });
        const expected = { ...attempt(tenant, { before }), id, outcome: 'done', after: '{"enabled":false}' };
        assert.deepEqual(await (await harness.reopen()).list({ tenant, limit: 10 }), [expected]);
      },
    },
    {
      name: 'shows a change that was begun and never finished, without an outcome',
      async run({ trail, tenants: [tenant], ...harness }) {
        const id = await trail.begin(attempt(tenant));
        await trail.close();
        assert.deepEqual(await (await harness.reopen()).list({ tenant, limit: 10 }), [{ ...attempt(tenant), id }]);
      },
    },
    {
      name: 'adds an outcome once, and changes nothing afterwards',
      async run({ trail, tenants: [tenant] }) {
        const id = await trail.begin(attempt(tenant));
        await trail.finish(id, { outcome: 'refused', reason: 'conflict' });
        await assert.rejects(trail.finish(id, { outcome: 'done' }), failsWith('failed_precondition'));
        await assert.rejects(trail.finish(id + 1000, { outcome: 'done' }), failsWith('not_found'));
        const [entry] = await trail.list({ tenant, limit: 10 });
        assert.deepEqual([entry?.outcome, entry?.reason], ['refused', 'conflict']);
        await trail.finish(await trail.begin(attempt(tenant)), { outcome: 'unknown', reason: 'unavailable' });
        const [newest] = await trail.list({ tenant, limit: 1 });
        assert.deepEqual([newest?.outcome, newest?.reason], ['unknown', 'unavailable']);
      },
    },
    {
      name: 'lists newest first, page by page, of one tenant, by who, what, which and when',
      async run({ trail, tenants: [tenant, other] }) {
        const ids: number[] = [];
        for (const change of [
          { atMs: T0 },
          { atMs: T0 + 1, actor: 'ben' },
          { atMs: T0 + 2, action: 'device.remove' },
          { atMs: T0 + 3, target: 'pump-2' },
        ])
          ids.push(await trail.begin(attempt(tenant, change)));
        await trail.begin(attempt(other));
        const [first, second, third, fourth] = ids as [number, number, number, number];
        const listed = async (query: Partial<Parameters<AuditTrail['list']>[0]>) =>
          (await trail.list({ tenant, limit: 10, ...query })).map(({ id }) => id);
        assert.deepEqual(await listed({}), [fourth, third, second, first]);
        assert.deepEqual(await listed({ limit: 2 }), [fourth, third]);
        assert.deepEqual(await listed({ before: third, limit: 2 }), [second, first]);
        assert.deepEqual(await listed({ actor: 'ben' }), [second]);
        assert.deepEqual(await listed({ action: 'device.remove' }), [third]);
        assert.deepEqual(await listed({ target: 'pump-2' }), [fourth]);
        assert.deepEqual(await listed({ fromMs: T0 + 1, toMs: T0 + 3 }), [third, second]);
        assert.deepEqual(await listed({ actor: 'nobody' }), []);
      },
    },
    {
      name: 'forgets what is older, and the oldest above its bound, and never uses an id again',
      async run({ trail, maxEntries, tenants: [tenant, other] }) {
        await trail.begin(attempt(other, { atMs: T0 - 1 }));
        for (let i = 0; i < maxEntries + 2; i++) await trail.begin(attempt(tenant, { atMs: T0 + i }));
        assert.equal(await trail.forget(T0), 3);
        assert.equal(await trail.forget(T0), 0);
        const kept = await trail.list({ tenant, limit: 10_000 });
        assert.deepEqual([kept.length, kept.at(-1)?.atMs], [maxEntries, T0 + 2]);
        assert.equal(await trail.forget(T0 + 86_400_000), maxEntries);
        assert.ok((await trail.begin(attempt(tenant))) > (kept[0]?.id ?? Infinity));
      },
    },
    {
      name: 'refuses a summary above its bound',
      async run({ trail, tenants: [tenant] }) {
        const before = 'x'.repeat(MAX_AUDIT_SUMMARY + 1);
        await assert.rejects(trail.begin(attempt(tenant, { before })), failsWith('invalid_argument'));
        const id = await trail.begin(attempt(tenant, { before: before.slice(1) }));
        await assert.rejects(trail.finish(id, { outcome: 'done', after: before }), failsWith('invalid_argument'));
      },
    },
    {
      name: 'refuses calls after closing, and those whose caller has stopped waiting',
      async run({ trail, tenants: [tenant] }) {
        const signal = AbortSignal.abort();
        await assert.rejects(trail.begin(attempt(tenant), { signal }), failsWith('cancelled'));
        await trail.close();
        await trail.close();
        await assert.rejects(trail.list({ tenant, limit: 1 }), failsWith('failed_precondition'));
      },
    },
  ],
};
