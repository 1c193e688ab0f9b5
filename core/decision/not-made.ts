import type { Cloud } from './cloud.ts';
import { demandOf } from './demand.ts';
import { spanOf } from './dual-regions.ts';
import { cloudOfPool, regionsAt } from './environment-rules.ts';
import type { Environment } from './environment.ts';
import { brokersFor } from './gcp-plan.ts';

/** What an environment asks for and the stacks of a cloud do not make. */
export interface NotMade {
  /** Keys that lead to it in the environment's file. */
  readonly at: readonly string[];
  /** In the words of the file: `switches.modelEndpoint: serverless`. */
  readonly what: string;
}

/** What an environment asks for and the stacks of that cloud do not make yet, were it there: it is refused, not made without. Why: infra/README.md. */
export function notMadeAt(cloud: Cloud, environment: Environment): readonly NotMade[] {
  switch (cloud) {
    case 'aws':
      return notMadeAtAws(environment);
    case 'azure':
      return notMadeAtAzure(environment);
    case 'gcp':
      return notMadeAtGcp(environment);
  }
}

function notMadeAtAws(environment: Environment): readonly NotMade[] {
  const { switches, tenants } = environment;
  return [
    ...(switches.secondRegion && regionsAt(environment, 'aws')[1]?.cloud !== 'aws'
      ? [secondRegion('with regions[1] at another cloud')]
      : []),
    // A build would have to be in the network of the site to reach the control plane.
    ...(switches.pipeline === 'codepipeline' && switches.orchestrator === 'kubernetes'
      ? [
          {
            at: ['switches', 'pipeline'],
            what: 'switches.pipeline: codepipeline with switches.orchestrator: kubernetes',
          },
        ]
      : []),
    ...(cloudOfPool(environment.identity.issuer) === 'aws' && tenants.length > 1
      ? [{ at: ['tenants'], what: 'several tenants with one pool of Cognito' }]
      : []),
  ];
}

function notMadeAtAzure(environment: Environment): readonly NotMade[] {
  const { switches, sizes } = environment;
  const both = switches.secondRegion ? regionsAt(environment, 'azure').slice(0, 2) : [];
  return [
    // Azure Machine Learning has no such kind for a container of one's own.
    ...serverlessEndpoint(environment),
    ...both.flatMap(({ cloud, name }, index) => {
      if (cloud !== 'azure') return [secondRegion(`with regions[${index}] at another cloud`)];
      return name === undefined ? [secondRegion(`without a region of Azure in regions[${index}]`)] : [];
    }),
    // Of servers and registries of the cheaper tiers Azure makes no copies.
    ...(switches.secondRegion && sizes === 'small' ? [secondRegion('with sizes: small (set standard or large)')] : []),
  ];
}

function notMadeAtGcp(environment: Environment): readonly NotMade[] {
  const { switches, tenants, identity } = environment;
  const demand = demandOf(environment);
  const ingestion = demand.services.find(({ service }) => service === 'ingestion-service')!;
  return [
    // What Vertex AI has of it is a preview, which refuses the first calls after a pause.
    ...serverlessEndpoint(environment),
    ...(switches.secondRegion ? withoutSpan(environment) : []),
    // Of which regions BigQuery reads a bucket that is in two was not found.
    ...(switches.warehouse && switches.secondRegion
      ? [{ at: ['switches', 'warehouse'], what: 'switches.warehouse with switches.secondRegion' }]
      : []),
    ...(cloudOfPool(identity.issuer) === 'gcp' && tenants.length > 1
      ? [{ at: ['tenants'], what: 'several tenants with one Identity Platform' }]
      : []),
    // One broker answers at a time, to one gateway: Mosquitto shares nothing.
    ...(brokersFor(demand, 1) > 1 || ingestion.copies > 1
      ? [{ at: ['workload'], what: 'a load above that of one MQTT broker' }]
      : []),
  ];
}

function serverlessEndpoint({ switches }: Environment): readonly NotMade[] {
  return switches.modelEndpoint === 'serverless'
    ? [{ at: ['switches', 'modelEndpoint'], what: 'switches.modelEndpoint: serverless' }]
    : [];
}

function withoutSpan(environment: Environment): readonly NotMade[] {
  const [first, second] = regionsAt(environment, 'gcp');
  if (second?.cloud !== 'gcp') return [secondRegion('with regions[1] at another cloud')];
  return first?.name === undefined || second.name === undefined || !spanOf(first.name, second.name)
    ? [secondRegion('with two regions that no bucket of Cloud Storage is in')]
    : [];
}

function secondRegion(how: string): NotMade {
  return { at: ['switches', 'secondRegion'], what: `switches.secondRegion ${how}` };
}
