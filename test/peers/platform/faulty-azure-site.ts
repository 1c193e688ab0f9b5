import { eventHubsEventStreamConfigSchema } from '#adapters/azure/event-hubs-event-stream/config.ts';
import { EventHubsEventStream } from '#adapters/azure/event-hubs-event-stream/event-hubs-event-stream.ts';
import { blobError } from '../azure/azure-faults.ts';
import type { EventHubs, SendFault } from '../event-hubs.ts';
import { cutAfter, cutBefore, HttpFaults, late, noFault, SEEMING } from '../http-faults.ts';
import type { IotHub } from '../iot-hub.ts';
import { PostgresOnAWire } from '../postgres-on-a-wire.ts';
import { TcpFaults } from '../tcp-faults.ts';
import { azurePeers, azureSettings } from './azure-site.ts';
import {
  cutAgainAndAgain,
  databaseFailsOver,
  on,
  together,
  type BegunFault,
  type Fault,
  type FaultySite,
  type FaultySiteKind,
} from './faulty-site.ts';
import { siteOn, type Site } from './site.ts';

/** Of every call: what is held is given up after it. */
const TIMEOUT_MS = 8000;
const AWAY_MS = 20_000;

interface FaultyAzureSite extends FaultySite {
  readonly hubs: EventHubs;
  readonly iotHub: IotHub;
  /** To Event Hubs, of the streams and of what devices send. */
  readonly amqp: TcpFaults;
  /** To the blobs that say how far the streams' groups are. */
  readonly checkpoints: HttpFaults;
  /** To Blob Storage. */
  readonly objects: HttpFaults;
}

async function start(): Promise<FaultyAzureSite> {
  const peers = azurePeers();
  const [hubs, blobs] = [peers[0], peers[1].then(({ connectionString }) => endpointOf(connectionString))];
  let parts: Omit<FaultyAzureSite, keyof Site> | undefined;
  const starting = [
    ...peers,
    PostgresOnAWire.start(),
    hubs.then(({ connectionString }) => TcpFaults.start({ port: Number(/:(\d+)/.exec(connectionString)![1]) })),
    blobs.then(HttpFaults.start),
    blobs.then(HttpFaults.start),
  ] as const;
  const site = await siteOn(starting, async (started) => {
    const [hubs, azurite, vault, iotHub, identity, postgres, amqp, checkpoints, objects] = started;
    const { ports, ...rest } = await azureSettings({ hubs, azurite, vault, iotHub, identity });
    const { azure, eventStream, deviceGateway, objectStore, ...others } = ports;
    const openStream = () =>
      EventHubsEventStream.open(
        eventHubsEventStreamConfigSchema.parse({
          ...{ ...azure, ...eventStream, timeoutMs: TIMEOUT_MS, source: 'observer' },
        }),
        { onFailure: () => undefined },
      );
    parts = { hubs, iotHub, amqp, checkpoints, objects, postgres, openStream };
    const { connectionString } = hubs;
    const over = { hubsEmulatorConnectionString: connectionString.replace(/:\d+/, `:${amqp.port}`) };
    const blobsOver = ({ endpoint }: HttpFaults) => ({
      emulatorConnectionString: azurite.connectionString.replace(endpointOf(azurite.connectionString), endpoint),
    });
    return {
      ...rest,
      ports: {
        ...others,
        azure: { timeoutMs: TIMEOUT_MS },
        eventStream: { ...eventStream, ...over, ...blobsOver(checkpoints) },
        deviceGateway: { ...deviceGateway, ...over, ...blobsOver(checkpoints) },
        objectStore: { ...objectStore, ...blobsOver(objects) },
        postgres: postgres.freshConnection(),
      },
    };
  });
  return { ...site, ...parts! };
}

function endpointOf(connectionString: string): string {
  return /http:\/\/127\.0\.0\.1:\d+/.exec(connectionString)![0];
}

/** Each third batch of a partition meets one of them, in turn. */
function sending(hubs: EventHubs, faults: readonly SendFault[]): BegunFault {
  const batches = new Map<string, number>();
  let times = 0;
  hubs.sendFault = (hub, partition) => {
    const place = `${hub} ${partition}`;
    const batch = (batches.get(place) ?? 0) + 1;
    batches.set(place, batch);
    return batch % 3 === 0 ? faults[times++ % faults.length] : undefined;
  };
  return { times: () => times, end: () => void (hubs.sendFault = undefined) };
}

/** Of every fourth request: they read, renew and save how far a group is. */
function someFail(wire: HttpFaults): BegunFault {
  const faults = [
    blobError(500, 'InternalError'),
    blobError(503, 'ServerBusy'),
    cutBefore,
    cutAfter,
    late(TIMEOUT_MS + 500),
  ];
  let requests = 0;
  let times = 0;
  wire.fault = (request, pass) => (++requests % 4 === 0 ? faults[times++ % faults.length]!(request, pass) : pass());
  return { times: () => times, end: () => void (wire.fault = noFault) };
}

const FAULTS: readonly Fault<FaultyAzureSite>[] = [
  {
    what: 'Event Hubs throttles part of the batches',
    begin: ({ hubs }) => sending(hubs, [{ refuse: 'com.microsoft:server-busy' }]),
  },
  {
    what: 'Event Hubs and the checkpoints fail, throttle, detach links, lose answers and answer late, now and then',
    begin: ({ hubs, checkpoints }) =>
      together(sending(hubs, [{ refuse: 'amqp:internal-error' }, 'detached', 'answer lost']), someFail(checkpoints)),
  },
  {
    what: 'connections to Event Hubs are cut again and again, also in the middle of what is sent',
    begin: ({ amqp }) => cutAgainAndAgain(amqp),
  },
  {
    what: 'the token has expired',
    told: /intake takes no more .*InvalidSignature/,
    begin: ({ hubs, amqp }) => {
      hubs.refusesTokens = true;
      amqp.cut();
      return { end: () => void (hubs.refusesTokens = false) };
    },
  },
  {
    what: 'Event Hubs does not answer',
    told: /intake takes no more .*no answer/,
    begin: ({ amqp }) => {
      amqp.hold();
      return { end: () => amqp.letGo() };
    },
  },
  {
    what: 'Event Hubs is away, and comes back',
    told: /intake takes no more /,
    begin: async ({ hubs }) => {
      await hubs.stop();
      return { end: () => hubs.listen() };
    },
  },
  databaseFailsOver,
  {
    what: 'Blob Storage is away for twenty seconds',
    told: /samples: intake takes no waveforms.*tribo-objects/,
    begin: ({ objects }) => on(objects, SEEMING.gone),
    atLeastMs: AWAY_MS,
  },
];

export const FAULTY_AZURE: FaultySiteKind<FaultyAzureSite> = { name: 'Azure', start, faults: FAULTS };
