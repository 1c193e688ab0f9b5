import type { StreamName } from '../domain/event.ts';
import type { Environment, Sizes, Workload } from './environment.ts';

/** A month of prices, as the clouds count it. */
export const HOURS_A_MONTH = 730;
export const SECONDS_A_MONTH = HOURS_A_MONTH * 3600;
const SECONDS_A_DAY = 86_400;
const DAYS_A_MONTH = SECONDS_A_MONTH / SECONDS_A_DAY;
const BYTES_A_GB = 1e9;

/** How long objects stay before they go to the archive. */
const HOT_DAYS = 90;
/** Of a waveform's reference, its feature vector and its prediction, estimated from the events of the demo plant. */
const REFERENCE_BYTES = 500;
const FEATURES_BYTES = 2_500;
const PREDICTION_BYTES = 1_000;
/** Of a window's document a metric (core/alerting/window-documents.ts), and how long a window is. */
const WINDOW_BYTES_A_METRIC = 400;
const WINDOW_S = 60;
const ALARMS_A_MACHINE_AND_DAY = 1;
const ALARM_BYTES = 1_000;
/** Measured: docs/adapters/postgres-time-series-store.md. */
const BYTES_A_READING = 70;
const BYTES_A_ROLLUP = 80;
const ROLLUPS_A_DAY = 1_440;
/** What registries, journal and indexes take, and room to grow. */
const DATABASE_BASE_GB = 10;
const DATABASE_HEADROOM = 1.25;
/** Of what a message has in the raw archive: docs/architecture.md, 70 of 230 bytes. */
const RAW_ARCHIVE_SHARE = 70 / 230;
const MESSAGES_A_RAW_OBJECT = 10_000;
/** A vCPU of PostgreSQL settles ten times less than was measured on two with all of them: housekeeping, queries and rules run beside. */
const READINGS_A_DATABASE_VCPU_AND_S = 14_000;
/** Estimated: a service says little, but for each call that fails. */
const LOG_GB_A_SERVICE = 2;
/** What is fetched from the internet and sent to people, without images. */
const NAT_GB = 10;
/** Estimated: reports over the whole history. */
const QUERY_TB_OF_WAREHOUSE = 0.2;

/** What is published to a stream, and how often it is read. */
export interface StreamFlow {
  readonly stream: StreamName | 'devices' | 'device-errors';
  readonly events: readonly Events[];
  /** Consumer groups, each of which reads all. */
  readonly groups: number;
}

/** Events of one size. */
export interface Events {
  readonly perS: number;
  readonly bytes: number;
}

/** Of a stream, all sizes together. */
export function eventsPerS({ events }: StreamFlow): number {
  return events.reduce((sum, { perS }) => sum + perS, 0);
}

/** Of a stream, all sizes together. */
export function bytesPerS({ events }: StreamFlow): number {
  return events.reduce((sum, { perS, bytes }) => sum + perS * bytes, 0);
}

/** A second: an event counts once for each unit of bytes that is begun. */
export function unitsPerS({ events }: StreamFlow, unitBytes: number): number {
  return events.reduce((sum, { perS, bytes }) => sum + perS * Math.ceil(bytes / unitBytes), 0);
}

/** A service with what each copy of it has, and how many its load needs. */
export interface ServiceSize {
  readonly service: string;
  readonly vcpu: number;
  readonly memoryGb: number;
  readonly copies: number;
  /** One copy does the work, by a lease: a further one would only stand by. It grows instead. */
  readonly isAlone: boolean;
  /** Why the load cannot be taken: the one copy would have to be larger than any cloud has. */
  readonly tooSmall?: string;
}

/** What a device's messages and the parts of its waveforms are as events of the stream behind a cloud's gateway. */
export function deviceEvents(
  demand: Demand,
  maxMessageBytes: number,
  onStream: (bytes: number) => number,
): readonly Events[] {
  const { messagesPerS, bytesPerMessage, waveformsPerS, bytesPerWaveform } = demand;
  const parts = Math.ceil(bytesPerWaveform / maxMessageBytes);
  return [
    { perS: messagesPerS, bytes: onStream(bytesPerMessage) },
    ...(parts > 0 ? [{ perS: waveformsPerS * parts, bytes: onStream(bytesPerWaveform / parts) }] : []),
  ];
}

/** What a site needs of any cloud; whatever depends on its limits is in the plan of that cloud. Sizes are of the mean, unless they say so. */
export interface Demand {
  readonly machines: number;
  readonly devices: number;
  readonly peakFactor: number;
  readonly messagesPerS: number;
  readonly bytesPerMessage: number;
  readonly waveformsPerS: number;
  readonly bytesPerWaveform: number;
  readonly readingsPerS: number;
  /** Of the platform's own streams. */
  readonly streams: readonly StreamFlow[];
  readonly databaseGb: number;
  /** At the peak. */
  readonly databaseVcpu: number;
  readonly hotGb: number;
  readonly archiveGb: number;
  readonly objectWritesPerMonth: number;
  /** Written anew in a month. */
  readonly objectGbPerMonth: number;
  readonly services: readonly ServiceSize[];
  readonly logGb: number;
  readonly natGb: number;
  readonly queryTb: number;
}

/** Another load than today's. */
export interface Scale {
  /** Times as many machines and devices. */
  readonly growth?: number;
  /** Messages of a machine that are sent as one. */
  readonly batching?: number;
}

/** A workload with more machines, or with messages that are sent together. */
export function scaled(workload: Workload, { growth = 1, batching = 1 }: Scale): Workload {
  return {
    ...workload,
    machines: workload.machines * growth,
    ...(workload.devices !== undefined && { devices: workload.devices * growth }),
    messageIntervalS: workload.messageIntervalS * batching,
    readingsPerMessage: workload.readingsPerMessage * batching,
    bytesPerMessage: workload.bytesPerMessage * batching,
  };
}

/** What an environment needs, whichever cloud it is at. */
export function demandOf({ workload, retention, switches, sizes }: Environment): Demand {
  const { machines, metricsPerMachine, bytesPerMessage, peakFactor, waveforms } = workload;
  const messagesPerS = machines / workload.messageIntervalS;
  const readingsPerS = messagesPerS * workload.readingsPerMessage;
  const waveformsPerS = (machines * (waveforms?.perMachinePerDay ?? 0)) / SECONDS_A_DAY;
  const bytesPerWaveform = waveforms?.bytes ?? 0;
  const rawReaders = switches.rawArchive ? 1 : 0;
  const streams: readonly StreamFlow[] = [
    { stream: 'metrics', events: [{ perS: messagesPerS, bytes: bytesPerMessage }], groups: 2 + rawReaders },
    { stream: 'raw-waveform', events: [{ perS: waveformsPerS, bytes: REFERENCE_BYTES }], groups: 2 + rawReaders },
    { stream: 'features', events: [{ perS: waveformsPerS, bytes: FEATURES_BYTES }], groups: 3 },
    {
      stream: 'windows',
      events: [{ perS: machines / WINDOW_S, bytes: WINDOW_BYTES_A_METRIC * metricsPerMachine }],
      groups: 2,
    },
    { stream: 'inference-results', events: [{ perS: waveformsPerS, bytes: PREDICTION_BYTES }], groups: 2 },
    {
      stream: 'alarms',
      events: [{ perS: (machines * ALARMS_A_MACHINE_AND_DAY) / SECONDS_A_DAY, bytes: ALARM_BYTES }],
      groups: 0,
    },
  ];
  const databaseGb =
    DATABASE_HEADROOM *
    (DATABASE_BASE_GB +
      (readingsPerS * SECONDS_A_DAY * retention.readingsDays * BYTES_A_READING +
        machines * metricsPerMachine * ROLLUPS_A_DAY * retention.rollupsDays * BYTES_A_ROLLUP) /
        BYTES_A_GB);
  const objects = objectsOf(
    { gbPerDay: gbPerDay(waveformsPerS * bytesPerWaveform), days: retention.waveformsDays },
    {
      gbPerDay: switches.rawArchive ? gbPerDay(messagesPerS * bytesPerMessage * RAW_ARCHIVE_SHARE) : 0,
      days: retention.rawArchiveDays,
    },
  );
  const rawWrites = switches.rawArchive ? (messagesPerS * SECONDS_A_MONTH) / MESSAGES_A_RAW_OBJECT : 0;
  const services = servicesOf(sizes, switches.multiAz, {
    messagesPerS: messagesPerS * peakFactor,
    waveformsPerS: waveformsPerS * peakFactor,
  });
  return {
    machines,
    devices: workload.devices ?? machines,
    peakFactor,
    messagesPerS,
    bytesPerMessage,
    waveformsPerS,
    bytesPerWaveform,
    readingsPerS,
    streams,
    databaseGb,
    databaseVcpu: (readingsPerS * peakFactor) / READINGS_A_DATABASE_VCPU_AND_S,
    ...objects,
    objectWritesPerMonth: waveformsPerS * SECONDS_A_MONTH + rawWrites,
    services,
    logGb: LOG_GB_A_SERVICE * services.reduce((sum, { copies }) => sum + copies, 0),
    natGb: NAT_GB,
    queryTb: switches.warehouse ? QUERY_TB_OF_WAREHOUSE : 0,
  };
}

interface Kept {
  readonly gbPerDay: number;
  readonly days: number;
}

function objectsOf(...kinds: readonly Kept[]): Pick<Demand, 'hotGb' | 'archiveGb' | 'objectGbPerMonth'> {
  const sum = (of: (kind: Kept) => number) => kinds.reduce((total, kind) => total + of(kind), 0);
  return {
    hotGb: sum((kind) => kind.gbPerDay * Math.min(kind.days, HOT_DAYS)),
    archiveGb: sum((kind) => kind.gbPerDay * Math.max(0, kind.days - HOT_DAYS)),
    objectGbPerMonth: sum((kind) => kind.gbPerDay * DAYS_A_MONTH),
  };
}

function gbPerDay(bytesPerS: number): number {
  return (bytesPerS * SECONDS_A_DAY) / BYTES_A_GB;
}

/** Of a service the size of one copy with `standard`, and what a message and a waveform take of a vCPU. */
interface ServiceLoad {
  readonly vcpu: number;
  readonly memoryGb: number;
  readonly usPerMessage: number;
  readonly usPerWaveform: number;
  readonly isAlone?: true;
}

/**
 * Microseconds are estimates: four times what docs/performance.md measured of all services together on a laptop's adapters, as calls of a
 * cloud's cost more than those of a file.
 */
const SERVICES: Readonly<Record<string, ServiceLoad>> = {
  'ingestion-service': { vcpu: 0.5, memoryGb: 1, usPerMessage: 60, usPerWaveform: 1_000 },
  'timeseries-service': { vcpu: 1, memoryGb: 2, usPerMessage: 60, usPerWaveform: 500, isAlone: true },
  'feature-service': { vcpu: 1, memoryGb: 2, usPerMessage: 0, usPerWaveform: 10_000 },
  'ml-service': { vcpu: 1, memoryGb: 2, usPerMessage: 0, usPerWaveform: 1_000 },
  'alert-engine': { vcpu: 0.5, memoryGb: 1, usPerMessage: 60, usPerWaveform: 500, isAlone: true },
  'api-gateway': { vcpu: 0.5, memoryGb: 1, usPerMessage: 10, usPerWaveform: 100 },
};
const SIZE_FACTORS: Readonly<Record<Sizes, number>> = { small: 0.5, standard: 1, large: 2 };
/** What containers of all three clouds may have. */
const LARGEST_COPY_VCPU = 4;
/** Of a copy's vCPU, so that one that restarts is caught up with. */
const BUSY_AT_MOST = 0.6;

function servicesOf(
  sizes: Sizes,
  multiAz: boolean,
  peak: { readonly messagesPerS: number; readonly waveformsPerS: number },
): readonly ServiceSize[] {
  const factor = SIZE_FACTORS[sizes];
  // A copy in another zone answers while the first is away; of what reads a stream one is enough, as another takes over by lease.
  const fewest = (service: string) => (multiAz && service === 'api-gateway' ? 2 : 1);
  return Object.entries(SERVICES).map(([service, load]) => {
    const { usPerMessage, usPerWaveform, isAlone = false } = load;
    const neededVcpu = (usPerMessage * peak.messagesPerS + usPerWaveform * peak.waveformsPerS) / 1e6 / BUSY_AT_MOST;
    const times = isAlone ? factor * growthOf(load.vcpu * factor, neededVcpu) : factor;
    const size = { vcpu: load.vcpu * times, memoryGb: load.memoryGb * times };
    const copies = isAlone ? 1 : Math.max(fewest(service), Math.ceil(neededVcpu / size.vcpu));
    const tooSmall =
      isAlone && size.vcpu < neededVcpu
        ? `one copy of ${service} with ${size.vcpu} vCPU does not take the load, which needs ${neededVcpu.toFixed(1)}; divide the site in two`
        : undefined;
    return { service, ...size, copies, isAlone, ...(tooSmall !== undefined && { tooSmall }) };
  });
}

/** How many times as large a copy is to be: doubled until its load fits, as containers come in such sizes. */
function growthOf(vcpu: number, neededVcpu: number): number {
  let times = 1;
  while (vcpu * times < neededVcpu && vcpu * times * 2 <= LARGEST_COPY_VCPU) times *= 2;
  return times;
}
