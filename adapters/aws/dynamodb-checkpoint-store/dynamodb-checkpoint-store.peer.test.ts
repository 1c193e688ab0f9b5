import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { checkpointStoreContract } from '#core/contracts/checkpoint-store.contract.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import { makeTable } from '#test/peers/moto-table.ts';
import { Moto } from '#test/peers/moto.ts';
import { openDynamoTable } from '../dynamo-table.ts';
import { dynamodbCheckpointStoreConfigSchema } from './config.ts';
import { DynamodbCheckpointStore } from './dynamodb-checkpoint-store.ts';

const REGION = 'eu-central-1';
let moto: Moto;

beforeAll(async () => {
  moto = await Moto.start();
}, 300_000);

afterAll(() => moto[Symbol.asyncDispose]());

async function makeHarness() {
  const config = configOf(`tribo-${randomUUID()}`);
  await makeTable(moto, REGION, config.table);
  const opened: DynamodbCheckpointStore[] = [];
  const reopen = async () => {
    const store = await DynamodbCheckpointStore.open(config);
    opened.push(store);
    return store;
  };
  return {
    config,
    store: await reopen(),
    reopen,
    // The store's time is real: it is that for which nobody renewed.
    passTime: (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms)),
    [Symbol.asyncDispose]: async () => opened.forEach((store) => store.close()),
  };
}

function configOf(table: string) {
  return dynamodbCheckpointStoreConfigSchema.parse({ endpoint: moto.endpoint, region: REGION, table });
}

describeContract(checkpointStoreContract, 'DynamoDB (moto)', makeHarness);

describe('checkpoints in a table', () => {
  it('may be larger than an item of DynamoDB; parts that are no longer named are deleted, also those of a save that lost', async () => {
    await using harness = await makeHarness();
    const { store, config } = harness;
    const stateOf = (bytes: number) => Uint8Array.from({ length: bytes }, (_, at) => (at * 7919) % 251);
    const table = await openDynamoTable(config);
    const items = async () => (await table.list('checkpoint#windows', AbortSignal.timeout(10_000))).length;
    await store.save('windows', stateOf(1_000_000), 0);
    expect(Buffer.compare((await store.load('windows'))!.state, stateOf(1_000_000))).toBe(0);
    await expect(store.save('windows', stateOf(900_000), 7)).rejects.toMatchObject({ code: 'failed_precondition' });
    expect(await items()).toBe(1 + 3);
    await store.save('windows', stateOf(800_000), 1);
    expect(await items()).toBe(1 + 3);
    expect(Buffer.compare((await store.load('windows'))!.state, stateOf(800_000))).toBe(0);
    await store.save('windows', stateOf(10), 2);
    expect(await items()).toBe(1);
    expect(Buffer.from((await store.load('windows'))!.state)).toEqual(Buffer.from(stateOf(10)));
    table.close();
  });

  it('are not taken for absent where the table is', async () => {
    const store = await DynamodbCheckpointStore.open(configOf('nobodys-table'));
    const attempts = [
      () => store.load('x'),
      () => store.save('x', new Uint8Array(1), 0),
      () => store.acquireLease('x', 'a', 1000),
    ];
    for (const attempt of attempts)
      await expect(attempt()).rejects.toMatchObject({
        code: 'failed_precondition',
        message: expect.stringContaining('in table nobodys-table'),
      });
    store.close();
  });
});

describe('a lease of a holder that is gone', () => {
  it('is taken over by a process that has watched it for its whole length, and by none that has not', async () => {
    await using harness = await makeHarness();
    const [gone, watcher, newcomer] = [harness.store, await harness.reopen(), await harness.reopen()];
    await gone.acquireLease('store', 'gone', 200);
    expect(await watcher.acquireLease('store', 'watcher', 60_000)).toBeUndefined();
    await harness.passTime(250);
    expect(await newcomer.acquireLease('store', 'newcomer', 60_000)).toBeUndefined();
    expect(await watcher.acquireLease('store', 'watcher', 60_000)).toMatchObject({ fence: 2 });
  });
});
