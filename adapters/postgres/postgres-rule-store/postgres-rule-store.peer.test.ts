import { afterAll, beforeAll } from '@jest/globals';
import { systemClock } from '#core/clock.ts';
import { ruleStoreContract } from '#core/contracts/rule-store.contract.ts';
import type { TenantId } from '#core/domain/ids.ts';
import { Postgres } from '#test/peers/postgres.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import { postgresRuleStoreConfigSchema } from './config.ts';
import { PostgresRuleStore } from './postgres-rule-store.ts';

let postgres: Postgres;
beforeAll(async () => {
  postgres = await Postgres.start();
}, 300_000);
afterAll(() => postgres[Symbol.asyncDispose]());

describeContract(ruleStoreContract, 'PostgreSQL', async () => ({
  ...(await postgres.openInSchema((connection) =>
    PostgresRuleStore.open(postgresRuleStoreConfigSchema.parse(connection), systemClock),
  )),
  tenants: ['north' as TenantId, 'south' as TenantId] as const,
}));
