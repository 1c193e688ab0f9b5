import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { postgresConnectionShape } from '../adapters/postgres/connection-config.ts';
import { CLOUDS, type Cloud } from '../core/decision/cloud.ts';
import { loadPrices } from '../services/shared/environments/environment-files.ts';
import { databaseConnections as atAws } from './aws/database-class.ts';
import { databaseConnections as atAzure } from './azure/database-class.ts';
import { CONNECTIONS_A_COPY, connectionsOf, OTHER_CONNECTIONS, type Connections } from './connections.ts';
import { databaseConnections as atGcp } from './gcp/database-settings.ts';
import { siteAt, type Site } from './site.ts';
import { shipped, synthesized, type Attributes } from './testing/synthesized.ts';
import { inCluster } from './testing/variations.ts';

const ENVIRONMENTS = join(import.meta.dirname, '../environments');
const PRICES = loadPrices(join(ENVIRONMENTS, 'prices'));
const NAMES = readdirSync(ENVIRONMENTS)
  .filter((file) => /\.(dev|prod)\.yaml$/.test(file))
  .map((file) => file.replace('.yaml', ''));

const CONNECTIONS: Readonly<Record<Cloud, (site: Site) => Connections>> = { aws: atAws, azure: atAzure, gcp: atGcp };

/** Copies at most, as the stacks themselves say. */
const MOST_COPIES: Readonly<Record<Cloud, (name: string) => number>> = {
  aws: (name) => {
    const made = synthesized(shipped(name), 'aws');
    const scaled = made.of('aws_appautoscaling_target');
    return sumOf(scaled, 'max_capacity') + made.of('aws_ecs_service').length - scaled.length;
  },
  azure: (name) =>
    sumOf(
      synthesized(shipped(name), 'azure')
        .of('azurerm_container_app')
        .map(({ template }) => template as Attributes),
      'max_replicas',
    ),
  gcp: (name) => {
    const runs = synthesized(shipped(name), 'gcp').found('google_cloud_run_v2_service');
    // The function passes on what it hears, and has no way to the database.
    const services = runs.filter(({ path }) => !path.includes('functions'));
    const scalings = services.map(({ is: { scaling, template } }) => ({
      ...((template as Attributes)['scaling'] as Attributes | undefined),
      ...(scaling as Attributes | undefined),
    }));
    return sumOf(scalings, 'max_instance_count') + sumOf(scalings, 'manual_instance_count');
  },
};

describe('connections of a copy', () => {
  it('are those of the one pool that its adapters share, and one that listens', () => {
    expect(CONNECTIONS_A_COPY).toBe(postgresConnectionShape.maxConnections.parse(undefined) + 1);
  });
});

describe('the database takes', () => {
  const everywhere = NAMES.flatMap((name) =>
    CLOUDS.flatMap((cloud) =>
      [shipped(name), inCluster(shipped(name))].flatMap((environment) => {
        const site = siteAt(cloud, environment, PRICES);
        return site ? [[name, environment.switches.orchestrator, cloud, site] as const] : [];
      }),
    ),
  );

  it.each(everywhere)('%s, %s at %s: all that the most copies may have, and others', (_name, _how, cloud, site) => {
    const { ofServices, taken } = CONNECTIONS[cloud](site);
    expect(ofServices + OTHER_CONNECTIONS).toBeLessThanOrEqual(taken);
  });

  it('as many as it does by itself where they are enough, and else what it is told, in steps of fifty', () => {
    expect(connectionsOf(10, 160)).toEqual({ ofServices: 110, taken: 160, isTold: false });
    expect(connectionsOf(10, 159)).toEqual({ ofServices: 110, taken: 200, isTold: true });
  });
});

describe('the most copies are counted as the stacks have them', () => {
  it.each(CLOUDS)('at %s', (cloud) => {
    const { ofServices } = CONNECTIONS[cloud](siteAt(cloud, shipped('gent.dev'), PRICES)!);
    expect(ofServices).toBe(MOST_COPIES[cloud]('gent.dev') * CONNECTIONS_A_COPY);
  });
});

function sumOf(all: readonly Attributes[], key: string): number {
  return all.reduce((sum, { [key]: value }) => sum + ((value as number | undefined) ?? 0), 0);
}
