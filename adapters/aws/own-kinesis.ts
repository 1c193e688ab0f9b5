import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '#core/contracts/until.ts';
import { VERIFICATION_MARK, wasLeft } from '#core/contracts/verification.ts';
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
/** Kinesis tells it ten times a second at most. */
const ASKED_AGAIN_MS = 500;

/** A stream of a run's own with the table of its leases: one for all cases, as it takes long to make. */
export class OwnKinesis {
  readonly #place: KinesisEventStreamConfig;
  readonly #name: string;
  readonly #calls: OwnCalls;
  #made: Promise<void> | undefined;
  #cases = 0;

  static async open(place: KinesisEventStreamConfig, run: string): Promise<OwnKinesis> {
    return new OwnKinesis(place, `${VERIFICATION_MARK}-${run}`, await openCalls(place));
  }

  private constructor(place: KinesisEventStreamConfig, name: string, calls: OwnCalls) {
    this.#place = place;
    this.#name = name;
    this.#calls = calls;
  }

  /** What it takes beyond what the services may. */
  static readonly needs = `kinesis:CreateStream, DeleteStream, ListStreams; dynamodb:CreateTable, DeleteTable, DescribeTable, ListTables, on ${VERIFICATION_MARK}-*`;

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

  async sweep(isOver: (run: string) => boolean): Promise<number> {
    const { streams, deleteStream, tables, deleteTable } = this.#calls;
    const ofStreams = (await streams()).filter((name) => wasLeft(name, isOver));
    for (const name of ofStreams) await unlessGoing(deleteStream(name));
    const ofTables = (await tables()).filter((name) => wasLeft(name, isOver));
    for (const name of ofTables) await unlessGoing(deleteTable(name));
    return ofStreams.length + ofTables.length;
  }

  close(): void {
    this.#calls.close();
  }

  async #make(): Promise<void> {
    const { makeStream, isStreamThere, makeTable, isTableThere } = this.#calls;
    try {
      // What a former attempt made is as good.
      await unless('already_exists', makeStream(this.#name, SHARDS));
      await unless('already_exists', makeTable(this.#name));
      await untilMade(`the stream ${this.#name}`, () => isStreamThere(this.#name));
      await untilMade(`the table ${this.#name}`, () => isTableThere(this.#name));
    } catch (error) {
      this.#made = undefined;
      throw error;
    }
  }
}

/** What is being deleted is listed for a while, and in use. */
function unlessGoing(deleting: Promise<void>): Promise<void> {
  return unless('not_found', unless('already_exists', deleting));
}

function untilMade(what: string, isMade: () => Promise<boolean>): Promise<void> {
  const asked = async () => (await isMade()) || (await sleep(ASKED_AGAIN_MS), false);
  return until(asked, `${what} is made`, IS_MADE_WITHIN_MS);
}

/** Each one attempt; what they throw is a PortError. */
interface OwnCalls {
  readonly makeStream: (name: string, shards: number) => Promise<void>;
  readonly isStreamThere: (name: string) => Promise<boolean>;
  readonly deleteStream: (name: string) => Promise<void>;
  readonly streams: () => Promise<readonly string[]>;
  readonly makeTable: (name: string) => Promise<void>;
  readonly isTableThere: (name: string) => Promise<boolean>;
  readonly deleteTable: (name: string) => Promise<void>;
  readonly tables: () => Promise<readonly string[]>;
  readonly close: () => void;
}

async function openCalls({ region, endpoint, stateEndpoint = endpoint, timeoutMs }: KinesisEventStreamConfig) {
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
  const calls: OwnCalls = {
    makeStream: (StreamName, ShardCount) =>
      call(`make the stream ${StreamName}`, async (abortSignal) => {
        await kinesis.createStream({ StreamName, ShardCount }, { abortSignal });
      }),
    isStreamThere: (StreamName) =>
      call(`look for the stream ${StreamName}`, async (abortSignal) => {
        const { StreamDescriptionSummary } = await kinesis.describeStreamSummary({ StreamName }, { abortSignal });
        return StreamDescriptionSummary?.StreamStatus === 'ACTIVE';
      }),
    deleteStream: (StreamName) =>
      call(`delete the stream ${StreamName}`, async (abortSignal) => {
        await kinesis.deleteStream({ StreamName }, { abortSignal });
      }),
    streams: () =>
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
    makeTable: (TableName) =>
      call(`make the table ${TableName}`, async (abortSignal) => {
        await dynamodb.createTable(
          {
            ...{ TableName, BillingMode: 'PAY_PER_REQUEST' },
            KeySchema: [
              { AttributeName: 'pk', KeyType: 'HASH' },
              { AttributeName: 'sk', KeyType: 'RANGE' },
            ],
            AttributeDefinitions: ['pk', 'sk'].map((AttributeName) => ({ AttributeName, AttributeType: 'S' })),
          },
          { abortSignal },
        );
      }),
    isTableThere: (TableName) =>
      call(`look for the table ${TableName}`, async (abortSignal) => {
        const { Table } = await dynamodb.describeTable({ TableName }, { abortSignal });
        return Table?.TableStatus === 'ACTIVE';
      }),
    deleteTable: (TableName) =>
      call(`delete the table ${TableName}`, async (abortSignal) => {
        await dynamodb.deleteTable({ TableName }, { abortSignal });
      }),
    tables: () =>
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
    close: () => {
      kinesis.destroy();
      dynamodb.destroy();
    },
  };
  return calls;
}
