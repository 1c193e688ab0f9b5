import { pubsubEventStreamConfigSchema } from '#adapters/gcp/pubsub-event-stream/config.ts';
import { PubsubEventStream } from '#adapters/gcp/pubsub-event-stream/pubsub-event-stream.ts';
import { checkpointsInFolder } from '#test/support/checkpoints-in-folder.ts';
import { FakeGcs } from '../fake-gcs.ts';
import { HttpFaults, SEEMING } from '../http-faults.ts';
import { Mosquitto } from '../mosquitto.ts';
import { PostgresOnAWire } from '../postgres-on-a-wire.ts';
import { Pstest } from '../pubsub.ts';
import { TcpFaults } from '../tcp-faults.ts';
import {
  cutAgainAndAgain,
  databaseFailsOver,
  on,
  type BegunFault,
  type Fault,
  type FaultySite,
  type FaultySiteKind,
} from './faulty-site.ts';
import { googleSettings } from './google-site.ts';
import { siteOn, type Site } from './site.ts';

/** Of every call: what is held is given up after it. */
const TIMEOUT_MS = 3000;
const AWAY_MS = 20_000;
/** Of gRPC. */
const RESOURCE_EXHAUSTED = 8;
const UNAVAILABLE = 14;
const UNAUTHENTICATED = 16;

interface FaultyGoogleSite extends FaultySite {
  readonly pubsub: Pstest;
  readonly broker: Mosquitto;
  /** To Pub/Sub. */
  readonly wire: TcpFaults;
  /** To Cloud Storage. */
  readonly objects: HttpFaults;
}

async function start(): Promise<FaultyGoogleSite> {
  const [pubsub, gcs] = [Pstest.start(), FakeGcs.start()];
  let parts: Omit<FaultyGoogleSite, keyof Site | 'everyMs'> | undefined;
  const starting = [
    ...([pubsub, gcs, Mosquitto.start(), PostgresOnAWire.start(), checkpointsInFolder()] as const),
    pubsub.then(({ endpoint }) => TcpFaults.start({ port: Number(endpoint.split(':')[1]) })),
    gcs.then(({ endpoint }) => HttpFaults.start(endpoint)),
  ] as const;
  const site = await siteOn(starting, async ([pubsub, gcs, broker, postgres, observers, wire, objects]) => {
    const { ports, ...rest } = await googleSettings({ pubsub, gcs, broker });
    const { eventStream, objectStore, deviceGateway, ...others } = ports;
    const openStream = () =>
      PubsubEventStream.open(pubsubEventStreamConfigSchema.parse({ ...eventStream, source: 'observer' }), {
        checkpoints: observers.store,
        onFailure: () => undefined,
      });
    parts = { pubsub, broker, wire, objects, postgres, openStream };
    return {
      ...rest,
      ports: {
        ...others,
        gcp: { timeoutMs: TIMEOUT_MS },
        eventStream: { ...eventStream, emulatorEndpoint: `127.0.0.1:${wire.port}` },
        objectStore: { ...objectStore, emulatorEndpoint: objects.endpoint },
        deviceGateway: { ...deviceGateway, maxReconnectDelayMs: 1000 },
        postgres: postgres.freshConnection(),
      },
    };
  });
  // The peer gives a lane's next event only once the one before is acknowledged.
  return { ...site, ...parts!, everyMs: 1000 };
}

/** Of each kind of request so many fail. */
async function failing(pubsub: Pstest, code: number, every: number): Promise<BegunFault> {
  await pubsub.fail(code, every);
  return { times: () => pubsub.failed(), end: () => pubsub.failNoMore() };
}

const FAULTS: readonly Fault<FaultyGoogleSite>[] = [
  {
    what: 'Pub/Sub throttles part of the requests',
    begin: ({ pubsub }) => failing(pubsub, RESOURCE_EXHAUSTED, 3),
  },
  {
    what: 'Pub/Sub fails now and then',
    begin: ({ pubsub }) => failing(pubsub, UNAVAILABLE, 4),
  },
  {
    what: 'connections to Pub/Sub are cut again and again, also in the middle of what is sent',
    begin: ({ wire }) => cutAgainAndAgain(wire),
  },
  {
    what: 'the token has expired',
    told: /events cannot be made durable: .*UNAUTHENTICATED/,
    refuses: /intake takes no more .*UNAUTHENTICATED/,
    begin: ({ pubsub }) => failing(pubsub, UNAUTHENTICATED, 1),
  },
  {
    what: 'Pub/Sub does not answer',
    told: /events cannot be made durable: .*no answer/,
    refuses: /intake takes no more .*no answer/,
    begin: ({ wire }) => {
      wire.hold();
      return { end: () => wire.letGo() };
    },
  },
  {
    what: 'the broker of the devices is away, and comes back',
    told: /devices: .*mqtts:/,
    begin: async ({ broker }) => {
      await broker.stop();
      return { end: () => broker.restart() };
    },
  },
  databaseFailsOver,
  {
    what: 'Cloud Storage is away for twenty seconds',
    told: /samples: intake takes no waveforms.*tribo-site/,
    begin: ({ objects }) => on(objects, SEEMING.gone),
    atLeastMs: AWAY_MS,
  },
];

export const FAULTY_GOOGLE: FaultySiteKind<FaultyGoogleSite> = { name: 'Google Cloud', start, faults: FAULTS };
