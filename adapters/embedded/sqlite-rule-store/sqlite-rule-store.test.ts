import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { systemClock } from '#core/clock.ts';
import { ruleStoreContract } from '#core/contracts/rule-store.contract.ts';
import type { TenantId } from '#core/domain/ids.ts';
import { ruleSchema } from '#core/domain/rule.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import { SqliteRuleStore } from './sqlite-rule-store.ts';

const tenant = 'north' as TenantId;

async function openInFolder({ maxRulesPerTenant = 100 } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'tribo-rules-'));
  const opened: SqliteRuleStore[] = [];
  const reopen = async () => {
    const config = { databasePath: join(folder, 'rules.db'), changePollMs: 10, maxRulesPerTenant };
    const store = await SqliteRuleStore.open(config, systemClock);
    opened.push(store);
    return store;
  };
  const dispose = async () => {
    for (const each of opened) await each.close();
    rmSync(folder, { recursive: true });
  };
  return { store: await reopen(), reopen, [Symbol.asyncDispose]: dispose };
}

describeContract(ruleStoreContract, 'sqlite', async () => ({
  ...(await openInFolder()),
  tenants: [tenant, 'south' as TenantId] as const,
}));

describe('SQLite rule store', () => {
  it('refuses rules above its bound, and still replaces those it has', async () => {
    await using opened = await openInFolder({ maxRulesPerTenant: 1 });
    const rule = ruleSchema.parse({ kind: 'missing-data', id: 'silent', text: 'No data', afterMs: 60_000 });
    await opened.store.put(tenant, rule, { by: 'asha' });
    const another = opened.store.put(tenant, { ...rule, id: 'another' }, { by: 'asha' });
    await expect(another).rejects.toMatchObject({ code: 'resource_exhausted' });
    expect((await opened.store.put(tenant, rule, { by: 'asha' })).version).toBe(2);
  });
});
