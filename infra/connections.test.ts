import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { CLOUDS, type Cloud } from '../core/decision/cloud.ts';
import type { Environment } from '../core/decision/environment.ts';
import { regionsAt } from '../core/decision/environment-rules.ts';
import { connectionsOf, OTHER_CONNECTIONS } from './connections.ts';
import { notMade, shipped, synthesized, type Attributes, type Synthesized } from './testing/synthesized.ts';
import { inCluster } from './testing/variations.ts';

const ENVIRONMENTS = join(import.meta.dirname, '../environments');
const NAMES = readdirSync(ENVIRONMENTS)
  .filter((file) => /\.(dev|prod)\.yaml$/.test(file))
  .map((file) => file.replace('.yaml', ''));

/** What a database takes by itself, by how its class is called: at AWS of four fifths of its memory. */
const UNTOLD: Readonly<Record<string, number>> = {
  ...{ 'db.t4g.small': 180, 'db.t3.large': 720, 'db.t3.xlarge': 1441 },
  ...{ B_Standard_B2s: 429, GP_Standard_D2s_v3: 859, GP_Standard_D4s_v3: 1718 },
  ...{ 'db-custom-1-3840': 100, 'db-custom-2-8192': 400, 'db-custom-4-16384': 500 },
};

describe('under load, while a release is rolled out', () => {
  const everywhere = NAMES.flatMap((name) =>
    CLOUDS.flatMap((cloud) =>
      [shipped(name), inCluster(shipped(name))]
        .filter((environment) => isNamed(environment, cloud) && notMade(cloud, environment).length === 0)
        .map((environment) => [name, environment.switches.orchestrator, cloud, environment] as const),
    ),
  );

  it.each(everywhere)(
    '%s, %s at %s: the database takes all that its services may have, and others, and the alarm is above what these have',
    (_name, _how, cloud, environment) => {
      const made = synthesized(environment, cloud);
      const ofServices = (cluster(made) ?? COPIES[cloud](made)) * (poolOf(made) + 1);
      const { told, database, alarm } = READ[cloud](made);
      expect(ofServices + OTHER_CONNECTIONS).toBeLessThanOrEqual(Number(told ?? UNTOLD[database]));
      expect(alarm).toBe(ofServices);
    },
  );
});

describe('the database is told how many connections to take', () => {
  const server = { untold: 140, isSmall: false, most: 5_000 };

  it('where it takes too few by itself, in steps of fifty', () => {
    expect(connectionsOf({ ...server, copies: 10 })).toEqual({ pool: 10, ofServices: 110, taken: 140, isTold: false });
    expect(connectionsOf({ ...server, copies: 11 })).toEqual({ pool: 10, ofServices: 121, taken: 200, isTold: true });
  });

  it('of which a copy of a service has a few, where it is of the smallest class', () => {
    expect(connectionsOf({ ...server, copies: 36, isSmall: true })).toEqual({
      ...{ pool: 2, ofServices: 108 },
      ...{ taken: 140, isTold: false },
    });
  });

  it('up to what it can be told, and no plan is made that wants more', () => {
    expect(connectionsOf({ ...server, copies: 451 })).toMatchObject({ ofServices: 4_961, taken: 5_000 });
    expect(connectionsOf({ ...server, copies: 451, most: 4_995 })).toMatchObject({ taken: 4_995 });
    expect(() => connectionsOf({ ...server, copies: 452 })).toThrow(
      '452 copies of services may have 5002 connections, and the database takes 5000',
    );
  });
});

/** Whether an environment has a region of the cloud. */
function isNamed(environment: Environment, cloud: Cloud): boolean {
  return regionsAt(environment, cloud).some((region) => region.cloud === cloud && region.name !== undefined);
}

/** A setting of the ports file. */
function poolOf({ json }: Synthesized): number {
  const { postgres } = json.platform.output!['ports']!.value as { readonly postgres: Attributes };
  return postgres['maxConnections'] as number;
}

/** Copies of services in a cluster, where they are in one. */
function cluster(made: Synthesized): number | undefined {
  if (!made.json.services) return undefined;
  const most = new Map(
    made
      .of('kubernetes_horizontal_pod_autoscaler_v2')
      .map((is) => [(is['metadata'] as Attributes)['name'], (is['spec'] as Attributes)['max_replicas'] as number]),
  );
  return sumOf(made.of('kubernetes_deployment_v1'), (is) => {
    const { replicas, strategy } = is['spec'] as Attributes;
    const copies = most.get((is['metadata'] as Attributes)['name']) ?? Number(replicas);
    return (strategy as Attributes)['type'] === 'Recreate' ? copies : copies * 2;
  });
}

/** Copies of services as the cloud runs them, with those of before beside them for as long as a release takes. */
const COPIES: Readonly<Record<Cloud, (made: Synthesized) => number>> = {
  aws: (made) => {
    const scaled = new Map(
      made.found('aws_appautoscaling_target').map(({ path, is }) => [path, is['max_capacity'] as number]),
    );
    return sumOf(made.found('aws_ecs_service'), ({ path, is }) => {
      const copies = scaled.get(path.replace(/-service$/, '-copies')) ?? (is['desired_count'] as number);
      return copies * ((is['deployment_maximum_percent'] as number) / 100);
    });
  },
  azure: (made) =>
    sumOf(made.of('azurerm_container_app'), ({ template, revision_mode: mode }) => {
      expect(mode).toBe('Single');
      return ((template as Attributes)['max_replicas'] as number) * 2;
    }),
  gcp: (made) =>
    sumOf(
      made
        .found('google_cloud_run_v2_service')
        // The function passes on what it hears, and has no way to the database.
        .filter(({ path }) => !path.includes('functions'))
        .map(({ is }) => is),
      ({ scaling, template }) => {
        const { max_instance_count: most, manual_instance_count: all } = {
          ...((template as Attributes)['scaling'] as Attributes | undefined),
          ...(scaling as Attributes | undefined),
        } as Readonly<Record<string, number | undefined>>;
        return (most ?? all!) * 2;
      },
    ),
};

/** What is written of the database: how many connections it is told to take, its class, and above how many somebody is called. */
const READ: Readonly<
  Record<Cloud, (made: Synthesized) => { readonly told: unknown; readonly database: string; readonly alarm: unknown }>
> = {
  aws: (made) => ({
    told: valueOf(made.one('aws_db_parameter_group', 'data/database/parameters')['parameter']),
    database: made.one('aws_db_instance', 'server-instance')['instance_class'] as string,
    alarm: made.one('aws_cloudwatch_metric_alarm', 'database-connections')['threshold'],
  }),
  azure: (made) => ({
    told: valueOf(
      made
        .found('azurerm_postgresql_flexible_server_configuration')
        .filter(({ path }) => path.includes('data/database/'))
        .map(({ is }) => is),
    ),
    database: made.one('azurerm_postgresql_flexible_server', 'database/server')['sku_name'] as string,
    alarm: (made.one('azurerm_monitor_metric_alert', 'database-connections')['criteria'] as Attributes[])[0]![
      'threshold'
    ],
  }),
  gcp: (made) => {
    const settings = made.one('google_sql_database_instance', 'server-instance')['settings'] as Attributes;
    const [condition] = made.one('google_monitoring_alert_policy', 'database-connections')[
      'conditions'
    ] as Attributes[];
    return {
      told: valueOf(settings['database_flags']),
      database: settings['tier'] as string,
      alarm: (condition!['condition_threshold'] as Attributes)['threshold_value'],
    };
  },
};

function valueOf(settings: unknown): unknown {
  return (settings as readonly Attributes[]).find(({ name }) => name === 'max_connections')?.['value'];
}

function sumOf<Item>(all: readonly Item[], of: (item: Item) => number): number {
  return all.reduce((sum, item) => sum + of(item), 0);
}
