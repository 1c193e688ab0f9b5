import { regionsAt } from '../../core/decision/environment-rules.ts';
import type { CloudStacks } from '../platform.ts';
import { AutoModeCluster } from './auto-mode-cluster.ts';
import { isCognito } from './cognito-identity-verifier.ts';
import { DataStack } from './data-stack.ts';
import { FoundationStack } from './foundation-stack.ts';
import { PlatformStack } from './platform-stack.ts';
import { ServicesStack } from './services-stack.ts';

/** A site at AWS. */
export const awsStacks: CloudStacks = {
  cloud: 'aws',
  notYet: (environment) => {
    const { switches, tenants } = environment;
    return [
      ...(switches.secondRegion && regionsAt(environment, 'aws')[1]?.cloud !== 'aws'
        ? ['switches.secondRegion with regions[1] at another cloud']
        : []),
      ...(isCognito(environment) && tenants.length > 1 ? ['several tenants with one pool of Cognito'] : []),
    ];
  },
  build: (app, site) => {
    const foundation = new FoundationStack(app, site);
    const data = new DataStack(app, site, foundation);
    const platform = new PlatformStack(app, site, foundation, data);
    const { ports, services: cluster, ingress } = platform;
    const stacks = { foundation, data, platform, ports };
    if (!(cluster instanceof AutoModeCluster)) return stacks;
    return { ...stacks, services: new ServicesStack(app, site, { foundation, data, cluster, ingress, ports }) };
  },
};
