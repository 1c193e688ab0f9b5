import assert from 'node:assert/strict';
import type { RuleId, TenantId } from '../domain/ids.ts';
import { ruleSchema, type Rule, type RuleDescription } from '../domain/rule.ts';
import type { RuleStore } from '../ports/rule-store.ts';
import type { Contract } from './contract.ts';
import { failsWith } from './fails-with.ts';

export interface RuleStoreHarness {
  readonly store: RuleStore;
  /** Two tenants of this case alone, in order. */
  readonly tenants: readonly [TenantId, TenantId];
  /** Another client of the same store, as another process would open it. */
  reopen(): Promise<RuleStore>;
}

const by = 'asha';

function rule(id: string, limit = 80): Rule {
  const description: RuleDescription = {
    kind: 'threshold',
    id,
    text: 'Bearing temperature high ✓',
    metric: 'temperature',
    direction: 'above',
    limit,
  };
  return ruleSchema.parse(description);
}

const idOf = (id: string) => id as RuleId;

export const ruleStoreContract: Contract<RuleStoreHarness> = {
  port: 'rule-store',
  cases: [
    {
      name: 'gives back what was put, also to a second client, with versions that rise by one',
      async run({ store, tenants: [tenant], ...harness }) {
        const first = await store.put(tenant, rule('hot'), { by });
        assert.deepEqual([first.version, first.updatedBy, first.rule], [1, by, rule('hot')]);
        const second = await store.put(tenant, rule('hot', 90), { by: 'ben' });
        assert.equal(second.version, 2);
        assert.deepEqual(await (await harness.reopen()).get(tenant, idOf('hot')), second);
      },
    },
    {
      name: 'refuses a conditional change of another version, and changes nothing',
      async run({ store, tenants: [tenant] }) {
        await assert.rejects(
          store.put(tenant, rule('hot'), { by, expectedVersion: 1 }),
          failsWith('failed_precondition'),
        );
        await store.put(tenant, rule('hot'), { by, expectedVersion: 0 });
        await assert.rejects(
          store.put(tenant, rule('hot', 90), { by, expectedVersion: 0 }),
          failsWith('failed_precondition'),
        );
        await assert.rejects(
          store.delete(tenant, idOf('hot'), { by, expectedVersion: 2 }),
          failsWith('failed_precondition'),
        );
        assert.deepEqual((await store.get(tenant, idOf('hot')))?.rule, rule('hot'));
      },
    },
    {
      name: 'lets one of many concurrent conditional changes win',
      async run({ store, tenants: [tenant], ...harness }) {
        const other = await harness.reopen();
        await store.put(tenant, rule('hot'), { by });
        const attempts = await Promise.allSettled(
          Array.from({ length: 10 }, (_unused, i) =>
            (i % 2 ? store : other).put(tenant, rule('hot', i), { by, expectedVersion: 1 }),
          ),
        );
        assert.equal(attempts.filter(({ status }) => status === 'fulfilled').length, 1);
        assert.equal((await store.get(tenant, idOf('hot')))?.version, 2);
      },
    },
    {
      name: 'never uses a version twice, not even after deletion, and keeps the history',
      async run({ store, tenants: [tenant] }) {
        await store.put(tenant, rule('hot'), { by });
        await store.delete(tenant, idOf('hot'), { by: 'ben', expectedVersion: 1 });
        assert.equal(await store.get(tenant, idOf('hot')), undefined);
        assert.deepEqual(await store.list({ tenant, limit: 10 }), []);
        await assert.rejects(store.delete(tenant, idOf('hot'), { by }), failsWith('not_found'));
        const again = await store.put(tenant, rule('hot', 70), { by, expectedVersion: 0 });
        assert.equal(again.version, 3);
        const history = await store.history(tenant, idOf('hot'), { limit: 10 });
        assert.deepEqual(
          history.map((entry) => [entry.version, entry.by, entry.rule]),
          [
            [3, by, rule('hot', 70)],
            [2, 'ben', undefined],
            [1, by, rule('hot')],
          ],
        );
        assert.deepEqual(await store.history(tenant, idOf('hot'), { limit: 2 }), history.slice(0, 2));
        assert.deepEqual(await store.history(tenant, idOf('hot'), { before: 2, limit: 2 }), history.slice(2));
        assert.deepEqual(await store.history(tenant, idOf('hot'), { before: 1, limit: 2 }), []);
        assert.deepEqual(await store.history(tenant, idOf('unknown'), { limit: 10 }), []);
      },
    },
    {
      name: 'lists by tenant or all, in order, page by page',
      async run({ store, tenants: [tenant, other] }) {
        for (const id of ['b', 'a', 'c']) await store.put(tenant, rule(id), { by });
        await store.put(other, rule('a'), { by });
        const listed = async (query: Parameters<RuleStore['list']>[0]) =>
          (await store.list(query)).map((each) => `${each.tenant}/${each.rule.id}`);
        const own = ['a', 'b', 'c'].map((id) => `${tenant}/${id}`);
        assert.deepEqual(await listed({ tenant, limit: 10 }), own);
        assert.deepEqual(await listed({ tenant, limit: 2 }), own.slice(0, 2));
        assert.deepEqual(await listed({ tenant, after: { tenant, id: idOf('a') }, limit: 10 }), own.slice(1));
        const rest = await listed({ after: { tenant, id: idOf('b') }, limit: 2 });
        assert.deepEqual(rest, [`${tenant}/c`, `${other}/a`]);
      },
    },
    {
      name: 'keeps tenants apart',
      async run({ store, tenants: [tenant, other] }) {
        await store.put(tenant, rule('hot'), { by });
        assert.equal(await store.get(other, idOf('hot')), undefined);
        await assert.rejects(store.delete(other, idOf('hot'), { by }), failsWith('not_found'));
        assert.equal((await store.put(other, rule('hot'), { by, expectedVersion: 0 })).version, 1);
      },
    },
    {
      name: 'refuses a rule that its schema refuses, naming the field',
      async run({ store, tenants: [tenant] }) {
        const broken = { ...rule('hot'), onDelayMs: -1 };
        await assert.rejects(store.put(tenant, broken, { by }), (error: unknown) => {
          assert.ok(failsWith('invalid_argument')(error));
          assert.match((error as Error).message, /\/onDelayMs/);
          return true;
        });
      },
    },
    {
      name: 'tells of changes that this or another client made',
      async run({ store, tenants: [tenant], ...harness }) {
        const other = await harness.reopen();
        for (const client of [store, other]) {
          const told = new Promise<void>((resolve) => {
            const stop = store.onChange(() => {
              stop();
              resolve();
            });
          });
          await client.put(tenant, rule('hot'), { by });
          await told;
        }
      },
    },
    {
      name: 'refuses calls after closing, and those whose caller has stopped waiting',
      async run({ store, tenants: [tenant] }) {
        const signal = AbortSignal.abort();
        await assert.rejects(store.put(tenant, rule('hot'), { by }, { signal }), failsWith('cancelled'));
        await store.close();
        await store.close();
        await assert.rejects(store.get(tenant, idOf('hot')), failsWith('failed_precondition'));
      },
    },
  ],
};
