import { kinesisEventStreamConfigSchema } from '#adapters/aws/kinesis-event-stream/config.ts';
import { KinesisEventStream } from '#adapters/aws/kinesis-event-stream/kinesis-event-stream.ts';
import { anyFault, awsError, inTurn, throttleSome } from '../aws/aws-faults.ts';
import { HttpFaults, noFault, SEEMING, type WireFault } from '../http-faults.ts';
import { Moto } from '../moto.ts';
import { PostgresOnAWire } from '../postgres-on-a-wire.ts';
import { awsPorts } from './aws-site.ts';
import {
  databaseFailsOver,
  on,
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
}

async function start(): Promise<FaultyAwsSite> {
  const moto = await Moto.start();
  let wires: Pick<FaultyAwsSite, 'streams' | 'objects' | 'postgres' | 'openStream'> | undefined;
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
    wires = { streams, objects, postgres, openStream };
    return {
      ports: {
        ...rest,
        aws: { ...aws, endpoint: streams.endpoint, timeoutMs: TIMEOUT_MS },
        ...{ eventStream, objectStore: { ...objectStore, endpoint: objects.endpoint } },
        postgres: postgres.freshConnection(),
      },
    };
  });
  return { ...site, ...wires! };
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
