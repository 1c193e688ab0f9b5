import { openDynamoTable, type DynamoTable } from '#adapters/aws/dynamo-table.ts';
import { kinesisEventStreamConfigSchema } from '#adapters/aws/kinesis-event-stream/config.ts';
import { KinesisEventStream } from '#adapters/aws/kinesis-event-stream/kinesis-event-stream.ts';
import { LeaseTable, type ShardLease } from '#adapters/aws/kinesis-event-stream/lease-table.ts';
import { anyFault, awsError, inTurn, throttleSome } from '../aws/aws-faults.ts';
import { HttpFaults, noFault, SEEMING, type WireFault } from '../http-faults.ts';
import { Moto } from '../moto.ts';
import { PostgresOnAWire } from '../postgres-on-a-wire.ts';
import { awsPorts, STATE_TABLE, streamName } from './aws-site.ts';
import {
  databaseFailsOver,
  CHANGING_MS,
  GROUPS,
  on,
  takenAgainAndAgain,
  type BegunFault,
  type Fault,
  type FaultySite,
  type FaultySiteKind,
} from './faulty-site.ts';
import { siteOn } from './site.ts';

/** Of every call: what is held is given up after it. */
const TIMEOUT_MS = 3000;
const AWAY_MS = 20_000;

interface FaultyAwsSite extends FaultySite {
  /** To Kinesis and DynamoDB. */
  readonly streams: HttpFaults;
  /** To S3. */
  readonly objects: HttpFaults;
  /** What the streams' groups have settled, and whose shards are, by no wire. */
  readonly state: DynamoTable;
}

async function start(): Promise<FaultyAwsSite> {
  const moto = await Moto.start();
  let wires: Pick<FaultyAwsSite, 'streams' | 'objects' | 'state' | 'postgres' | 'openStream'> | undefined;
  const starting = [
    Promise.resolve(moto),
    PostgresOnAWire.start(),
    HttpFaults.start(moto.endpoint),
    HttpFaults.start(moto.endpoint),
  ] as const;
  const site = await siteOn(starting, async ([, postgres, streams, objects]) => {
    const { aws, eventStream, objectStore, ...rest } = await awsPorts(moto);
    const direct = { region: aws.region, endpoint: moto.endpoint, ...eventStream, source: 'observer' };
    const openStream = () => KinesisEventStream.open(kinesisEventStreamConfigSchema.parse(direct));
    const { region, endpoint } = direct;
    const state = await openDynamoTable({ region, endpoint, table: STATE_TABLE });
    wires = { streams, objects, state, postgres, openStream };
    return {
      ports: {
        ...rest,
        aws: { ...aws, endpoint: streams.endpoint, timeoutMs: TIMEOUT_MS },
        ...{ eventStream, objectStore: { ...objectStore, endpoint: objects.endpoint } },
        postgres: postgres.freshConnection(),
      },
    };
  });
  const dispose = async (): Promise<void> => {
    wires!.state.close();
    await site[Symbol.asyncDispose]();
  };
  return { ...site, ...wires!, [Symbol.asyncDispose]: dispose };
}

/** Some of the requests meet one of them. */
function inTurnOn(wire: HttpFaults, faultsOf: (operation: string) => readonly WireFault[]): BegunFault {
  let times = 0;
  const counted = (fault: WireFault): WireFault => {
    return (request, pass) => {
      times++;
      return fault(request, pass);
    };
  };
  wire.fault = inTurn((operation) => faultsOf(operation).map(counted));
  return { times: () => times, end: () => void (wire.fault = noFault) };
}

/** Of the groups, each of which has a shard. */
function leasesIn(state: DynamoTable) {
  return GROUPS.map(([stream, group]) => {
    const leases = new LeaseTable(state, streamName(stream), TIMEOUT_MS);
    return {
      ready: () => leases.list(group),
      take: (lease: ShardLease, owner: string, leaseMs: number) => leases.take(group, lease, owner, leaseMs),
    };
  });
}

const FAULTS: readonly Fault<FaultyAwsSite>[] = [
  {
    what: 'Kinesis throttles single records',
    begin: ({ streams }) => inTurnOn(streams, (operation) => (operation === 'PutRecords' ? [throttleSome] : [])),
  },
  {
    what: 'Kinesis and DynamoDB fail, throttle, cut connections and answer late, now and then',
    begin: ({ streams }) => inTurnOn(streams, () => anyFault(TIMEOUT_MS + 500)),
  },
  {
    what: 'somebody takes the leases of shards from their owners while they work, again and again',
    begin: ({ state }) => takenAgainAndAgain(leasesIn(state)),
    atLeastMs: CHANGING_MS,
  },
  {
    what: 'the token has expired',
    told: /events cannot be made durable: .*ExpiredToken/,
    refuses: /intake takes no more .*ExpiredToken/,
    begin: ({ streams }) => on(streams, awsError(400, 'ExpiredTokenException')),
  },
  {
    what: 'Kinesis and DynamoDB do not answer',
    told: /events cannot be made durable: .*no answer/,
    refuses: /intake takes no more .*no answer/,
    begin: ({ streams }) => on(streams, SEEMING.hanging),
  },
  databaseFailsOver,
  {
    what: 'S3 is away for twenty seconds',
    told: /samples: intake takes no waveforms.*tribo-site/,
    begin: ({ objects }) => on(objects, SEEMING.gone),
    atLeastMs: AWAY_MS,
  },
];

export const FAULTY_AWS: FaultySiteKind<FaultyAwsSite> = { name: 'AWS', start, faults: FAULTS };
