import type { Cloud } from './cloud.ts';
import { HOURS_A_MONTH, SECONDS_A_MONTH, type Demand, type ServiceSize } from './demand.ts';
import type { Environment } from './environment.ts';
import { isMetered, type Price, type PriceItem, type PriceList } from './prices.ts';

/** What a bill is divided into, in the order in which it is told. */
export const PARTS = [
  'device gateway',
  'event stream',
  'database',
  'object store',
  'services',
  'network',
  'operations',
  'warehouse',
] as const;
/** A part of the bill, which somebody may shrink. */
export type Part = (typeof PARTS)[number];

/** One line of a month's bill. */
export interface CostLine {
  readonly part: Part;
  /** What it is, with how it was sized: `metrics: 1 shard`. */
  readonly what: string;
  readonly quantity: number;
  readonly item: PriceItem;
  readonly price: Price;
  readonly usd: number;
}

/** What an environment would be at a cloud, sized and priced. */
export interface Plan {
  readonly cloud: Cloud;
  /** Of which the prices are, one for each cloud that it is at. */
  readonly pricesOfRegions: readonly string[];
  readonly lines: readonly CostLine[];
  /** How large the parts of the first region are that have a size: `8 shards`. */
  readonly sized: Readonly<Partial<Record<Part, string>>>;
  readonly usdPerMonth: number;
  readonly usdByPart: Readonly<Record<Part, number>>;
  /** Of `usdPerMonth`, what regions after the first have so that they answer: it is priced, and no stack makes it. */
  readonly usdOfOtherRegions: number;
  /** Of readings that are accepted. */
  readonly usdPerThousandReadings: number;
  readonly usdPerMachine: number;
  /** What the site has to run itself there, as the cloud has no such service. */
  readonly selfRun: readonly string[];
  /** Why it cannot be had there as it is described; empty where it can. */
  readonly obstacles: readonly string[];
}

/** Collects the lines of a plan. */
export class Bill<Of extends Cloud> {
  readonly lines: CostLine[] = [];
  readonly sized: Partial<Record<Part, string>> = {};
  readonly selfRun: string[] = [];
  readonly obstacles: string[] = [];
  readonly #cloud: Of;
  readonly #prices: PriceList<Of>;

  constructor(cloud: Of, prices: PriceList<Of>) {
    this.#cloud = cloud;
    this.#prices = prices;
  }

  /** Adds a line; none where there is nothing of it. */
  add(part: Part, what: string, quantity: number, item: PriceItem<Of>): void {
    if (quantity === 0) return;
    const price = this.#prices.items[item];
    this.lines.push({ part, what, quantity, item, price, usd: quantity * price.usd });
  }

  /** Says how large a part is, after what was said of it before. */
  size(part: Part, text: string): void {
    const before = this.sized[part];
    this.sized[part] = before === undefined ? text : `${before}, ${text}`;
  }

  plan(demand: Demand): Plan {
    const { lines, sized, selfRun } = this;
    const obstacles = [...this.obstacles, ...demand.services.flatMap(({ tooSmall = [] }) => tooSmall)];
    const found = { cloud: this.#cloud, pricesOfRegions: [this.#prices.region], lines, sized, selfRun, obstacles };
    return { ...found, ...costsOf(lines, demand), usdOfOtherRegions: 0 };
  }
}

const STANDBY_PARTS: readonly Part[] = ['device gateway', 'event stream', 'services', 'network', 'operations'];
/** One profile is before all regions of its cloud. */
const ONCE_A_CLOUD: readonly PriceItem[] = ['frontDoorStandardMonth', 'frontDoorPremiumMonth'];

/**
 * A plan with further regions that answer: what is there by the hour or month as in the first, so that it takes over; what is counted by use
 * is in the first alone, as machines send to one region at a time. Database and objects are not among it.
 */
export function withRegions(
  first: Plan,
  others: readonly { readonly region: string; readonly plan: Plan }[],
  demand: Demand,
): Plan {
  const clouds = new Set([first.cloud]);
  const lines = [...first.lines];
  for (const { region, plan } of others) {
    const own = plan.lines.filter(
      ({ part, item }) =>
        STANDBY_PARTS.includes(part) && !isMetered(item) && !(clouds.has(plan.cloud) && ONCE_A_CLOUD.includes(item)),
    );
    lines.push(...own.map((line) => ({ ...line, what: `${region}: ${line.what}` })));
    clouds.add(plan.cloud);
  }
  const ofAll = (of: (plan: Plan) => readonly string[]) => [
    ...new Set([...of(first), ...others.flatMap(({ plan }) => of(plan))]),
  ];
  return {
    ...first,
    ...costsOf(lines, demand),
    lines,
    usdOfOtherRegions: sum(lines.slice(first.lines.length).map(({ usd }) => usd)),
    pricesOfRegions: ofAll((plan) => plan.pricesOfRegions),
    selfRun: ofAll((plan) => plan.selfRun),
    obstacles: ofAll((plan) => plan.obstacles),
  };
}

function costsOf(
  lines: readonly CostLine[],
  demand: Demand,
): Pick<Plan, 'usdPerMonth' | 'usdByPart' | 'usdPerThousandReadings' | 'usdPerMachine'> {
  const usdOf = (part: Part) => sum(lines.filter((line) => line.part === part).map(({ usd }) => usd));
  const usdPerMonth = sum(lines.map(({ usd }) => usd));
  return {
    usdPerMonth,
    usdByPart: Object.fromEntries(PARTS.map((part) => [part, usdOf(part)])) as Record<Part, number>,
    usdPerThousandReadings: usdPerMonth / ((demand.readingsPerS * SECONDS_A_MONTH) / 1000),
    usdPerMachine: usdPerMonth / demand.machines,
  };
}

/** Adds the machines behind an endpoint of models, which are there all month. */
export function addModelMachines(
  bill: { add(part: Part, what: string, quantity: number, item: 'modelMachineHour'): void },
  service: string,
  machines: number,
): void {
  const what = `${service}: ${several(machines, 'machine')} for models`;
  bill.add('services', what, machines * HOURS_A_MONTH, 'modelMachineHour');
}

/** Machines behind an endpoint of models at the least, where it is paid by the hour. */
export function modelMachinesOf({ switches }: Environment): number {
  if (switches.modelEndpoint !== 'instance') return 0;
  return switches.multiAz ? 2 : 1;
}

/** Zones that a site's network is in. */
export function zonesOf({ switches }: Environment): number {
  return switches.multiAz ? 3 : 1;
}

/** Of all copies of all services. */
export function totalOf(services: readonly ServiceSize[]): {
  readonly vcpu: number;
  readonly memoryGb: number;
  readonly copies: number;
} {
  return {
    vcpu: sum(services.map(({ vcpu, copies }) => vcpu * copies)),
    memoryGb: sum(services.map(({ memoryGb, copies }) => memoryGb * copies)),
    copies: sum(services.map(({ copies }) => copies)),
  };
}

/**
 * Of 2 vCPU and 8 GiB each, a sixth of which the cluster itself takes; at least two, or one a zone. By the sum of copies, which is enough where the
 * cloud chooses nodes of a size that its copies fill.
 */
export function nodesFor(services: readonly ServiceSize[], zones: number): number {
  const { vcpu, memoryGb } = totalOf(services);
  return Math.max(2, zones, Math.ceil((vcpu * 1.2) / 2), Math.ceil((memoryGb * 1.2) / 8));
}

/** The size of a database, each of its copies alike. */
export function databaseText(vcpu: number, gb: number, copies: number): string {
  return `${copies > 1 ? `${copies}x` : ''}${vcpu} vCPU, ${volumeText(gb)}`;
}

/** What objects take, once. */
export function objectsText({ hotGb, archiveGb }: Demand): string {
  const gb = Math.ceil(hotGb + archiveGb);
  return gb === 0 ? 'none' : volumeText(gb);
}

function volumeText(gb: number): string {
  return gb < 1000 ? `${gb} GB` : `${(gb / 1000).toFixed(1)} TB`;
}

/** `1 shard`, `2 shards`. */
export function several(many: number, one: string, more = `${one}s`): string {
  return `${many} ${many === 1 ? one : more}`;
}

export function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
