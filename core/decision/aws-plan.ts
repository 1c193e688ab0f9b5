import {
  bytesPerS,
  deviceEvents,
  eventsPerS,
  HOURS_A_MONTH,
  SECONDS_A_MONTH,
  unitsPerS,
  type Demand,
  type StreamFlow,
} from './demand.ts';
import type { Environment } from './environment.ts';
import {
  addModelMachines,
  Bill,
  databaseText,
  modelMachinesOf,
  nodesFor,
  objectsText,
  several,
  sum,
  totalOf,
  zonesOf,
  type Plan,
} from './plan.ts';
import { databaseSize } from './database-class.ts';
import type { PriceList } from './prices.ts';

const MILLION = 1e6;
/** IoT Core: what one message or rule is counted by, and the most that a message may have. */
const METERED_BYTES = 5 * 1024;
const MAX_MESSAGE_BYTES = 128 * 1024;
/** Messages of a month, in millions, up to which a price holds. */
const FIRST_MILLIONS = 1_000;
const NEXT_MILLIONS = 5_000;
const PUBLISHES_A_CONNECTION_AND_S = 100;
/** A shard of Kinesis. */
const SHARD_BYTES_IN = 1e6;
const SHARD_RECORDS_IN = 1_000;
const SHARD_BYTES_OUT = 2e6;
/** What is kept for longer has a price of its own; how much longer makes no difference up to seven days. */
const SHARD_HOURS_KEPT = 24;
const PUT_UNIT_BYTES = 25 * 1024;
/** The rule encodes payloads, so that any byte comes through, and adds who sent them. */
const ENCODED = 4 / 3;
const ENVELOPE_BYTES = 300;
/** Of a lease or an account, which is 1 to 3 KB. */
const UNITS_A_TABLE_WRITE = 2;
/** MSK's smallest brokers, as many in each of three zones, so that each has one of three copies; what a broker of that kind takes in and gives out. */
export const KAFKA_ZONES = 3;
const KAFKA_COPIES = 3;
const KAFKA_BYTES_A_BROKER = 4e6;
const KAFKA_LEAST_GB_A_BROKER = 10;
const KAFKA_DISK_HEADROOM = 1.5;
const BYTES_A_GB = 1e9;
const INTERFACE_ENDPOINTS = 5;
const SECRETS = 10;

/** The same environment at AWS: IoT Core, Kinesis or MSK, RDS, S3, Fargate or EKS. */
export function planAws(environment: Environment, demand: Demand, prices: PriceList<'aws'>): Plan {
  const bill = new Bill('aws', prices);
  const zones = zonesOf(environment);
  addGateway(bill, demand);
  const devices = [devicesStream(demand), REFUSED_BY_RULES];
  // IoT Core's rules write to Kinesis; Kafka takes the platform's own streams alone.
  if (environment.switches.eventStream === 'kafka') {
    addKinesis(bill, devices, demand.peakFactor, environment);
    addKafka(bill, demand, environment);
  } else addKinesis(bill, [...devices, ...demand.streams], demand.peakFactor, environment);
  addDatabase(bill, demand, environment);
  addObjects(bill, demand, environment);
  addServices(bill, demand, environment, zones);
  // One, also in several zones.
  addModelMachines(bill, 'SageMaker', Math.min(1, modelMachinesOf(environment)));
  addNetwork(bill, demand, zones);
  bill.add('operations', 'CloudWatch Logs', demand.logGb, 'logsGb');
  bill.add('operations', 'secrets', SECRETS, 'secretMonth');
  const keys = environment.switches.secondRegion ? 2 : 1;
  bill.add('operations', several(keys, 'key'), keys, 'keyMonth');
  bill.add('warehouse', 'Athena', demand.queryTb, 'queryTb');
  return bill.plan(demand);
}

function addGateway(bill: Bill<'aws'>, demand: Demand): void {
  const { devices, messagesPerS, bytesPerMessage, waveformsPerS, bytesPerWaveform, peakFactor } = demand;
  const units =
    messagesPerS * Math.ceil(bytesPerMessage / METERED_BYTES) +
    waveformsPerS * Math.ceil(bytesPerWaveform / METERED_BYTES);
  const metered = (units * SECONDS_A_MONTH) / MILLION;
  const next = Math.max(0, Math.min(metered, NEXT_MILLIONS) - FIRST_MILLIONS);
  const most = Math.max(0, metered - NEXT_MILLIONS);
  bill.add('device gateway', 'IoT Core messages', metered - next - most, 'messagesMillion');
  bill.add('device gateway', 'IoT Core messages above a thousand million', next, 'messagesNextMillion');
  bill.add('device gateway', 'IoT Core messages above five thousand million', most, 'messagesMostMillion');
  bill.add(
    'device gateway',
    'IoT Core connections',
    (devices * HOURS_A_MONTH * 60) / MILLION,
    'connectionMinutesMillion',
  );
  bill.add('device gateway', 'IoT Core rule triggers', metered, 'ruleTriggersMillion');
  bill.add('device gateway', 'IoT Core rule actions', metered, 'ruleActionsMillion');
  const publishesPerS = (messagesPerS * peakFactor) / devices;
  if (publishesPerS > PUBLISHES_A_CONNECTION_AND_S)
    bill.obstacles.push(
      `a connection to IoT Core takes ${PUBLISHES_A_CONNECTION_AND_S} messages a second, and a device sends ${Math.ceil(publishesPerS)} at the peak`,
    );
}

/** What a rule of IoT Core could not put on the first stream: nothing, as long as all is well. */
const REFUSED_BY_RULES: StreamFlow = { stream: 'device-errors', events: [], groups: 1 };

/** What the rule of IoT Core puts on Kinesis, and the platform's gateway reads. */
export function devicesStream(demand: Demand): StreamFlow {
  const events = deviceEvents(demand, MAX_MESSAGE_BYTES, (bytes) => bytes * ENCODED + ENVELOPE_BYTES);
  return { stream: 'devices', events, groups: 1 };
}

function addKinesis(
  bill: Bill<'aws'>,
  streams: readonly StreamFlow[],
  peakFactor: number,
  { retention }: Environment,
): void {
  for (const flow of streams) {
    const shards = shardsFor(flow, peakFactor);
    bill.add('event stream', `${flow.stream}: ${several(shards, 'shard')}`, shards * HOURS_A_MONTH, 'shardHour');
    const units = unitsPerS(flow, PUT_UNIT_BYTES);
    bill.add('event stream', `${flow.stream}: put units`, (units * SECONDS_A_MONTH) / MILLION, 'putUnitsMillion');
  }
  const shards = sum(streams.map((flow) => shardsFor(flow, peakFactor)));
  bill.size('event stream', several(shards, 'shard'));
  if (retention.streamHours > SHARD_HOURS_KEPT)
    bill.add(
      'event stream',
      `${several(shards, 'shard')}: ${retention.streamHours} hours kept`,
      shards * HOURS_A_MONTH,
      'shardExtendedHour',
    );
  bill.add('event stream', 'DynamoDB: leases and accounts', tableUnits(streams, peakFactor), 'tableWritesMillion');
}

/** Shards that take what comes in at its peak, and give all of it to each group. */
export function shardsFor(flow: StreamFlow, peakFactor: number): number {
  const events = eventsPerS(flow) * peakFactor;
  const bytes = bytesPerS(flow) * peakFactor;
  return Math.max(
    1,
    Math.ceil(bytes / SHARD_BYTES_IN),
    Math.ceil(events / SHARD_RECORDS_IN),
    Math.ceil((bytes * flow.groups) / SHARD_BYTES_OUT),
  );
}

/** A write a second for each group and shard that advances, one for each group and one for the stream; fewer where events are rarer. */
function tableUnits(streams: readonly StreamFlow[], peakFactor: number): number {
  const writesPerS = streams.map((flow) => {
    const writers = flow.groups * shardsFor(flow, peakFactor) + flow.groups + 1;
    return writers * Math.min(1, eventsPerS(flow));
  });
  return (sum(writesPerS) * UNITS_A_TABLE_WRITE * SECONDS_A_MONTH) / MILLION;
}

function addKafka(bill: Bill<'aws'>, demand: Demand, { retention }: Environment): void {
  const { brokers, gbPerBroker } = kafkaSize(demand, retention);
  bill.add('event stream', `MSK: ${several(brokers, 'broker')}`, brokers * HOURS_A_MONTH, 'kafkaBrokerHour');
  bill.size('event stream', several(brokers, 'broker'));
  bill.add('event stream', 'MSK: storage, three copies', brokers * gbPerBroker, 'kafkaStorageGb');
}

/** The brokers that take and keep the platform's own streams. */
export function kafkaSize(
  { streams, peakFactor }: Demand,
  { streamHours }: Environment['retention'],
): { readonly brokers: number; readonly gbPerBroker: number } {
  const copiedBytesPerS = sum(streams.map(bytesPerS)) * KAFKA_COPIES;
  const neededBrokers = (copiedBytesPerS * peakFactor) / KAFKA_BYTES_A_BROKER;
  const brokers = KAFKA_ZONES * Math.max(1, Math.ceil(neededBrokers / KAFKA_ZONES));
  const gb = (copiedBytesPerS * streamHours * 3600 * KAFKA_DISK_HEADROOM) / BYTES_A_GB;
  return { brokers, gbPerBroker: Math.max(KAFKA_LEAST_GB_A_BROKER, Math.ceil(gb / brokers)) };
}

function addDatabase(bill: Bill<'aws'>, demand: Demand, { sizes, switches }: Environment): void {
  const { size, times, vcpu, tooSmall } = databaseSize(demand.databaseVcpu, sizes);
  if (tooSmall !== undefined) bill.obstacles.push(tooSmall);
  const copies = (switches.multiAz ? 2 : 1) + (switches.secondRegion ? 1 : 0);
  const gb = Math.max(20, Math.ceil(demand.databaseGb));
  bill.size('database', databaseText(vcpu, gb, copies));
  const named = `RDS PostgreSQL, ${vcpu} vCPU, ${several(copies, 'copy', 'copies')}`;
  bill.add('database', named, times * copies * HOURS_A_MONTH, `database${size}Hour`);
  bill.add('database', `storage, ${gb} GB a copy`, gb * copies, 'databaseStorageGb');
}

function addObjects(bill: Bill<'aws'>, demand: Demand, { switches }: Environment): void {
  const copies = switches.secondRegion ? 2 : 1;
  bill.size('object store', objectsText(demand));
  bill.add('object store', 'S3 Standard', demand.hotGb * copies, 'objectsHotGb');
  bill.add('object store', 'S3 Glacier', demand.archiveGb * copies, 'objectsArchiveGb');
  bill.add('object store', 'S3 writes', (demand.objectWritesPerMonth * copies) / 1000, 'objectWritesThousand');
  if (switches.secondRegion)
    bill.add('object store', 'replication to the second region', demand.objectGbPerMonth, 'regionTransferGb');
}

function addServices(bill: Bill<'aws'>, { services }: Demand, { switches }: Environment, zones: number): void {
  const { vcpu, memoryGb } = totalOf(services);
  if (switches.orchestrator === 'kubernetes') {
    const nodes = nodesFor(services, zones);
    bill.size('services', several(nodes, 'node'));
    bill.add('services', 'EKS control plane', HOURS_A_MONTH, 'clusterHour');
    bill.add('services', `EKS Auto Mode: ${several(nodes, 'node')}`, nodes * HOURS_A_MONTH, 'nodeHour');
    return;
  }
  bill.size('services', `${vcpu} vCPU, ${memoryGb} GB`);
  bill.add('services', `Fargate: ${vcpu} vCPU`, vcpu * HOURS_A_MONTH, 'vcpuHour');
  bill.add('services', `Fargate: ${memoryGb} GB`, memoryGb * HOURS_A_MONTH, 'memoryGbHour');
}

function addNetwork(bill: Bill<'aws'>, { natGb }: Demand, zones: number): void {
  bill.add('network', `NAT: ${several(zones, 'gateway')}`, zones * HOURS_A_MONTH, 'natHour');
  bill.add('network', 'NAT: data', natGb, 'natGb');
  bill.add('network', 'interface endpoints', INTERFACE_ENDPOINTS * zones * HOURS_A_MONTH, 'endpointHour');
  // The balancer has to be in two zones at the least.
  bill.add('network', 'public addresses', (zones + Math.max(2, zones)) * HOURS_A_MONTH, 'publicAddressHour');
  bill.add('network', 'load balancer', HOURS_A_MONTH, 'balancerHour');
  bill.add('network', 'load balancer: capacity', HOURS_A_MONTH, 'balancerUnitHour');
  bill.add('network', 'WAF', 1, 'firewallMonth');
}
