import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { loadPrices } from '#services/shared/environments/environment-files.ts';
import { sampleEnvironment } from '#test/support/sample-environment.ts';
import { shardsFor } from './aws-plan.ts';
import { aksNodesFor, hubFor, partitionsFor, throughputUnitsFor } from './azure-plan.ts';
import { CLOUDS, type Cloud } from './cloud.ts';
import { demandOf, HOURS_A_MONTH, type StreamFlow } from './demand.ts';
import { rangesOverlap } from './environment-rules.ts';
import type { Environment } from './environment.ts';
import { planAt } from './plan-at.ts';

const prices = loadPrices('environments/prices');
/** Of the rounding of sums. */
const CENT = 0.01;

const workloads = fc.record({
  machines: fc.integer({ min: 1, max: 5_000 }),
  messageIntervalS: fc.double({ min: 0.05, max: 3_600, noNaN: true }),
  readingsPerMessage: fc.integer({ min: 1, max: 100 }),
  bytesPerMessage: fc.integer({ min: 1, max: 8_000 }),
  metricsPerMachine: fc.integer({ min: 1, max: 100 }),
  peakFactor: fc.double({ min: 1, max: 5, noNaN: true }),
  waveforms: fc.option(
    fc.record({
      perMachinePerDay: fc.double({ min: 0.1, max: 1_000, noNaN: true }),
      bytes: fc.integer({ min: 1_000, max: 1_000_000 }),
    }),
    { nil: undefined },
  ),
});
const environments = fc
  .record({
    workload: workloads,
    switches: fc.record({
      multiAz: fc.boolean(),
      secondRegion: fc.boolean(),
      orchestrator: fc.constantFrom('containers', 'kubernetes'),
      eventStream: fc.constantFrom('native', 'kafka'),
      warehouse: fc.boolean(),
      rawArchive: fc.boolean(),
      modelEndpoint: fc.constantFrom('none', 'serverless', 'instance'),
    }),
    sizes: fc.constantFrom('small', 'standard', 'large'),
  })
  .map((changes) => sampleEnvironment(changes));

describe.each(CLOUDS)('a plan at %s', (cloud) => {
  const usd = (environment: Environment, scale = {}) => planAt(cloud, environment, prices, scale).usdPerMonth;

  it('costs no less with more machines', () => {
    fc.assert(
      fc.property(environments, fc.integer({ min: 1, max: 20 }), (environment, growth) => {
        expect(usd(environment, { growth })).toBeGreaterThanOrEqual(usd(environment) - CENT);
      }),
    );
  });

  it('costs no more with messages that are sent together', () => {
    fc.assert(
      fc.property(environments, fc.integer({ min: 1, max: 8 }), (environment, batching) => {
        expect(usd(environment, { batching })).toBeLessThanOrEqual(usd(environment) + CENT);
      }),
    );
  });

  it.each([
    [
      'readings that are kept for longer',
      { retention: { readingsDays: 300, rollupsDays: 365, waveformsDays: 365, backupDays: 14 } },
    ],
    ['several zones', { switches: { multiAz: true } }],
    ['a second region', { switches: { secondRegion: true } }],
    ['a warehouse', { switches: { warehouse: true } }],
    ['models behind an endpoint', { switches: { modelEndpoint: 'instance' } }],
    ['larger sizes', { sizes: 'large' }],
  ])('costs more with %s', (_what, changes) => {
    expect(usd(sampleEnvironment(changes))).toBeGreaterThan(usd(sampleEnvironment()));
  });

  it('has twice the cost with prices twice as high', () => {
    const list = prices[cloud];
    const items = Object.fromEntries(
      Object.entries(list.items).map(([item, price]) => [item, { ...price, usd: 2 * price.usd }]),
    );
    const dearer = { ...prices, [cloud]: { ...list, items } };
    const environment = sampleEnvironment();
    expect(planAt(cloud, environment, dearer).usdPerMonth).toBeCloseTo(2 * usd(environment), 6);
  });
});

describe('the bill of 200 machines in one zone', () => {
  it.each([
    // 2 vCPU and 28 GB: 105.85 + 3.22. NAT, 10 GB through it, 5 endpoints, 3 addresses, balancer and its unit, WAF.
    ['aws', { database: 109.07, network: 32.85 + 0.45 + 36.5 + 10.95 + 16.425 + 5.84 + 8.6 }],
    // 2 vCPU and 32 GB: 129.94 + 3.68. NAT, 10 GB through it, 6 endpoints, the one of Container Apps besides, an address, Front Door.
    ['azure', { database: 133.62, network: 32.85 + 0.45 + 43.8 + 73 + 3.65 + 330 }],
    // 2 vCPU, 8 GB and 28 GB: 60.298 + 40.88 + 4.76. NAT of 6 instances, 10 GB, 2 addresses, balancer, Cloud Armor.
    ['gcp', { database: 105.938, network: 6.132 + 0.45 + 7.3 + 18.25 + 8.75 }],
  ] as const)('is at %s what was computed by hand', (cloud, usd) => {
    const { usdByPart, usdPerMonth, lines } = planAt(cloud, sampleEnvironment(), prices);
    expect(usdByPart.database).toBeCloseTo(usd.database, 6);
    expect(usdByPart.network).toBeCloseTo(usd.network, 6);
    expect(usdPerMonth).toBeCloseTo(
      lines.reduce((sum, { quantity, price }) => sum + quantity * price.usd, 0),
      6,
    );
  });
});

describe('models behind an endpoint that is paid by the hour', () => {
  it.each([
    // One ml.m5.large, also in several zones; of the others one, or two.
    ['aws', 83.95, 83.95],
    ['azure', 61.758, 123.516],
    ['gcp', 56.251172, 112.502344],
  ] as const)('cost at %s in one zone and in several what was computed by hand', (cloud, inOne, inSeveral) => {
    const usdOf = (switches: Partial<Environment['switches']>) => {
      const { lines } = planAt(cloud, sampleEnvironment({ switches }), prices);
      return lines.filter(({ item }) => item === 'modelMachineHour').map(({ part, usd }) => [part, usd]);
    };
    expect(usdOf({ modelEndpoint: 'instance' })).toEqual([['services', expect.closeTo(inOne, 6)]]);
    expect(usdOf({ modelEndpoint: 'instance', multiAz: true })).toEqual([['services', expect.closeTo(inSeveral, 6)]]);
    for (const modelEndpoint of ['none', 'serverless'] as const) expect(usdOf({ modelEndpoint })).toEqual([]);
  });
});

describe('ranges of addresses', () => {
  it.each([
    ['10.40.0.0/16', '10.40.16.0/20', true],
    ['10.40.16.0/20', '10.40.0.0/16', true],
    ['10.40.0.0/16', '10.41.0.0/16', false],
    ['10.40.0.0/20', '10.40.16.0/20', false],
  ])('%s and %s overlap: %s', (one, other, expected) => {
    expect(rangesOverlap(one, other)).toBe(expected);
  });
});

function flow(perS: number, bytes: number, groups: number): StreamFlow {
  return { stream: 'metrics', events: [{ perS, bytes }], groups };
}

describe('the shards of a stream', () => {
  it.each([
    { reason: 'for nothing: one', eventsPerS: 0, bytesPerEvent: 100, groups: 0, shards: 1 },
    { reason: 'by records: 1,000 a second each', eventsPerS: 1_001, bytesPerEvent: 10, groups: 1, shards: 2 },
    { reason: 'by bytes in: 1 MB a second each', eventsPerS: 100, bytesPerEvent: 25_000, groups: 1, shards: 3 },
    {
      reason: 'by bytes out: 2 MB a second each, to every group',
      eventsPerS: 100,
      bytesPerEvent: 10_000,
      groups: 5,
      shards: 3,
    },
  ])('are as many as it needs $reason', ({ shards, eventsPerS, bytesPerEvent, groups }) => {
    expect(shardsFor(flow(eventsPerS, bytesPerEvent, groups), 1)).toBe(shards);
  });

  it('take the peak, not the mean', () => {
    expect(shardsFor(flow(900, 10, 1), 3)).toBe(3);
  });
});

describe('the throughput units of a namespace', () => {
  it.each([
    { reason: 'events in, of all hubs together', streams: [flow(600, 10, 1), flow(600, 10, 1)], units: 2 },
    { reason: 'bytes in', streams: [flow(100, 21_000, 0)], units: 3 },
    { reason: 'bytes out', streams: [flow(100, 10_000, 5)], units: 3 },
    { reason: 'events out', streams: [flow(1_000, 10, 9)], units: 3 },
  ])('are as many as $reason need', ({ streams, units }) => {
    expect(throughputUnitsFor(streams, 1)).toBe(units);
  });
});

describe('the nodes of AKS', () => {
  /** What a node runs for itself takes 0.6 of its vCPU. */
  const nodesOf = (copies: Readonly<Record<string, readonly [vcpu: number, copies: number]>>, zones = 1) =>
    aksNodesFor(
      Object.entries(copies).map(([service, [vcpu, many]]) => ({
        ...{ service, vcpu, memoryGb: 2 * vcpu, copies: many, isAlone: false },
      })),
      zones,
    );

  it.each([
    { reason: 'copies fit in two: no fewer', copies: { small: [0.5, 4] }, zones: 1, nodes: 2, nodeVcpu: 4 },
    { reason: 'zones are several: one in each', copies: { small: [0.5, 4] }, zones: 3, nodes: 3, nodeVcpu: 4 },
    // Ten vCPU would be three nodes by their sum, and each has room for one of two vCPU with one of one.
    { reason: 'copies of two find room', copies: { small: [1, 4], large: [2, 3] }, zones: 1, nodes: 4, nodeVcpu: 4 },
    { reason: 'a copy of four finds room', copies: { small: [1, 2], large: [4, 1] }, zones: 1, nodes: 2, nodeVcpu: 8 },
    // Three on each, where eight of four vCPU each would have one.
    { reason: 'larger nodes hold more', copies: { large: [2, 8] }, zones: 1, nodes: 3, nodeVcpu: 8 },
  ] as const)('are, where $reason, $nodes of $nodeVcpu vCPU', ({ copies, zones, nodes, nodeVcpu }) => {
    expect(nodesOf(copies, zones)).toEqual({ system: Math.max(2, zones), nodes, nodeVcpu });
  });

  it('hold all that large sizes have, each copy with its place', () => {
    const { services } = demandOf(sampleEnvironment({ sizes: 'large' }));
    expect(services.map(({ vcpu, copies }) => [vcpu, copies])).toEqual([
      [1, 1],
      [2, 1],
      [2, 1],
      [2, 1],
      [1, 1],
      [1, 1],
    ]);
    // Two of one vCPU do not fit beside one of two.
    expect(aksNodesFor(services, 1)).toEqual({ system: 2, nodes: 3, nodeVcpu: 4 });
    const inZones = demandOf(sampleEnvironment({ sizes: 'large', switches: { multiAz: true } })).services;
    expect(aksNodesFor(inZones, 3)).toEqual({ system: 3, nodes: 4, nodeVcpu: 4 });
  });

  it('are no fewer vCPU with more copies', () => {
    const sizes = fc.record({ vcpu: fc.constantFrom(0.25, 0.5, 1, 2, 4), copies: fc.integer({ min: 1, max: 40 }) });
    fc.assert(
      fc.property(fc.array(sizes, { minLength: 1, maxLength: 6 }), fc.nat(5), (services, which) => {
        const vcpuOf = (more: number) => {
          const all = services.map(({ vcpu, copies }, index) => ({
            ...{ service: String(index), vcpu, memoryGb: 2 * vcpu, isAlone: false },
            copies: index === which % services.length ? copies + more : copies,
          }));
          const { nodes, nodeVcpu } = aksNodesFor(all, 1);
          return nodes * nodeVcpu;
        };
        expect(vcpuOf(1)).toBeGreaterThanOrEqual(vcpuOf(0));
      }),
    );
  });
});

describe('the way in to Container Apps', () => {
  it.each([
    { sizes: 'small', orchestrator: 'containers', hours: 0 },
    { sizes: 'standard', orchestrator: 'containers', hours: HOURS_A_MONTH },
    { sizes: 'standard', orchestrator: 'kubernetes', hours: 0 },
  ] as const)('of $sizes $orchestrator is charged $hours hours a month for a private endpoint', (given) => {
    const { sizes, orchestrator, hours } = given;
    const { lines } = planAt('azure', sampleEnvironment({ sizes, switches: { orchestrator } }), prices);
    const charged = lines.filter(({ item }) => item === 'appsEndpointHour');
    expect(charged.reduce((sum, { quantity }) => sum + quantity, 0)).toBe(hours);
  });
});

describe('a cluster at Azure', () => {
  it('is priced with its control plane and how that is reached, nodes of its own, and the dearer tiers', () => {
    const linesOf = (switches: Partial<Environment['switches']>) =>
      planAt('azure', sampleEnvironment({ switches }), prices).lines;
    const hoursOf = (orchestrator: 'containers' | 'kubernetes', item: string) =>
      linesOf({ orchestrator })
        .filter((line) => line.item === item)
        .reduce((sum, { quantity }) => sum + quantity, 0) / HOURS_A_MONTH;
    expect(hoursOf('kubernetes', 'clusterHour')).toBe(1);
    // Two of four vCPU for AKS itself and two for services, as nodes of two.
    expect(hoursOf('kubernetes', 'nodeHour')).toBe(8);
    expect(hoursOf('kubernetes', 'endpointHour')).toBe(hoursOf('containers', 'endpointHour') + 1);
  });
});

describe('a warehouse at Azure', () => {
  const linesOf = (warehouse: boolean) => planAt('azure', sampleEnvironment({ switches: { warehouse } }), prices).lines;

  it('is priced by what queries read, and the hours of its endpoint', () => {
    const ofWarehouse = linesOf(true).filter(({ part }) => part === 'warehouse');
    expect(ofWarehouse.map(({ item, quantity }) => [item, quantity])).toEqual([
      ['queryTb', demandOf(sampleEnvironment({ switches: { warehouse: true } })).queryTb],
      ['endpointHour', HOURS_A_MONTH],
    ]);
    expect(linesOf(false).filter(({ part }) => part === 'warehouse')).toEqual([]);
  });
});

describe('the partitions of an event hub', () => {
  it.each([
    { reason: 'its profile says', load: flow(10, 10, 1), sizes: 'standard', partitions: 4 },
    { reason: 'its bytes need', load: flow(100, 60_000, 0), sizes: 'standard', partitions: 6 },
    { reason: 'its groups need', load: flow(100, 10_000, 5), sizes: 'small', partitions: 3 },
  ] as const)('are as many as $reason', ({ load, sizes, partitions }) => {
    expect(partitionsFor(load, 1, sizes)).toBe(partitions);
  });
});

describe('what is kept on the streams', () => {
  const kept = (cloud: Cloud, streamHours: number, workload: Readonly<Record<string, unknown>> = {}) => {
    const { retention, workload: usual } = sampleEnvironment();
    const changes = { retention: { ...retention, streamHours }, workload: { ...usual, ...workload } };
    return planAt(cloud, sampleEnvironment(changes), prices).usdByPart['event stream'];
  };

  it('costs $14.60 a shard and month at Kinesis above a day, however much longer', () => {
    // One shard of each of the six streams, of that of the devices, and of what rules could not put there.
    expect(kept('aws', 48) - kept('aws', 24)).toBeCloseTo(8 * 14.6, 6);
    expect(kept('aws', 168)).toBe(kept('aws', 48));
  });

  it('costs by the GiB at Pub/Sub, from the first day', () => {
    // A day: 20 messages a second, 200 windows a minute, an alarm a machine.
    const gib = (20 * 1024 * 86_400 + 200 * 1440 * 400 + 200 * 1000) / 2 ** 30;
    const line = planAt('gcp', sampleEnvironment(), prices).lines.find(({ item }) => item === 'streamStorageGb');
    expect(line?.usd).toBeCloseTo(gib * 0.27, 6);
    expect(kept('gcp', 168) - kept('gcp', 24)).toBeCloseTo(6 * gib * 0.27, 6);
  });

  it('costs nothing more at MSK but of the two streams of the devices', () => {
    const { retention } = sampleEnvironment();
    const usd = (streamHours: number) =>
      planAt(
        'aws',
        sampleEnvironment({ switches: { eventStream: 'kafka' }, retention: { ...retention, streamHours } }),
        prices,
      ).usdByPart['event stream'];
    expect(usd(48) - usd(24)).toBeCloseTo(2 * 14.6, 6);
  });

  it('has namespaces of their own at Event Hubs for devices and for the topics of Kafka, each of a unit or more', () => {
    const unitsOf = (eventStream: 'native' | 'kafka') =>
      planAt('azure', sampleEnvironment({ switches: { eventStream } }), prices)
        .lines.filter(({ item }) => item === 'throughputUnitHour')
        .map(({ what }) => what);
    expect(unitsOf('native')).toEqual(['Event Hubs: 1 throughput unit']);
    expect(unitsOf('kafka')).toEqual([
      'Event Hubs, devices: 1 throughput unit',
      'Event Hubs, Kafka endpoint: 1 throughput unit',
    ]);
  });

  it('costs nothing at Event Hubs until units are full, and as much as blobs then', () => {
    expect(kept('azure', 168)).toBe(kept('azure', 24));
    const busy = { machines: 500, messageIntervalS: 1, peakFactor: 1 };
    expect(kept('azure', 168, busy)).toBeGreaterThan(kept('azure', 24, busy) + 1);
  });
});

describe('the messages of IoT Core', () => {
  const usdOf = (messageIntervalS: number) => {
    const workload = { ...sampleEnvironment().workload, machines: 1000, messageIntervalS, peakFactor: 1 };
    return planAt('aws', sampleEnvironment({ workload }), prices)
      .lines.filter(({ what }) => what.startsWith('IoT Core messages'))
      .reduce((sum, { usd }) => sum + usd, 0);
  };

  it.each([
    { millions: 876, intervalS: 3, usd: 876 },
    { millions: 2_628, intervalS: 1, usd: 1000 + 1628 * 0.8 },
    { millions: 26_280, intervalS: 0.1, usd: 1000 + 4000 * 0.8 + 21_280 * 0.7 },
  ])('cost less above a thousand million a month: $usd for $millions million', ({ intervalS, usd }) => {
    expect(usdOf(intervalS)).toBeCloseTo(usd, 6);
  });
});

describe('the units of an IoT Hub', () => {
  it.each([
    { load: { messagesPerDay: 1, sendsPerS: 1 }, name: 'S1', units: 1 },
    { load: { messagesPerDay: 4_000_001, sendsPerS: 50 }, name: 'S2', units: 1 },
    { load: { messagesPerDay: 70_000_000, sendsPerS: 1_000 }, name: 'S3', units: 1 },
    { load: { messagesPerDay: 400_000, sendsPerS: 110 }, name: 'S1', units: 10 },
    { load: { messagesPerDay: 4_000_000_000, sendsPerS: 50_000 }, name: 'S3', units: 14 },
  ])(
    'for $load.messagesPerDay messages a day and $load.sendsPerS sends a second are $units $name',
    ({ load, name, units }) => {
      expect(hubFor(load, prices.azure)).toMatchObject({ name, units });
    },
  );
});

describe('a region that answers beside the first', () => {
  const first = { aws: 'us-east-1', azure: 'eastus', gcp: 'us-central1' };
  const second = { aws: 'us-west-2', azure: 'westus3', gcp: 'us-west1' };
  const answering = { ...second, controlApi: 'https://control.west.example' };
  const at = (cloud: (typeof CLOUDS)[number], regions: readonly unknown[], changes = {}) =>
    planAt(cloud, sampleEnvironment({ regions, ...changes }), prices);

  it.each(CLOUDS)('costs at %s what is there by the hour once more, and what is by use not', (cloud) => {
    const [one, two] = [at(cloud, [first]), at(cloud, [first, answering])];
    for (const part of ['services', 'network'] as const)
      expect(two.usdByPart[part]).toBeGreaterThan(one.usdByPart[part] * 1.02);
    for (const part of ['database', 'object store', 'warehouse'] as const)
      expect(two.usdByPart[part]).toBe(one.usdByPart[part]);
    const messages = (plan: typeof one) => plan.lines.filter(({ item }) => item === 'messagesMillion').length;
    expect(messages(two)).toBe(messages(one));
    expect(two.lines.filter(({ what }) => what.startsWith(`${second[cloud]}: `)).length).toBeGreaterThan(4);
  });

  it.each(CLOUDS)('costs nothing at %s where it says no address', (cloud) => {
    expect(at(cloud, [first, second]).usdPerMonth).toBe(at(cloud, [first]).usdPerMonth);
  });

  it('is priced at the cloud that it names', () => {
    const other = { provider: 'azure', azure: 'westus3', aiApi: 'https://ai.west.example' };
    const { lines, cloud } = at('aws', [first, other]);
    expect(cloud).toBe('aws');
    expect(lines.map(({ what }) => what)).toContain('westus3: Event Hubs: 1 throughput unit');
    expect(lines.map(({ what }) => what)).toContain('westus3: Front Door Premium with WAF');
  });

  it('has images of its own, beside the copy that the second region is paid for once', () => {
    const registries = (regions: readonly unknown[], secondRegion: boolean) =>
      at('azure', regions, { switches: { secondRegion } }).lines.filter(({ item }) => item === 'registryPremiumMonth');
    expect(registries([first, second], false)).toHaveLength(1);
    expect(registries([first, second], true)).toHaveLength(2);
    expect(registries([first, answering], true)).toHaveLength(3);
  });

  it('shares Front Door with the others of its cloud', () => {
    const fronts = at('azure', [first, answering]).lines.filter(({ what }) => what.includes('Front Door'));
    expect(fronts).toHaveLength(1);
  });
});

describe('the sizes of a plan', () => {
  it.each([
    ['aws', { 'event stream': '8 shards', database: '2 vCPU, 28 GB', services: '4.5 vCPU, 9 GB' }],
    ['azure', { 'device gateway': '5 units S1', 'event stream': '1 throughput unit', database: '2 vCPU, 32 GB' }],
    ['gcp', { 'device gateway': '1 broker', services: '6 vCPU, 9 GB' }],
  ] as const)('are told at %s', (cloud, sized) => {
    expect(planAt(cloud, sampleEnvironment(), prices).sized).toMatchObject(sized);
  });
});

describe('what a plan cannot keep', () => {
  const obstaclesAt = (cloud: (typeof CLOUDS)[number], workload: Readonly<Record<string, unknown>>) =>
    planAt(cloud, sampleEnvironment({ workload: { ...sampleEnvironment().workload, ...workload } }), prices).obstacles;

  it.each([
    ['aws', { machines: 1, messageIntervalS: 0.01 }, /100 messages a second, and a device sends 200/],
    ['azure', { machines: 100_000, messageIntervalS: 1 }, /40 throughput units at the most/],
    ['azure', { machines: 100_000, messageIntervalS: 1 }, /32 partitions at the most, and metrics needs 205/],
    ['gcp', { machines: 100_000, messageIntervalS: 1, readingsPerMessage: 10 }, /one database of 96 vCPU/],
    ['aws', { machines: 100_000, messageIntervalS: 1 }, /one copy of timeseries-service with 4 vCPU does not take/],
  ] as const)('is told as an obstacle at %s', (cloud, workload, message) => {
    expect(obstaclesAt(cloud, workload).join()).toMatch(message);
  });
});

describe('what a site needs', () => {
  it('reads the metrics once more where a raw archive is kept', () => {
    const groupsOf = (environment: Environment) =>
      demandOf(environment).streams.find(({ stream }) => stream === 'metrics')?.groups;
    expect(groupsOf(sampleEnvironment())).toBe(2);
    expect(groupsOf(sampleEnvironment({ switches: { rawArchive: true } }))).toBe(3);
  });
});
