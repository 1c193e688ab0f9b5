import {
  bytesPerS,
  deviceEvents,
  eventsPerS,
  HOURS_A_MONTH,
  SECONDS_A_MONTH,
  unitsPerS,
  type Demand,
  type ServiceSize,
  type StreamFlow,
} from './demand.ts';
import { databaseSize } from './database-class.ts';
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

const MILLION = 1e6;
const SECONDS_A_DAY = 86_400;
const BYTES_A_GB = 1e9;
/** IoT Hub: what one message is counted by, and the most that it may have. */
const METERED_BYTES = 4 * 1024;
const MAX_MESSAGE_BYTES = 256 * 1024;
const HUBS = [
  { name: 'S1', messagesPerDay: 400_000, sendsPerS: 12, fewestSendsPerS: 100, maxUnits: 200, item: 'hubS1Month' },
  { name: 'S2', messagesPerDay: 6_000_000, sendsPerS: 120, fewestSendsPerS: 120, maxUnits: 200, item: 'hubS2Month' },
  {
    name: 'S3',
    messagesPerDay: 300_000_000,
    sendsPerS: 6_000,
    fewestSendsPerS: 6_000,
    maxUnits: 10,
    item: 'hubS3Month',
  },
] as const;
/** A throughput unit of Event Hubs Standard, and the most that a namespace has of them. */
const UNIT_BYTES_IN = 1e6;
const UNIT_EVENTS_IN = 1_000;
const UNIT_BYTES_OUT = 2e6;
const UNIT_EVENTS_OUT = 4_096;
const MAX_THROUGHPUT_UNITS = 40;
const EVENT_BYTES = 64 * 1024;
/** What IoT Hub says of a message on its route. */
const ENVELOPE_BYTES = 300;
/** A hub has at least so many, and at most those of the Standard tier; one of them takes no more than a throughput unit gives. */
const PARTITIONS: Readonly<Record<Sizes, number>> = { small: 1, standard: 4, large: 8 };
const MAX_PARTITIONS = 32;
/** Of events that a throughput unit may keep, in the price of the unit; what is above costs as much as blobs. */
const KEPT_GB_A_UNIT = 84;
/** A group writes where it is in a partition when it advances, no more often than that. */
const CHECKPOINT_S = 10;
/** Two vaults, two storage accounts and the namespace; with Kafka the devices have a namespace of their own. */
const PRIVATE_ENDPOINTS = 5;
const MIN_DATABASE_GB = 32;
/** As nodes are priced; those with more cost as much a vCPU. */
const PRICED_NODE_VCPU = 2;
/** AKS takes no smaller ones for what it runs itself: https://learn.microsoft.com/azure/aks/use-system-pools */
export const AKS_SYSTEM_NODE_VCPU = 4;
/** What AKS keeps of a node, and what it runs on each for itself. */
const TAKEN_OF_NODE_VCPU = 0.6;

/** The same environment at Azure: IoT Hub, Event Hubs with or without its Kafka endpoint, PostgreSQL Flexible Server, Blob Storage, Container Apps or AKS. */
export function planAzure(environment: Environment, demand: Demand, prices: PriceList<'azure'>): Plan {
  const bill = new Bill('azure', prices);
  const zones = zonesOf(environment);
  addGateway(bill, demand, prices);
  addEventHubs(bill, demand, environment);
  addDatabase(bill, demand, environment);
  addObjects(bill, demand, environment);
  addServices(bill, demand, environment, zones);
  addModelMachines(bill, 'Azure ML', modelMachinesOf(environment));
  addNetwork(bill, demand, environment);
  bill.add('operations', 'Log Analytics', demand.logGb, 'logsGb');
  addWarehouse(bill, demand, environment);
  return bill.plan(demand);
}

function addGateway(bill: Bill<'azure'>, demand: Demand, prices: PriceList<'azure'>): void {
  const { name, item, units, maxUnits } = hubOf(demand, prices);
  bill.size('device gateway', `${several(units, 'unit')} ${name}`);
  bill.add('device gateway', `IoT Hub: ${several(units, 'unit')} ${name}`, units, item);
  if (units > maxUnits)
    bill.obstacles.push(`IoT Hub has ${maxUnits} units ${name} at the most, and ${units} are needed`);
}

/** The hub of a site. */
export function hubOf(demand: Demand, prices: PriceList<'azure'>): HubUnits {
  const { messagesPerS, bytesPerMessage, waveformsPerS, bytesPerWaveform, peakFactor } = demand;
  const meters =
    messagesPerS * Math.ceil(bytesPerMessage / METERED_BYTES) +
    waveformsPerS * Math.ceil(bytesPerWaveform / METERED_BYTES);
  const sendsPerS = (messagesPerS + waveformsPerS * Math.ceil(bytesPerWaveform / MAX_MESSAGE_BYTES)) * peakFactor;
  return hubFor({ messagesPerDay: meters * SECONDS_A_DAY, sendsPerS }, prices);
}

/** What devices send to a hub: messages of 4 KB a day, and sends a second at the peak. */
export interface HubLoad {
  readonly messagesPerDay: number;
  readonly sendsPerS: number;
}

/** Units of one tier of IoT Hub. */
export interface HubUnits {
  readonly name: (typeof HUBS)[number]['name'];
  readonly item: (typeof HUBS)[number]['item'];
  readonly units: number;
  readonly maxUnits: number;
}

/** The tier whose units for that load cost least, of those that a hub may have as many of. */
export function hubFor(load: HubLoad, prices: PriceList<'azure'>): HubUnits {
  const offers = HUBS.map(({ name, item, maxUnits, messagesPerDay, sendsPerS, fewestSendsPerS }) => {
    const forSends = load.sendsPerS <= fewestSendsPerS ? 1 : Math.ceil(load.sendsPerS / sendsPerS);
    const units = Math.max(1, Math.ceil(load.messagesPerDay / messagesPerDay), forSends);
    return { name, item, units, maxUnits, usd: units * prices.items[item].usd };
  });
  const offered = offers.filter(({ units, maxUnits }) => units <= maxUnits);
  const [cheapest] = (offered.length > 0 ? offered : offers.slice(-1)).toSorted((a, b) => a.usd - b.usd);
  return cheapest!;
}

/** What routes of IoT Hub put on an event hub, and the platform's gateway reads. */
export function devicesStream(demand: Demand): StreamFlow {
  const events = deviceEvents(demand, MAX_MESSAGE_BYTES, (bytes) => bytes + ENVELOPE_BYTES);
  return { stream: 'devices', events, groups: 1 };
}

function addEventHubs(bill: Bill<'azure'>, demand: Demand, { sizes, switches, retention }: Environment): void {
  const { peakFactor } = demand;
  const devices = devicesStream(demand);
  const streams = [devices, ...demand.streams];
  const isKafka = switches.eventStream === 'kafka';
  const namespaces: readonly (readonly [kind: string, flows: readonly StreamFlow[]])[] = isKafka
    ? [
        ['Event Hubs, devices', [devices]],
        ['Event Hubs, Kafka endpoint', demand.streams],
      ]
    : [['Event Hubs', streams]];
  for (const [kind, flows] of namespaces) addNamespace(bill, kind, flows, { peakFactor, retention });
  bill.size(
    'event stream',
    several(sum(namespaces.map(([, flows]) => throughputUnitsFor(flows, peakFactor))), 'throughput unit'),
  );
  for (const flow of streams) {
    const partitions = partitionsFor(flow, peakFactor, sizes);
    if (partitions > MAX_PARTITIONS)
      bill.obstacles.push(
        `a hub of Event Hubs Standard has ${MAX_PARTITIONS} partitions at the most, and ${flow.stream} needs ${partitions}`,
      );
    bill.add(
      'event stream',
      `${flow.stream}: events`,
      (unitsPerS(flow, EVENT_BYTES) * SECONDS_A_MONTH) / MILLION,
      'eventsMillion',
    );
  }
  // Over Kafka's protocol the service keeps the positions of groups itself.
  const withBlobs = isKafka ? [devices] : streams;
  const writesPerS = withBlobs.map((flow) => {
    const partitions = partitionsFor(flow, peakFactor, sizes);
    const perPartition = Math.min(1 / CHECKPOINT_S, eventsPerS(flow) / partitions);
    return flow.groups * partitions * perPartition;
  });
  bill.add(
    'event stream',
    'checkpoints in blobs',
    (sum(writesPerS) * SECONDS_A_MONTH) / 10_000,
    'blobWritesTenThousand',
  );
}

function addNamespace(
  bill: Bill<'azure'>,
  kind: string,
  flows: readonly StreamFlow[],
  { peakFactor, retention }: Pick<Demand, 'peakFactor'> & Pick<Environment, 'retention'>,
): void {
  const units = throughputUnitsFor(flows, peakFactor);
  bill.add(
    'event stream',
    `${kind}: ${several(units, 'throughput unit')}`,
    units * HOURS_A_MONTH,
    'throughputUnitHour',
  );
  if (units > MAX_THROUGHPUT_UNITS)
    bill.obstacles.push(
      `a namespace of Event Hubs Standard has ${MAX_THROUGHPUT_UNITS} throughput units at the most, and ${units} are needed`,
    );
  const keptGb = (sum(flows.map(bytesPerS)) * retention.streamHours * 3600) / BYTES_A_GB;
  bill.add('event stream', 'kept above what units have', Math.max(0, keptGb - units * KEPT_GB_A_UNIT), 'objectsHotGb');
}

/** Of a namespace, which its hubs share: what comes in at its peak, and goes out to each group. */
export function throughputUnitsFor(streams: readonly StreamFlow[], peakFactor: number): number {
  const total = (of: (flow: StreamFlow) => number) => sum(streams.map(of)) * peakFactor;
  return Math.max(
    1,
    Math.ceil(total(bytesPerS) / UNIT_BYTES_IN),
    Math.ceil(total(eventsPerS) / UNIT_EVENTS_IN),
    Math.ceil(total((flow) => bytesPerS(flow) * flow.groups) / UNIT_BYTES_OUT),
    Math.ceil(total((flow) => eventsPerS(flow) * flow.groups) / UNIT_EVENTS_OUT),
  );
}

/** Of a hub: as many as its profile has, or its load needs. */
export function partitionsFor(flow: StreamFlow, peakFactor: number, sizes: Sizes): number {
  return Math.max(PARTITIONS[sizes], throughputUnitsFor([flow], peakFactor));
}

function addDatabase(bill: Bill<'azure'>, demand: Demand, { sizes, switches }: Environment): void {
  const { size, times, vcpu, tooSmall } = databaseSize(demand.databaseVcpu, sizes);
  if (tooSmall !== undefined) bill.obstacles.push(tooSmall);
  const copies = (switches.multiAz ? 2 : 1) + (switches.secondRegion ? 1 : 0);
  const gb = databaseGb(demand);
  bill.size('database', databaseText(vcpu, gb, copies));
  const named = `Flexible Server, ${vcpu} vCPU, ${several(copies, 'copy', 'copies')}`;
  bill.add('database', named, times * copies * HOURS_A_MONTH, `database${size}Hour`);
  bill.add('database', `storage, ${gb} GB a copy`, gb * copies, 'databaseStorageGb');
}

/** Disks double in size from one to the next. */
export function databaseGb(demand: Demand): number {
  return Math.max(MIN_DATABASE_GB, 2 ** Math.ceil(Math.log2(demand.databaseGb)));
}

function addObjects(bill: Bill<'azure'>, demand: Demand, environment: Environment): void {
  const { switches } = environment;
  const copies = switches.secondRegion ? 2 : 1;
  bill.size('object store', objectsText(demand));
  const [hot, cold] = switches.multiAz
    ? (['objectsHotZonesGb', 'objectsColdZonesGb'] as const)
    : (['objectsHotGb', 'objectsColdGb'] as const);
  bill.add('object store', 'Blob Storage, hot', demand.hotGb * copies, hot);
  bill.add('object store', 'Blob Storage, cold', demand.archiveGb * copies, cold);
  bill.add('object store', 'writes', (demand.objectWritesPerMonth * copies) / 10_000, 'blobWritesTenThousand');
  if (!switches.secondRegion) return;
  bill.add('object store', 'replication to the second region', demand.objectGbPerMonth, 'regionTransferGb');
  // Of what is copied, not of the services: a region that answers has a registry of its own.
  if (isPrivateAtAzure(environment))
    bill.add('object store', 'images in the second region: Container Registry Premium', 1, 'registryPremiumMonth');
}

function addServices(bill: Bill<'azure'>, { services }: Demand, environment: Environment, zones: number): void {
  const { vcpu, memoryGb } = totalOf(services);
  if (environment.switches.orchestrator === 'kubernetes') {
    const { system, nodes, nodeVcpu } = aksNodesFor(services, zones);
    const priced = (many: number, vcpu: number) => ((many * vcpu) / PRICED_NODE_VCPU) * HOURS_A_MONTH;
    bill.size('services', several(nodes, 'node'));
    bill.add('services', 'AKS control plane', HOURS_A_MONTH, 'clusterHour');
    bill.add('services', `AKS: ${several(nodes, 'node')} of ${nodeVcpu} vCPU`, priced(nodes, nodeVcpu), 'nodeHour');
    bill.add(
      'services',
      `AKS: ${several(system, 'node')} of its own`,
      priced(system, AKS_SYSTEM_NODE_VCPU),
      'nodeHour',
    );
    bill.add('services', 'balancer within the network', HOURS_A_MONTH, 'balancerHour');
  } else {
    bill.size('services', `${vcpu} vCPU, ${memoryGb} GB`);
    bill.add('services', `Container Apps: ${vcpu} vCPU`, vcpu * SECONDS_A_MONTH, 'vcpuSecond');
    bill.add('services', `Container Apps: ${memoryGb} GiB`, memoryGb * SECONDS_A_MONTH, 'memoryGbSecond');
  }
  if (isPrivateAtAzure(environment)) bill.add('services', 'Container Registry Premium', 1, 'registryPremiumMonth');
  else bill.add('services', 'Container Registry Basic', 1, 'registryBasicMonth');
}

/** Nodes of AKS, by pool. */
export interface AksNodes {
  /** What AKS runs beside the services is on those alone, of 4 vCPU each. */
  readonly system: number;
  readonly nodes: number;
  readonly nodeVcpu: 4 | 8;
}

/**
 * Of 4 vCPU and 16 GiB each, or of twice that where a copy would not fit beside what a node runs for itself, or fewer vCPU are enough for all;
 * at least two, or one a zone.
 */
export function aksNodesFor(services: readonly ServiceSize[], zones: number): AksNodes {
  const fewest = Math.max(2, zones);
  const nodesOf = (nodeVcpu: AksNodes['nodeVcpu']): AksNodes => {
    const nodes = nodesThatHold(services, nodeVcpu - TAKEN_OF_NODE_VCPU);
    return { system: fewest, nodes: Math.max(fewest, nodes), nodeVcpu };
  };
  const [small, large] = [nodesOf(4), nodesOf(8)];
  const allFit = services.every(({ vcpu }) => vcpu <= small.nodeVcpu - TAKEN_OF_NODE_VCPU);
  return allFit && small.nodes * small.nodeVcpu <= large.nodes * large.nodeVcpu ? small : large;
}

/**
 * Nodes on which every copy has a place: the largest first, each on the first node with room. Fewer would not do, as a copy has twice the vCPU of a
 * smaller one, or twice that. Memory is no matter: a copy has 2 GB a vCPU, and a node four.
 */
function nodesThatHold(services: readonly ServiceSize[], roomVcpu: number): number {
  const freeVcpu: number[] = [];
  for (const { vcpu, copies } of services.toSorted((one, other) => other.vcpu - one.vcpu)) {
    let left = copies;
    for (let node = 0; left > 0; node++) {
      if (node === freeVcpu.length) freeVcpu.push(Math.max(roomVcpu, vcpu));
      const placed = Math.min(left, Math.floor(freeVcpu[node]! / vcpu));
      freeVcpu[node]! -= placed * vcpu;
      left -= placed;
    }
  }
  return freeVcpu.length;
}

/** Whether images and the way in are reached by private addresses alone, which dearer tiers have: a cluster has no other way in, of whatever size. */
export function isPrivateAtAzure({ sizes, switches }: Environment): boolean {
  return sizes !== 'small' || switches.orchestrator === 'kubernetes';
}

/** Where queries are asked is of the one warehouse: another region that answers has none. */
function addWarehouse(bill: Bill<'azure'>, { queryTb }: Demand, { switches }: Environment): void {
  if (!switches.warehouse) return;
  bill.add('warehouse', 'Synapse serverless', queryTb, 'queryTb');
  bill.add('warehouse', 'Synapse: private endpoint', HOURS_A_MONTH, 'endpointHour');
}

function addNetwork(bill: Bill<'azure'>, { natGb }: Demand, environment: Environment): void {
  const isPrivate = isPrivateAtAzure(environment);
  // A subnet has one, and all services are in one subnet, whichever zones that is in.
  bill.add('network', 'NAT: 1 gateway', HOURS_A_MONTH, 'natHour');
  bill.add('network', 'NAT: data', natGb, 'natGb');
  const { eventStream, orchestrator } = environment.switches;
  // Of the topics beside the devices' stream, of the registry in the dearer tier, and of a cluster's control plane.
  const others = [eventStream === 'kafka', isPrivate, orchestrator === 'kubernetes'].filter(Boolean).length;
  bill.add('network', 'private endpoints', (PRIVATE_ENDPOINTS + others) * HOURS_A_MONTH, 'endpointHour');
  // Besides the endpoint itself: the charge "Dedicated Plan Management", whatever the environment's plan is.
  if (isPrivate && orchestrator === 'containers')
    bill.add('network', 'private endpoint of Container Apps', HOURS_A_MONTH, 'appsEndpointHour');
  bill.add('network', 'public address', HOURS_A_MONTH, 'publicAddressHour');
  // Premium alone reaches an origin that has no public address.
  if (isPrivate) bill.add('network', 'Front Door Premium with WAF', 1, 'frontDoorPremiumMonth');
  else bill.add('network', 'Front Door Standard with WAF', 1, 'frontDoorStandardMonth');
}
