import type { Cloud } from '../core/decision/cloud.ts';
import { demandOf, type Demand } from '../core/decision/demand.ts';
import type { Environment } from '../core/decision/environment.ts';
import { regionsAt } from '../core/decision/environment-rules.ts';
import { zonesOf } from '../core/decision/plan.ts';
import type { Prices } from '../core/decision/prices.ts';
import { Names } from './names.ts';

/** What stacks are made of: an environment at a cloud, sized. */
export interface Site {
  readonly environment: Environment;
  readonly demand: Demand;
  readonly names: Names;
  /** The primary region, as the cloud calls it. */
  readonly region: string;
  /** Zones that are paid for: one without `switches.multiAz`. */
  readonly zones: number;
  /** False in dev alone: elsewhere nothing that holds data can be deleted without saying so first. */
  readonly isProtected: boolean;
  /** By which a cloud's tiers are chosen: the cheapest that takes the load. */
  readonly prices: Prices;
}

/** Whether its services run in the cloud's Kubernetes. */
export function isKubernetes({ environment }: Pick<Site, 'environment'>): boolean {
  return environment.switches.orchestrator === 'kubernetes';
}

/** Whether its streams are topics of the cloud's Kafka. */
export function hasKafka({ environment }: Pick<Site, 'environment'>): boolean {
  return environment.switches.eventStream === 'kafka';
}

/** Whether the cloud's query engine has tables over what it keeps as files. */
export function hasWarehouse({ environment }: Pick<Site, 'environment'>): boolean {
  return environment.switches.warehouse;
}

/** Whether its models run behind an endpoint of the cloud. */
export function hasModelEndpoint({ environment }: Pick<Site, 'environment'>): boolean {
  return environment.switches.modelEndpoint !== 'none';
}

/** The site at a cloud; undefined where the environment names no region of it. */
export function siteAt(cloud: Cloud, environment: Environment, prices: Prices): Site | undefined {
  const region = regionsAt(environment, cloud).find((each) => each.cloud === cloud)?.name;
  if (region === undefined) return undefined;
  return {
    environment,
    demand: demandOf(environment),
    names: new Names(environment),
    region,
    zones: zonesOf(environment),
    isProtected: environment.stage !== 'dev',
    prices,
  };
}
