import { bytesPerS, HOURS_A_MONTH, SECONDS_A_MONTH, type Demand, type ServiceSize } from './demand.ts';
import type { Environment, Sizes } from './environment.ts';
import {
  addModelMachines,
  Bill,
  databaseText,
  modelMachinesOf,
  objectsText,
  several,
  sum,
  totalOf,
  zonesOf,
  type Plan,
} from './plan.ts';
import type { PriceList } from './prices.ts';

const GIB = 2 ** 30;
const GIB_A_TIB = 1024;
const SECONDS_AN_HOUR = 3600;
/** Pub/Sub: what a request counts as at the least, and what is free each month. */
const MIN_REQUEST_BYTES = 1_000;
const FREE_GIB = 10;
/** The smallest cluster of Managed Kafka (3 vCPU, 12 GiB, 100 GiB of disk a vCPU), and what a vCPU of it takes in. */
const KAFKA_VCPU = 3;
const KAFKA_GIB_A_VCPU = 4;
const KAFKA_DISK_GIB_A_VCPU = 100;
const KAFKA_BYTES_A_VCPU = 20e6;
const KAFKA_UNITS_A_VCPU = 0.6;
const KAFKA_UNITS_A_GIB = 0.1;
/** Estimated: a tenth of what Mosquitto took of QoS 1 on two cores of a laptop. */
const MESSAGES_A_BROKER_AND_S = 10_000;
/** vCPU and GiB of Cloud SQL at the least. */
const DATABASE_AT_LEAST: Readonly<Record<Sizes, { readonly vcpu: number; readonly memoryGb: number }>> = {
  small: { vcpu: 1, memoryGb: 3.75 },
  standard: { vcpu: 2, memoryGb: 8 },
  large: { vcpu: 4, memoryGb: 16 },
};
const DATABASE_GIB_A_VCPU = 4;
const MAX_DATABASE_VCPU = 96;
const MIN_DATABASE_GB = 10;
const NAT_INSTANCES_AT_MOST = 32;
const MIN_MEMORY_GIB = 0.5;
const FREE_LOG_GB = 50;
const SECRETS = 10;

/** The same environment at Google Cloud: own MQTT brokers, Pub/Sub or Managed Kafka, Cloud SQL, Cloud Storage, Cloud Run or GKE. */
export function planGcp(environment: Environment, demand: Demand, prices: PriceList<'gcp'>): Plan {
  const bill = new Bill('gcp', prices);
  const zones = zonesOf(environment);
  addGateway(bill, demand, zones);
  if (environment.switches.eventStream === 'kafka') addKafka(bill, demand);
  else addPubSub(bill, demand, environment.retention.streamHours);
  addDatabase(bill, demand, environment);
  addObjects(bill, demand, environment);
  addServices(bill, demand, environment);
  addModelMachines(bill, 'Vertex AI', modelMachinesOf(environment));
  addNetwork(bill, demand);
  bill.add('operations', 'Cloud Logging', Math.max(0, demand.logGb - FREE_LOG_GB), 'logsGb');
  bill.add('operations', 'secrets', SECRETS, 'secretMonth');
  bill.add('warehouse', 'BigQuery', demand.queryTb, 'queryTb');
  return bill.plan(demand);
}

/** MQTT brokers that an environment's load needs; in several zones at least one of them stands by. */
export function brokersFor({ messagesPerS, peakFactor }: Demand, zones: number): number {
  return Math.max(zones > 1 ? 2 : 1, Math.ceil((messagesPerS * peakFactor) / MESSAGES_A_BROKER_AND_S));
}

function addGateway(bill: Bill<'gcp'>, demand: Demand, zones: number): void {
  const brokers = brokersFor(demand, zones);
  bill.size('device gateway', several(brokers, 'broker'));
  bill.add('device gateway', `MQTT: ${several(brokers, 'broker')} of our own`, brokers * HOURS_A_MONTH, 'brokerHour');
  bill.add('device gateway', 'MQTT: TCP load balancer', HOURS_A_MONTH, 'forwardingRuleHour');
  bill.selfRun.push('MQTT brokers');
}

function addPubSub(bill: Bill<'gcp'>, { streams }: Demand, streamHours: number): void {
  const volumes = streams.map(({ stream, events, groups }) => {
    const publishedPerS = sum(events.map(({ perS, bytes }) => perS * Math.max(MIN_REQUEST_BYTES, bytes)));
    const published = (publishedPerS * SECONDS_A_MONTH) / GIB;
    return { stream, groups, gib: published * (1 + groups) };
  });
  for (const { stream, groups, gib } of volumes) {
    const what = `Pub/Sub ${stream}: published, ${groups} times delivered`;
    bill.add('event stream', what, gib / GIB_A_TIB, 'throughputTib');
  }
  const free = Math.min(FREE_GIB, sum(volumes.map(({ gib }) => gib)));
  bill.add('event stream', `Pub/Sub: ${FREE_GIB} GiB free`, -free / GIB_A_TIB, 'throughputTib');
  // Topics keep what every group has settled, too, so that a group may be set back.
  const keptGib = (sum(streams.map(bytesPerS)) * streamHours * SECONDS_AN_HOUR) / GIB;
  bill.add('event stream', `Pub/Sub: kept on the topics for ${streamHours} h`, keptGib, 'streamStorageGb');
}

function addKafka(bill: Bill<'gcp'>, demand: Demand): void {
  const { vcpu, memoryGib } = managedKafkaSize(demand);
  const units = vcpu * KAFKA_UNITS_A_VCPU + memoryGib * KAFKA_UNITS_A_GIB;
  bill.size('event stream', `${vcpu} vCPU`);
  bill.add('event stream', `Managed Kafka: ${vcpu} vCPU`, units * HOURS_A_MONTH, 'kafkaUnitHour');
  bill.add('event stream', 'Managed Kafka: disks', vcpu * KAFKA_DISK_GIB_A_VCPU, 'kafkaStorageGb');
}

/** The cluster of Managed Service for Apache Kafka that an environment's load needs, all of its brokers together. */
export function managedKafkaSize({ streams, peakFactor }: Demand): {
  readonly vcpu: number;
  readonly memoryGib: number;
} {
  const peakBytesPerS = sum(streams.map(bytesPerS)) * peakFactor;
  const vcpu = Math.max(KAFKA_VCPU, Math.ceil(peakBytesPerS / KAFKA_BYTES_A_VCPU));
  return { vcpu, memoryGib: vcpu * KAFKA_GIB_A_VCPU };
}

/** The instance of Cloud SQL that an environment's load needs, each of its copies alike. */
export function cloudSqlSize(
  { databaseVcpu, databaseGb }: Demand,
  { sizes }: Environment,
): { readonly vcpu: number; readonly memoryGb: number; readonly storageGb: number } {
  const least = DATABASE_AT_LEAST[sizes];
  // Cloud SQL has one vCPU, or an even number of them.
  const vcpu = Math.max(least.vcpu, databaseVcpu <= 1 ? 1 : 2 * Math.ceil(databaseVcpu / 2));
  return {
    vcpu,
    memoryGb: Math.max(least.memoryGb, vcpu * (vcpu === 1 ? least.memoryGb : DATABASE_GIB_A_VCPU)),
    storageGb: Math.max(MIN_DATABASE_GB, Math.ceil(databaseGb)),
  };
}

function addDatabase(bill: Bill<'gcp'>, demand: Demand, environment: Environment): void {
  const { switches } = environment;
  const { vcpu: needed, memoryGb, storageGb: gb } = cloudSqlSize(demand, environment);
  if (needed > MAX_DATABASE_VCPU)
    bill.obstacles.push(`one database of ${MAX_DATABASE_VCPU} vCPU does not take the load, which needs ${needed}`);
  const copies = (switches.multiAz ? 2 : 1) + (switches.secondRegion ? 1 : 0);
  bill.size('database', databaseText(needed, gb, copies));
  bill.add(
    'database',
    `Cloud SQL, ${several(copies, 'copy', 'copies')} of ${needed} vCPU`,
    needed * copies * HOURS_A_MONTH,
    'databaseVcpuHour',
  );
  bill.add('database', `memory, ${memoryGb} GB a copy`, memoryGb * copies, 'databaseMemoryGb');
  bill.add('database', `storage, ${gb} GB a copy`, gb * copies, 'databaseStorageGb');
}

function addObjects(bill: Bill<'gcp'>, demand: Demand, { switches }: Environment): void {
  const copies = switches.secondRegion ? 2 : 1;
  bill.size('object store', objectsText(demand));
  bill.add('object store', 'Cloud Storage Standard', demand.hotGb * copies, 'objectsHotGb');
  bill.add('object store', 'Cloud Storage Archive', demand.archiveGb * copies, 'objectsArchiveGb');
  bill.add('object store', 'writes', (demand.objectWritesPerMonth * copies) / 1000, 'objectWritesThousand');
  if (switches.secondRegion)
    bill.add('object store', 'replication to the second region', demand.objectGbPerMonth, 'regionTransferGb');
}

/** What Cloud Run gives a copy that is always there: whole vCPUs, and half a GiB at the least. */
export function cloudRunSize(size: ServiceSize): ServiceSize {
  return { ...size, vcpu: Math.max(1, Math.ceil(size.vcpu)), memoryGb: Math.max(MIN_MEMORY_GIB, size.memoryGb) };
}

function addServices(bill: Bill<'gcp'>, { services }: Demand, { switches }: Environment): void {
  if (switches.orchestrator === 'kubernetes') {
    // Autopilot is paid by what pods ask for, whatever nodes they are on.
    const pods = totalOf(services);
    bill.size('services', `${pods.vcpu} vCPU, ${pods.memoryGb} GB`);
    bill.add('services', 'GKE control plane', HOURS_A_MONTH, 'clusterHour');
    bill.add('services', `GKE Autopilot: ${pods.vcpu} vCPU`, pods.vcpu * HOURS_A_MONTH, 'podVcpuHour');
    bill.add('services', `GKE Autopilot: ${pods.memoryGb} GiB`, pods.memoryGb * HOURS_A_MONTH, 'podMemoryGbHour');
    return;
  }
  const { vcpu, memoryGb } = totalOf(services.map(cloudRunSize));
  bill.size('services', `${vcpu} vCPU, ${memoryGb} GB`);
  bill.add('services', `Cloud Run: ${vcpu} vCPU`, vcpu * SECONDS_A_MONTH, 'vcpuSecond');
  bill.add('services', `Cloud Run: ${memoryGb} GiB`, memoryGb * SECONDS_A_MONTH, 'memoryGbSecond');
}

function addNetwork(bill: Bill<'gcp'>, { natGb, services }: Demand): void {
  // Brokers have no way out to the internet.
  const instances = Math.min(NAT_INSTANCES_AT_MOST, totalOf(services).copies);
  bill.add('network', `Cloud NAT: ${several(instances, 'instance')}`, instances * HOURS_A_MONTH, 'natInstanceHour');
  bill.add('network', 'Cloud NAT: data', natGb, 'natGb');
  bill.add('network', 'public addresses', 2 * HOURS_A_MONTH, 'publicAddressHour');
  bill.add('network', 'load balancer', HOURS_A_MONTH, 'forwardingRuleHour');
  bill.add('network', 'Cloud Armor', 1, 'firewallMonth');
}
