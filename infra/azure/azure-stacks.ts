import type { CloudStacks } from '../platform.ts';
import { AksCluster } from './aks-cluster.ts';
import { DataStack } from './data-stack.ts';
import { FoundationStack } from './foundation-stack.ts';
import { PlatformStack } from './platform-stack.ts';
import { calledByItsRegion } from './second-place.ts';
import { ServicesStack } from './services-stack.ts';

/** A site at Azure. */
export const azureStacks: CloudStacks = {
  cloud: 'azure',
  build: (app, asked) => {
    const site = calledByItsRegion(asked);
    const foundation = new FoundationStack(app, site);
    const data = new DataStack(app, site, foundation);
    const platform = new PlatformStack(app, site, foundation, data);
    const { ports, ingress, services: cluster } = platform;
    const stacks = { foundation, data, platform, ports };
    if (!(cluster instanceof AksCluster)) return stacks;
    return { ...stacks, services: new ServicesStack(app, site, { foundation, data, cluster, ingress, ports }) };
  },
};
