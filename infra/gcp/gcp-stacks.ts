import type { CloudStacks } from '../platform.ts';
import { AutopilotCluster } from './autopilot-cluster.ts';
import { ClusterFront } from './cluster-front.ts';
import { DataStack } from './data-stack.ts';
import { FoundationStack } from './foundation-stack.ts';
import { PlatformStack } from './platform-stack.ts';
import { ServicesStack } from './services-stack.ts';

/** A site at Google Cloud. */
export const gcpStacks: CloudStacks = {
  cloud: 'gcp',
  build: (app, site) => {
    const foundation = new FoundationStack(app, site);
    const data = new DataStack(app, site, foundation);
    const platform = new PlatformStack(app, site, foundation, data);
    const { ports, services: cluster, ingress: front } = platform;
    const stacks = { foundation, data, platform, ports };
    if (!(cluster instanceof AutopilotCluster && front instanceof ClusterFront)) return stacks;
    return { ...stacks, services: new ServicesStack(app, site, { foundation, data, cluster, front, ports }) };
  },
};
