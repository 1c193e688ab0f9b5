import { afterAll, beforeAll } from '@jest/globals';
import { systemClock } from '#core/clock.ts';
import { movableRuleStoreContract } from '#core/contracts/movable.contract.ts';
import { ruleStoreContract } from '#core/contracts/rule-store.contract.ts';
import { Postgres } from '#test/peers/postgres.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import { twoSites } from '#test/support/two-sites.ts';
import { ruleStoreHarness } from '../contract-harnesses.ts';
import { postgresRuleStoreConfigSchema } from './config.ts';
import { PostgresRuleStore } from './postgres-rule-store.ts';

let postgres: Postgres;
beforeAll(async () => {
  postgres = await Postgres.start();
}, 300_000);
afterAll(() => postgres[Symbol.asyncDispose]());

const open = () =>
  postgres.openInSchema((connection) =>
    PostgresRuleStore.open(postgresRuleStoreConfigSchema.parse(connection), systemClock),
  );

describeContract(movableRuleStoreContract, 'PostgreSQL', () => twoSites(open, open));

describeContract(ruleStoreContract, 'PostgreSQL', () =>
  ruleStoreHarness(postgresRuleStoreConfigSchema.parse(postgres.freshConnection())),
);
