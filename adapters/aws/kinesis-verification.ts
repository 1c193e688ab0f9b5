import assert from 'node:assert/strict';
import {
  deployedChecks,
  sweepEach,
  type DeployedCheck,
  type Verification,
  type VerificationTools,
} from '#core/contracts/verification.ts';
import { PortError } from '#core/errors.ts';
import { ownStreamContracts } from '../own-stream.ts';
import { checkRetention, DELIVERY_NOT_CHECKED } from '../stream-verification.ts';
import { awsCall } from './aws-errors.ts';
import type { DynamodbCheckpointStoreConfig } from './dynamodb-checkpoint-store/config.ts';
import { openKinesis, type KinesisCalls } from './kinesis-event-stream/client.ts';
import type { KinesisEventStreamConfig } from './kinesis-event-stream/config.ts';
import { KINESIS_CODES } from './kinesis-event-stream/kinesis-codes.ts';
import { decodeRecord, encodeMarker } from './kinesis-event-stream/record-codec.ts';
import { OwnKinesis } from './own-kinesis.ts';

/** Not of the least use to others: the record that a group's declaration writes, too. */
const MARKS = 'a record without events';
/** A shard may be empty up to a record for some reads. */
const READS = 20;

/** With the contract of checkpoints in the table of leases. */
export async function kinesisVerification(
  settings: KinesisEventStreamConfig,
  tools: VerificationTools,
  verifyTable: (settings: DynamodbCheckpointStoreConfig, tools: VerificationTools) => Promise<Verification>,
): Promise<Verification> {
  const { streams, stateTable: table, region, endpoint, stateEndpoint = endpoint, timeoutMs, retentionMs } = settings;
  const state = await verifyTable({ region, endpoint: stateEndpoint, table, timeoutMs }, tools);
  const kinesis = await openKinesis(settings);
  const own = tools.provision ? await OwnKinesis.open(settings, tools.run) : undefined;
  const names = Object.values(streams);
  const checks = names.flatMap((name) => [
    {
      name: `${name} is there, and keeps events as long as the site reckons with`,
      run: () => checkSummary(kinesis, name, timeoutMs, retentionMs),
    },
    { name: `${name} takes ${MARKS}, and gives it back`, run: () => markAndRead(kinesis, name, timeoutMs) },
  ]);
  return {
    makes: `${MARKS} in one shard of each of ${names.join(', ')}, which readers pass over; ${state.makes}${own ? `; ${own.makes}` : ''}`,
    needs: `${needsOf(names)}; ${state.needs}${own ? `; ${OwnKinesis.needs}` : ''}`,
    contracts: [
      deployedChecks('event-stream', checks, own ? [] : [DELIVERY_NOT_CHECKED]),
      ...(own ? ownStreamContracts(() => own.forCase()) : []),
      ...state.contracts,
    ],
    sweep: (isOver) => sweepEach([...(own ? [own] : []), state].map((each) => () => each.sweep(isOver))),
    close: async () => {
      own?.close();
      kinesis.close();
      await state.close();
    },
  };
}

/** What is there and can be read, of a stream that others write to. */
export function readingCheck(kinesis: KinesisCalls, name: string, timeoutMs: number): DeployedCheck {
  return {
    name: `${name} is there, and is read`,
    run: async () => {
      const call = callOf(name, timeoutMs);
      const shard = (await call('list the shards of', (signal) => kinesis.shards(name, signal))).find(
        ({ isOpen }) => isOpen,
      );
      assert.ok(shard, `${name} has no open shard`);
      const iterator = await call('find a place in', (signal) =>
        kinesis.iterator(name, shard.id, { at: 'oldest' }, signal),
      );
      await call('read', (signal) => kinesis.read(iterator, signal));
    },
  };
}

function needsOf(names: readonly string[]): string {
  return `kinesis:DescribeStreamSummary, ListShards, GetShardIterator, GetRecords, PutRecords on ${names.map((name) => `stream/${name}`).join(', ')}`;
}

async function checkSummary(
  kinesis: KinesisCalls,
  name: string,
  timeoutMs: number,
  retentionMs: number,
): Promise<void> {
  const { status, retentionHours } = await callOf(name, timeoutMs)('describe', (signal) =>
    kinesis.summary(name, signal),
  );
  if (status !== 'ACTIVE' && status !== 'UPDATING')
    throw new PortError('unavailable', `the stream ${name} is ${status}`);
  checkRetention(name, retentionHours * 3_600_000, retentionMs);
}

async function markAndRead(kinesis: KinesisCalls, name: string, timeoutMs: number): Promise<void> {
  const call = callOf(name, timeoutMs);
  const shards = await call('list the shards of', (signal) => kinesis.shards(name, signal));
  const shard = shards.find(({ isOpen }) => isOpen);
  assert.ok(shard, `${name} has no open shard`);
  const record = { data: encodeMarker(), partitionKey: 'marker', hashKey: shard.firstHashKey };
  const [put] = await call('publish to', (signal) => kinesis.put(name, [record], signal));
  const { shardId, sequenceNumber, errorCode } = put ?? {};
  if (shardId === undefined || sequenceNumber === undefined)
    throw new PortError('unavailable', `${name} takes no record for the moment: ${errorCode}`);
  let next: string | undefined = await call('find a place in', (signal) =>
    kinesis.iterator(name, shardId, { at: 'record', sequenceNumber }, signal),
  );
  for (let reads = 0; next !== undefined && reads < READS; reads++) {
    const from: string = next;
    const read = await call('read', (signal) => kinesis.read(from, signal));
    const found = read.records.find((each) => each.sequenceNumber === sequenceNumber);
    if (found) {
      assert.deepEqual(decodeRecord(found.data, name), []);
      return;
    }
    next = read.next;
  }
  assert.fail(`${name} does not give back what it took: record ${sequenceNumber} of ${shardId}`);
}

function callOf(name: string, timeoutMs: number) {
  return <Result>(doing: string, make: (signal: AbortSignal) => Promise<Result>): Promise<Result> =>
    awsCall({ what: `${doing} ${name}`, timeoutMs, codes: KINESIS_CODES }, make);
}
