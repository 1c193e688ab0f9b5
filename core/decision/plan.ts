import type { Cloud } from './cloud.ts';
import { SECONDS_A_MONTH, type Demand, type ServiceSize } from './demand.ts';
import type { Environment } from './environment.ts';
import type { Price, PriceItem, PriceList } from './prices.ts';

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
  readonly price: Price;
  readonly usd: number;
}

/** What an environment would be at a cloud, sized and priced. */
export interface Plan {
  readonly cloud: Cloud;
  readonly lines: readonly CostLine[];
  readonly usdPerMonth: number;
  readonly usdByPart: Readonly<Record<Part, number>>;
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
  readonly selfRun: string[] = [];
  readonly obstacles: string[] = [];
  readonly #cloud: Of;
  readonly #prices: PriceList<Of>['items'];

  constructor(cloud: Of, prices: PriceList<Of>) {
    this.#cloud = cloud;
    this.#prices = prices.items;
  }

  /** Adds a line; none where there is nothing of it. */
  add(part: Part, what: string, quantity: number, item: PriceItem<Of>): void {
    if (quantity === 0) return;
    const price = this.#prices[item];
    this.lines.push({ part, what, quantity, price, usd: quantity * price.usd });
  }

  plan(demand: Demand): Plan {
    const usdOf = (part: Part) => sum(this.lines.filter((line) => line.part === part).map(({ usd }) => usd));
    const usdPerMonth = sum(this.lines.map(({ usd }) => usd));
    return {
      cloud: this.#cloud,
      lines: this.lines,
      usdPerMonth,
      usdByPart: Object.fromEntries(PARTS.map((part) => [part, usdOf(part)])) as Record<Part, number>,
      usdPerThousandReadings: usdPerMonth / ((demand.readingsPerS * SECONDS_A_MONTH) / 1000),
      usdPerMachine: usdPerMonth / demand.machines,
      selfRun: this.selfRun,
      obstacles: this.obstacles,
    };
  }
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

/** Of 2 vCPU and 8 GiB each, a sixth of which the cluster itself takes; at least two, or one a zone. */
export function nodesFor(services: readonly ServiceSize[], zones: number): number {
  const { vcpu, memoryGb } = totalOf(services);
  return Math.max(2, zones, Math.ceil((vcpu * 1.2) / 2), Math.ceil((memoryGb * 1.2) / 8));
}

/** `1 shard`, `2 shards`. */
export function several(many: number, one: string, more = `${one}s`): string {
  return `${many} ${many === 1 ? one : more}`;
}

export function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
