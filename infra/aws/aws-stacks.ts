import { regionsAt } from '../../core/decision/environment-rules.ts';
import type { CloudStacks } from '../platform.ts';
import { AutoModeCluster } from './auto-mode-cluster.ts';
import { isCognito } from './cognito-identity-verifier.ts';
import { DataStack } from './data-stack.ts';
import { FoundationStack } from './foundation-stack.ts';
import { PipelineStack } from './pipeline-stack.ts';
import { PlatformStack } from './platform-stack.ts';
import { ServicesStack } from './services-stack.ts';

/** A site at AWS. */
export const awsStacks: CloudStacks = {
  cloud: 'aws',
  notYet: (environment) => {
    const { switches, tenants } = environment;
    const isKubernetes = switches.orchestrator === 'kubernetes';
    return [
      ...(switches.secondRegion && regionsAt(environment, 'aws')[1]?.cloud !== 'aws'
        ? ['switches.secondRegion with regions[1] at another cloud']
        : []),
      // A build would have to be in the network of the site to reach the control plane.
      ...(switches.pipeline === 'codepipeline' && isKubernetes
        ? ['switches.pipeline: codepipeline with switches.orchestrator: kubernetes']
        : []),
      ...(isCognito(environment) && tenants.length > 1 ? ['several tenants with one pool of Cognito'] : []),
    ];
  },
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
