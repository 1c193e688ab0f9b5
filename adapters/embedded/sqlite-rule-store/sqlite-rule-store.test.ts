import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { systemClock } from '#core/clock.ts';
import { movableRuleStoreContract } from '#core/contracts/movable.contract.ts';
import { ruleStoreContract } from '#core/contracts/rule-store.contract.ts';
import type { TenantId } from '#core/domain/ids.ts';
import { ruleSchema } from '#core/domain/rule.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import { openInFolder } from '#test/support/store-in-folder.ts';
import { twoSites } from '#test/support/two-sites.ts';
import { SqliteRuleStore } from './sqlite-rule-store.ts';

const tenant = 'north' as TenantId;

const openStore = ({ maxRulesPerTenant = 100 } = {}) =>
  openInFolder((folder) => {
    const config = { databasePath: join(folder, 'rules.db'), changePollMs: 10, maxRulesPerTenant };
    return SqliteRuleStore.open(config, systemClock);
  });

describeContract(ruleStoreContract, 'sqlite', async () => ({
  ...(await openStore()),
  tenants: [tenant, 'south' as TenantId] as const,
}));

describeContract(movableRuleStoreContract, 'sqlite', () => twoSites(openStore, openStore));

describe('SQLite rule store', () => {
  it('refuses rules above its bound, and still replaces those it has', async () => {
    await using opened = await openStore({ maxRulesPerTenant: 1 });
    const rule = ruleSchema.parse({ kind: 'missing-data', id: 'silent', text: 'No data', afterMs: 60_000 });
    await opened.store.put(tenant, rule, { by: 'asha' });
    const another = opened.store.put(tenant, { ...rule, id: 'another' }, { by: 'asha' });
    await expect(another).rejects.toMatchObject({ code: 'resource_exhausted' });
    expect((await opened.store.put(tenant, rule, { by: 'asha' })).version).toBe(2);
  });
});
