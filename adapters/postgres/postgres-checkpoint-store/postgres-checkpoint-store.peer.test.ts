import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { checkpointStoreContract } from '#core/contracts/checkpoint-store.contract.ts';
import { Postgres } from '#test/peers/postgres.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import { checkpointStoreHarness } from '../contract-harnesses.ts';
import { postgresCheckpointStoreConfigSchema } from './config.ts';

let postgres: Postgres;

beforeAll(async () => {
  postgres = await Postgres.start();
}, 300_000);
afterAll(() => postgres[Symbol.asyncDispose]());

const makeHarness = () => checkpointStoreHarness(postgresCheckpointStoreConfigSchema.parse(postgres.freshConnection()));

describeContract(checkpointStoreContract, 'PostgreSQL', makeHarness);

describe('checkpoints of several processes', () => {
  it('that are saved at the same time in any order wait for none for ever', async () => {
    await using opened = await makeHarness();
    const stores = [opened.store, await opened.reopen(), await opened.reopen()];
    const names = Array.from({ length: 50 }, (_, at) => `machine-${at}`);
    for (let version = 0; version < 5; version++) {
      const saves = stores.flatMap((store, at) =>
        (at % 2 === 0 ? names : names.toReversed()).map((name) => store.save(name, Uint8Array.of(at), version)),
      );
      const results = await Promise.allSettled(saves);
      expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(names.length);
      const failures = results.flatMap((each) => (each.status === 'rejected' ? [(each.reason as Error).message] : []));
      expect(failures.filter((message) => !message.includes('no longer at version'))).toEqual([]);
    }
  });
});
