import { planAws } from './aws-plan.ts';
import { planAzure } from './azure-plan.ts';
import type { Cloud } from './cloud.ts';
import { demandOf, scaled, type Scale } from './demand.ts';
import type { Environment } from './environment.ts';
import { planGcp } from './gcp-plan.ts';
import type { Plan } from './plan.ts';
import type { Prices } from './prices.ts';

/** Sizes and prices an environment at a cloud, were it there, with today's load or another. */
export function planAt(cloud: Cloud, environment: Environment, prices: Prices, scale: Scale = {}): Plan {
  const then = { ...environment, workload: scaled(environment.workload, scale) };
  const demand = demandOf(then);
  switch (cloud) {
    case 'aws':
      return planAws(then, demand, prices.aws);
    case 'azure':
      return planAzure(then, demand, prices.azure);
    case 'gcp':
      return planGcp(then, demand, prices.gcp);
  }
}
