import { planAws } from './aws-plan.ts';
import { planAzure } from './azure-plan.ts';
import { CLOUD_NAMES, type Cloud } from './cloud.ts';
import { demandOf, scaled, type Demand, type Scale } from './demand.ts';
import { regionsAt } from './environment-rules.ts';
import type { Environment } from './environment.ts';
import { planGcp } from './gcp-plan.ts';
import { withRegions, type Plan } from './plan.ts';
import type { Prices } from './prices.ts';

/** Sizes and prices an environment at a cloud, were it there, with today's load or another: its first region, and each other that answers. */
export function planAt(cloud: Cloud, environment: Environment, prices: Prices, scale: Scale = {}): Plan {
  const then = { ...environment, workload: scaled(environment.workload, scale) };
  const demand = demandOf(then);
  const others = regionsAt(then, cloud)
    .slice(1)
    .filter(({ answers }) => answers)
    .map((region) => ({
      region: region.name ?? CLOUD_NAMES[region.cloud],
      plan: planOfRegion(region.cloud, then, demand, prices),
    }));
  return withRegions(planOfRegion(cloud, then, demand, prices), others, demand);
}

function planOfRegion(cloud: Cloud, environment: Environment, demand: Demand, prices: Prices): Plan {
  switch (cloud) {
    case 'aws':
      return planAws(environment, demand, prices.aws);
    case 'azure':
      return planAzure(environment, demand, prices.azure);
    case 'gcp':
      return planGcp(environment, demand, prices.gcp);
  }
}
