import { brokersFor } from '../../core/decision/gcp-plan.ts';
import { demandOf } from '../../core/decision/demand.ts';
import type { CloudStacks } from '../platform.ts';
import { AutopilotCluster } from './autopilot-cluster.ts';
import { MOST_ADDRESSES } from './budget.ts';
import { ClusterFront } from './cluster-front.ts';
import { DataStack } from './data-stack.ts';
import { FoundationStack } from './foundation-stack.ts';
import { isIdentityPlatform } from './identity-platform-identity-verifier.ts';
import { PlatformStack } from './platform-stack.ts';
import { noSecondPlace } from './second-place.ts';
import { ServicesStack } from './services-stack.ts';

/** A site at Google Cloud. */
export const gcpStacks: CloudStacks = {
  cloud: 'gcp',
  notYet: (environment) => {
    const { switches, tenants, budget } = environment;
    const demand = demandOf(environment);
    const ingestion = demand.services.find(({ service }) => service === 'ingestion-service')!;
    return [
      // What Vertex AI has of it is a preview, which refuses the first calls after a pause.
      ...(switches.modelEndpoint === 'serverless' ? ['switches.modelEndpoint: serverless'] : []),
      ...noSecondPlace(environment),
      // Of which regions BigQuery reads a bucket that is in two was not found.
      ...(switches.warehouse && switches.secondRegion ? ['switches.warehouse with switches.secondRegion'] : []),
      ...(isIdentityPlatform(environment) && tenants.length > 1 ? ['several tenants with one Identity Platform'] : []),
      // One broker answers at a time, to one gateway: Mosquitto shares nothing.
      ...(brokersFor(demand, 1) > 1 || ingestion.copies > 1 ? ['a load above that of one MQTT broker'] : []),
      ...(budget.tell.length > MOST_ADDRESSES ? [`budget.tell of more than ${MOST_ADDRESSES} addresses`] : []),
    ];
  },
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
