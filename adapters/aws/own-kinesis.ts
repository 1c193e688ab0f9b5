import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '#core/contracts/until.ts';
import { sweepEach, VERIFICATION_MARK, wasLeft } from '#core/contracts/verification.ts';
import type { MeasuredStream } from '#core/ports/event-stream.ts';
import type { OwnStream } from '../own-stream.ts';
import { loadSdk } from '../sdk.ts';
import { unless } from '../unless.ts';
import { awsCall } from './aws-errors.ts';
import { clientSettings } from './aws-place.ts';
import type { KinesisEventStreamConfig } from './kinesis-event-stream/config.ts';
import { KinesisEventStream } from './kinesis-event-stream/kinesis-event-stream.ts';

/** Two take what two groups of a case read at a time, and have a machine in each. */
const SHARDS = 2;
/** So many that each machine of a case has a lane, and with it records, of its own. */
const LANES = 499;
/** A shard takes five reads a second, of both groups together. */
const POLL_MS = 400;
const LEASE_MS = 5_000;
/** Of a stream, which takes some ten seconds. */
const IS_MADE_WITHIN_MS = 180_000;
/** Kinesis tells what a stream is twenty times a second at most, to all who ask. */
const ASKED_AGAIN_MS = 500;

/** A stream of a run's own with the table of its leases: one for all cases, as it takes long to make. */
export class OwnKinesis {
  readonly #place: KinesisEventStreamConfig;
  readonly #name: string;
  readonly #own: OwnResources;
  #made: Promise<void> | undefined;
  #cases = 0;

  static async open(place: KinesisEventStreamConfig, run: string): Promise<OwnKinesis> {
    return new OwnKinesis(place, `${VERIFICATION_MARK}-${run}`, await openResources(place));
  }

  private constructor(place: KinesisEventStreamConfig, name: string, own: OwnResources) {
    this.#place = place;
    this.#name = name;
    this.#own = own;
  }

  /** What it takes beyond what the services may. */
  static readonly needs = `on stream/${VERIFICATION_MARK}-* and table/${VERIFICATION_MARK}-* what the services have on the site's, and kinesis:CreateStream, DeleteStream, DescribeStreamSummary, dynamodb:CreateTable, DeleteTable, DescribeTable; kinesis:ListStreams, dynamodb:ListTables`;

  get makes(): string {
    return `a stream ${this.#name} of ${SHARDS} shards with a table of that name`;
  }

  async forCase(): Promise<OwnStream<MeasuredStream>> {
    await (this.#made ??= this.#make());
    const settings: KinesisEventStreamConfig = {
      ...this.#place,
      ...{ streams: { metrics: this.#name }, stateTable: this.#name, lanes: LANES },
      pollMs: Math.min(this.#place.pollMs, POLL_MS),
      leaseMs: Math.min(this.#place.leaseMs, LEASE_MS),
    };
    return {
      settings,
      processes: join(import.meta.dirname, 'kinesis-event-stream/processes'),
      suffix: `c${++this.#cases}`,
      open: () => KinesisEventStream.open(settings),
      remove: async () => undefined,
    };
  }

  sweep(isOver: (run: string) => boolean): Promise<number> {
    return sweepEach(
      this.#own.kinds.map((kind) => async () => {
        const left = (await kind.names()).filter((name) => wasLeft(name, isOver));
        for (const name of left) await remove(kind, name);
        return left.length;
      }),
    );
  }

  close(): void {
    this.#own.close();
  }

  async #make(): Promise<void> {
    const { kinds } = this.#own;
    try {
      // What a former attempt made is as good.
      for (const { make } of kinds) await unless('already_exists', make(this.#name));
      for (const { what, statusOf } of kinds)
        await untilAsked(`${what} ${this.#name} is made`, async () => (await statusOf(this.#name)) === 'ACTIVE');
    } catch (error) {
      this.#made = undefined;
      throw error;
    }
  }
}

/** One that is not made yet cannot be deleted, and one that is being deleted is listed for a while. */
function remove({ what, statusOf, remove: deleted }: OwnKind, name: string): Promise<void> {
  return untilAsked(`${what} ${name} can be deleted`, async () => {
    const status = await unless('not_found', statusOf(name));
    if (status === 'CREATING') return false;
    if (status !== undefined && status !== 'DELETING') await unless('not_found', deleted(name));
    return true;
  });
}

function untilAsked(what: string, holds: () => Promise<boolean>): Promise<void> {
  return until(async () => (await holds()) || (await sleep(ASKED_AGAIN_MS), false), what, IS_MADE_WITHIN_MS);
}

/** Each call one attempt; what they throw is a PortError. */
interface OwnKind {
  readonly what: 'stream' | 'table';
  readonly make: (name: string) => Promise<unknown>;
  readonly statusOf: (name: string) => Promise<string | undefined>;
  readonly remove: (name: string) => Promise<unknown>;
  readonly names: () => Promise<readonly string[]>;
}

interface OwnResources {
  readonly kinds: readonly OwnKind[];
  readonly close: () => void;
}

async function openResources(place: KinesisEventStreamConfig): Promise<OwnResources> {
  const { region, endpoint, stateEndpoint = endpoint, timeoutMs } = place;
  const [{ Kinesis }, { DynamoDB }, { NodeHttpHandler }] = await loadSdk('AWS', () =>
    Promise.all([
      import('@aws-sdk/client-kinesis'),
      import('@aws-sdk/client-dynamodb'),
      import('@smithy/node-http-handler'),
    ]),
  );
  const settings = clientSettings({ region, endpoint });
  const kinesis = new Kinesis({ ...settings, requestHandler: new NodeHttpHandler(settings.requestHandler) });
  const dynamodb = new DynamoDB(clientSettings({ region, endpoint: stateEndpoint }));
  const codes = { ResourceInUseException: 'already_exists' } as const;
  const call = <Result>(what: string, make: (abortSignal: AbortSignal) => Promise<Result>) =>
    awsCall({ what, timeoutMs, codes }, make);
  const streams: OwnKind = {
    what: 'stream',
    make: (StreamName) =>
      call(`make the stream ${StreamName}`, (abortSignal) =>
        kinesis.createStream({ StreamName, ShardCount: SHARDS }, { abortSignal }),
      ),
    statusOf: (StreamName) =>
      call(`look for the stream ${StreamName}`, async (abortSignal) => {
        const { StreamDescriptionSummary } = await kinesis.describeStreamSummary({ StreamName }, { abortSignal });
        return StreamDescriptionSummary?.StreamStatus;
      }),
    remove: (StreamName) =>
      call(`delete the stream ${StreamName}`, (abortSignal) => kinesis.deleteStream({ StreamName }, { abortSignal })),
    names: () =>
      call('list streams', async (abortSignal) => {
        const found: string[] = [];
        for (let isMore: boolean | undefined = true; isMore;) {
          const after = found.at(-1);
          const page = await kinesis.listStreams(after === undefined ? {} : { ExclusiveStartStreamName: after }, {
            abortSignal,
          });
          found.push(...(page.StreamNames ?? []));
          isMore = page.HasMoreStreams;
        }
        return found;
      }),
  };
  const tables: OwnKind = {
    what: 'table',
    make: (TableName) =>
      call(`make the table ${TableName}`, (abortSignal) =>
        dynamodb.createTable(
          {
            ...{ TableName, BillingMode: 'PAY_PER_REQUEST' },
            KeySchema: [
              { AttributeName: 'pk', KeyType: 'HASH' },
              { AttributeName: 'sk', KeyType: 'RANGE' },
            ],
            AttributeDefinitions: ['pk', 'sk'].map((AttributeName) => ({ AttributeName, AttributeType: 'S' })),
          },
          { abortSignal },
        ),
      ),
    statusOf: (TableName) =>
      call(`look for the table ${TableName}`, async (abortSignal) => {
        const { Table } = await dynamodb.describeTable({ TableName }, { abortSignal });
        return Table?.TableStatus;
      }),
    remove: (TableName) =>
      call(`delete the table ${TableName}`, (abortSignal) => dynamodb.deleteTable({ TableName }, { abortSignal })),
    names: () =>
      call('list tables', async (abortSignal) => {
        const found: string[] = [];
        let from: string | undefined;
        do {
          const page = await dynamodb.listTables(from === undefined ? {} : { ExclusiveStartTableName: from }, {
            abortSignal,
          });
          found.push(...(page.TableNames ?? []));
          from = page.LastEvaluatedTableName;
        } while (from !== undefined);
        return found;
      }),
  };
  return {
    kinds: [streams, tables],
    close: () => {
      kinesis.destroy();
      dynamodb.destroy();
    },
  };
}
