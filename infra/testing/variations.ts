import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { CLOUDS, type Cloud } from '../../core/decision/cloud.ts';
import { environmentSchema, type Environment } from '../../core/decision/environment.ts';
import { loadEnvironment, loadPrices } from '../../services/shared/environments/environment-files.ts';
import { siteApp } from '../site-app.ts';
import { siteAt } from '../site.ts';
import { ALL_STACK_NAMES, STACKS, type Written } from '../synthesize.ts';

const ENVIRONMENTS = join(import.meta.dirname, '../../environments');

/** An environment that ships, with its services in a cluster. */
export function inCluster(environment: Environment): Environment {
  return environmentSchema.parse({
    ...environment,
    switches: { ...environment.switches, orchestrator: 'kubernetes' },
    network: { ...environment.network, pods: '10.200.0.0/16', services: '10.201.0.0/20' },
  });
}

/** An environment that ships, with its models behind an endpoint that is paid by the hour. */
export function withModels(environment: Environment): Environment {
  return environmentSchema.parse({
    ...environment,
    switches: { ...environment.switches, modelEndpoint: 'instance' },
  });
}

/** An environment that ships, deployed from within its account at AWS. */
export function withPipeline(environment: Environment): Environment {
  return environmentSchema.parse({
    ...environment,
    switches: { ...environment.switches, pipeline: 'codepipeline' },
    pipeline: {
      repository: 'example/tribo',
      planner: 'arn:aws:iam::123456789012:role/tribo-planner',
      deployer: 'arn:aws:iam::123456789012:role/tribo-deployer',
    },
  });
}

/** An environment that ships, with its streams as topics of the cloud's Kafka. */
export function withKafka(environment: Environment): Environment {
  return environmentSchema.parse({ ...environment, switches: { ...environment.switches, eventStream: 'kafka' } });
}

/** An environment that ships, with its raw archive, and tables over that and over exports. */
export function withWarehouse(environment: Environment): Environment {
  return environmentSchema.parse({
    ...environment,
    switches: { ...environment.switches, rawArchive: true, warehouse: true },
  });
}

/** An environment that ships, with what outlives its region in another of the same continent. */
export function withSecondRegion(environment: Environment): Environment {
  return environmentSchema.parse({
    ...environment,
    switches: { ...environment.switches, secondRegion: true },
    regions: [
      environment.regions[0],
      { aws: 'eu-west-1', azure: 'northeurope', gcp: 'europe-west4', range: '10.62.0.0/16' },
    ],
  });
}

/** Of a plant that is none: nobody has its key. */
const AUTHORITY = `-----BEGIN CERTIFICATE-----
MIIBujCCAWGgAwIBAgIUf3tIV1h+6Gpqt/YBSK4H6NzKY1UwCgYIKoZIzj0EAwIw
KjEoMCYGA1UEAwwfRXhhbXBsZSBwbGFudDogZGV2aWNlIGF1dGhvcml0eTAgFw0y
NjExMjMxNjM0NTNaGA8yMTI2MTAzMDE2MzQ1M1owKjEoMCYGA1UEAwwfRXhhbXBs
ZSBwbGFudDogZGV2aWNlIGF1dGhvcml0eTBZMBMGByqGSM49AgEGCCqGSM49AwEH
A0IABDor83/zw7PFWZBy5ly6InQ5vB3STZ+Ov63AUjeeB7IWpPCnEr2YhBm3jEPW
4czrWuu2+Cl+3V1+E4NZN5CJ/iGjYzBhMB0GA1UdDgQWBBT8/2//pWsJn7zZi5U7
ZJnNNwdc8TAfBgNVHSMEGDAWgBT8/2//pWsJn7zZi5U7ZJnNNwdc8TAPBgNVHRMB
Af8EBTADAQH/MA4GA1UdDwEB/wQEAwIBBjAKBggqhkjOPQQDAgNHADBEAiBPeUbi
8LCFDEaMmBdj1bPkrIsCvj2f91+ev/gOfQIT3AIgY2gu7sOws0kIZHEkFyY2VyG5
DcPLhwlH6VC5BgaAd/w=
-----END CERTIFICATE-----
`;

/** An environment that ships, whose devices register themselves by certificates of an authority of the site's own. */
export function withAuthorities(environment: Environment): Environment {
  const [tenant] = environment.tenants;
  return environmentSchema.parse({
    ...environment,
    devices: { authorities: [{ tenant, certificate: AUTHORITY }] },
  });
}

/** What no environment that ships asks for, and is looked at like those: by its name the environment, its clouds and how it is another. */
const VARIATIONS: Readonly<Record<string, readonly [of: string, clouds: readonly Cloud[], how: typeof inCluster]>> = {
  'akron.prod-authorities': ['akron.prod', ['aws'], withAuthorities],
  'akron.prod-pipeline': ['akron.prod', ['aws'], withPipeline],
  'bergen.prod-models': ['bergen.prod', ['azure'], withModels],
  'gent.prod-kafka': ['gent.prod', ['aws', 'azure', 'gcp'], withKafka],
  'gent.prod-models': ['gent.prod', ['aws', 'gcp'], withModels],
  'gent.prod-warehouse': ['gent.prod', ['azure', 'gcp'], withWarehouse],
  'gent.prod-second-region': ['gent.prod', ['azure', 'gcp'], withSecondRegion],
  'gent.prod-kubernetes': ['gent.prod', ['aws', 'azure', 'gcp'], inCluster],
};

/** Writes the stacks of the variations, at these clouds, beside those of the environments. */
export function synthesizeVariations(out: string, at: readonly Cloud[] = CLOUDS): readonly Written[] {
  const prices = loadPrices(join(ENVIRONMENTS, 'prices'));
  return Object.entries(VARIATIONS).flatMap(([name, [of, clouds, how]]) =>
    clouds
      .filter((cloud) => at.includes(cloud))
      .map((cloud) => {
        const folder = join(out, name, cloud);
        const { environment } = loadEnvironment(join(ENVIRONMENTS, `${of}.yaml`));
        mkdirSync(folder, { recursive: true });
        const app = siteApp(folder);
        const made = STACKS[cloud]!.build(app, siteAt(cloud, how(environment), prices)!);
        app.synth();
        return {
          environment: name,
          cloud,
          folder,
          stacks: ALL_STACK_NAMES.filter((stack) => made[stack] !== undefined),
        };
      }),
  );
}
