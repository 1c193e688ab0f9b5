import { eventHubsEventStreamConfigSchema } from '#adapters/azure/event-hubs-event-stream/config.ts';
import { EventHubsEventStream } from '#adapters/azure/event-hubs-event-stream/event-hubs-event-stream.ts';
import { openLeaseBlobs, type LeaseBlobs } from '#adapters/azure/event-hubs-event-stream/lease-blobs.ts';
import { PartitionLeases } from '#adapters/azure/event-hubs-event-stream/partition-leases.ts';
import { checkpointsInFolder } from '#test/support/checkpoints-in-folder.ts';
import { blobError } from '../azure/azure-faults.ts';
import type { EventHubs, SendFault } from '../event-hubs.ts';
import { cutAfter, cutBefore, HttpFaults, late, noFault, SEEMING, type WireFault } from '../http-faults.ts';
import { PostgresOnAWire } from '../postgres-on-a-wire.ts';
import { TcpFaults } from '../tcp-faults.ts';
import type { WireRequest } from '../wire-server.ts';
import { azurePeers, azureSettings, hubName } from './azure-site.ts';
import {
  cutAgainAndAgain,
  databaseFailsOver,
  CHANGING_MS,
  GROUPS,
  on,
  takenAgainAndAgain,
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
  /** To Event Hubs, of the streams and of what devices send. */
  readonly amqp: TcpFaults;
  /** To the blobs that say how far the streams' groups are. */
  readonly checkpoints: HttpFaults;
  /** The same blobs, by no wire. */
  readonly leases: LeaseBlobs;
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
    blobs.then((endpoint) => HttpFaults.start(endpoint)),
    blobs.then((endpoint) => HttpFaults.start(endpoint)),
    checkpointsInFolder(),
  ] as const;
  const site = await siteOn(starting, async (started) => {
    const [hubs, azurite, vault, iotHub, identity, postgres, amqp, checkpoints, objects, observers] = started;
    const { ports, ...rest } = await azureSettings({ hubs, azurite, vault, iotHub, identity });
    const { azure, eventStream, deviceGateway, objectStore, ...others } = ports;
    const direct = eventHubsEventStreamConfigSchema.parse({
      ...{ ...azure, ...eventStream, timeoutMs: TIMEOUT_MS, source: 'observer' },
    });
    const openStream = () =>
      EventHubsEventStream.open(direct, { checkpoints: observers.store, onFailure: () => undefined });
    const leases = await openLeaseBlobs(direct);
    parts = { hubs, amqp, checkpoints, leases, objects, postgres, openStream };
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

/** What meets requests of how far groups are, in turn. */
const BLOB_FAULTS: readonly WireFault[] = [
  blobError(500, 'InternalError'),
  blobError(503, 'ServerBusy'),
  cutBefore,
  cutAfter,
];

/** Of every fourth request: they read, renew and save how far a group is. */
function someFail(wire: HttpFaults, faults: readonly WireFault[]): BegunFault {
  let requests = 0;
  return failWhere(wire, faults, () => ++requests % 4 === 0);
}

/** The first request for each blob and list. */
function eachFailsOnce(wire: HttpFaults, faults: readonly WireFault[]): BegunFault {
  const asked = new Set<string>();
  return failWhere(wire, faults, ({ path }) => {
    const isFirst = !asked.has(path);
    asked.add(path);
    return isFirst;
  });
}

/** One meets one of them, in turn. */
function failWhere(
  wire: HttpFaults,
  faults: readonly WireFault[],
  isMet: (request: WireRequest) => boolean,
): BegunFault {
  let times = 0;
  wire.fault = (request, pass) => (isMet(request) ? faults[times++ % faults.length]!(request, pass) : pass());
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
      together(
        sending(hubs, [{ refuse: 'amqp:internal-error' }, 'detached', 'answer lost']),
        someFail(checkpoints, [...BLOB_FAULTS, late(TIMEOUT_MS + 500)]),
      ),
  },
  {
    what: 'connections to Event Hubs are cut again and again, also in the middle of what is sent',
    begin: ({ amqp }) => cutAgainAndAgain(amqp),
  },
  {
    what: 'somebody takes the leases of partitions from their owners while they work, again and again',
    begin: ({ leases }) =>
      takenAgainAndAgain(GROUPS.map(([stream, group]) => new PartitionLeases(leases, hubName(stream), group))),
    atLeastMs: CHANGING_MS,
  },
  {
    what: 'the token has expired',
    told: /events cannot be made durable: .*InvalidSignature/,
    refuses: /intake takes no more .*InvalidSignature/,
    begin: ({ hubs, amqp }) => {
      hubs.refusesTokens = true;
      amqp.cut();
      return { end: () => void (hubs.refusesTokens = false) };
    },
  },
  {
    what: 'Event Hubs does not answer',
    told: /events cannot be made durable: .*no answer/,
    refuses: /intake takes no more .*no answer/,
    begin: ({ amqp }) => {
      amqp.hold();
      return { end: () => amqp.letGo() };
    },
  },
  {
    what: 'Event Hubs is away, and comes back',
    told: /events cannot be made durable: /,
    refuses: /intake takes no more /,
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

export const FAULTY_AZURE: FaultySiteKind<FaultyAzureSite> = {
  ...{ name: 'Azure', start, faults: FAULTS },
  asItStarts: ({ checkpoints, objects }) => [checkpoints, objects].map((wire) => eachFailsOnce(wire, BLOB_FAULTS)),
};
