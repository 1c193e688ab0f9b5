import { regionsAt } from '../../core/decision/environment-rules.ts';
import type { CloudStacks } from '../platform.ts';
import { isCognito } from './cognito-identity-verifier.ts';
import { DataStack } from './data-stack.ts';
import { FoundationStack } from './foundation-stack.ts';
import { PlatformStack } from './platform-stack.ts';

/** A site at AWS. */
export const awsStacks: CloudStacks = {
  cloud: 'aws',
  notYet: (environment) => {
    const { switches, tenants } = environment;
    return [
      ...(switches.orchestrator === 'kubernetes' ? ['switches.orchestrator: kubernetes'] : []),
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
    return { foundation, data, platform, ports: platform.ports };
  },
};
