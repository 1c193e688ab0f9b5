import type { CloudStacks } from '../platform.ts';
import { AutoModeCluster } from './auto-mode-cluster.ts';
import { DataStack } from './data-stack.ts';
import { FoundationStack } from './foundation-stack.ts';
import { PipelineStack } from './pipeline-stack.ts';
import { PlatformStack } from './platform-stack.ts';
import { ServicesStack } from './services-stack.ts';

/** A site at AWS. */
export const awsStacks: CloudStacks = {
  cloud: 'aws',
  build: (app, site) => {
    const foundation = new FoundationStack(app, site);
    const data = new DataStack(app, site, foundation);
    const platform = new PlatformStack(app, site, foundation, data);
    const { ports, services: cluster, ingress } = platform;
    const { pipeline } = site.environment;
    const stacks = {
      ...{ foundation, data, platform, ports },
      ...(pipeline && { pipeline: new PipelineStack(app, site, pipeline, foundation) }),
    };
    if (!(cluster instanceof AutoModeCluster)) return stacks;
    return { ...stacks, services: new ServicesStack(app, site, { foundation, data, cluster, ingress, ports }) };
  },
};
