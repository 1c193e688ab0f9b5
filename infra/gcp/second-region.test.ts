import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { spanOf } from '../../core/decision/dual-regions.ts';
import { demandOf, HOURS_A_MONTH } from '../../core/decision/demand.ts';
import { planGcp } from '../../core/decision/gcp-plan.ts';
import { environmentProblems } from '../../core/decision/environment-rules.ts';
import { loadPrices } from '../../services/shared/environments/environment-files.ts';
import { changed, notMade, shipped, synthesized, type Attributes, type Synthesized } from '../testing/synthesized.ts';
import { inCluster, withSecondRegion } from '../testing/variations.ts';
import { secondPlace } from './second-place.ts';

const without = shipped('gent.prod');
const prod = withSecondRegion(changed(without, { accounts: { gcp: 'tribo-gent' } }));
const inProd = synthesized(prod, 'gcp');
const inDev = synthesized(withSecondRegion(shipped('gent.dev')), 'gcp');
const FIRST = 'europe-west1';
const SECOND = 'europe-west4';

/** As Terraform has them from another stack, or from this one. */
const keyOf = (part: 'first' | 'there' | 'continent' | 'buckets') =>
  expect.stringMatching(
    new RegExp(`google_kms_crypto_key\\.?${part === 'first' ? 'key' : `second-keys_${part}_key`}_[0-9A-F]{8}`),
  ) as unknown;

/** The environment with its regions at Google Cloud in other places. */
function at(first: string, second: string): typeof prod {
  const [one, other] = prod.regions;
  return changed(prod, {
    residency: ['EU', 'US', 'JP', 'TW', 'SG'],
    regions: [
      { ...one!, gcp: first },
      { ...other!, gcp: second },
    ],
  });
}

/** In which locations there are keys, by who may use them. */
function membersByLocation(site: Synthesized): Readonly<Record<string, readonly string[]>> {
  const rings = new Map(site.found('google_kms_key_ring').map(({ path, is }) => [path.replace(/\/ring$/, ''), is]));
  return Object.fromEntries(
    site
      .found('google_kms_crypto_key_iam_binding')
      .map(({ path, is }) => [
        String(rings.get(path.replace(/\/users$/, ''))!['location']),
        (is['members'] as readonly string[]).map((member) => /gcp-sa-([a-z-]+)\./.exec(member)?.[1] ?? 'storage'),
      ]),
  );
}

describe('two regions', () => {
  it('are asked for by a switch, of an environment that is valid', () => {
    expect(environmentProblems(prod)).toEqual([]);
    expect(notMade('gcp', prod)).toEqual([]);
    expect(notMade('gcp', without)).toEqual([]);
  });

  it.each([
    ['europe-west1', 'europe-west4', 'EU', ['EUROPE-WEST1', 'EUROPE-WEST4'], 'europe', 'europe'],
    ['europe-west4', 'europe-west1', 'EU', ['EUROPE-WEST1', 'EUROPE-WEST4'], 'europe', 'europe'],
    ['us-east4', 'us-west1', 'US', ['US-EAST4', 'US-WEST1'], 'us', 'us'],
    ['asia-east1', 'asia-southeast1', 'ASIA', ['ASIA-EAST1', 'ASIA-SOUTHEAST1'], 'asia', 'asia'],
    ['europe-west4', 'europe-north1', 'EUR4', undefined, 'eur4', 'europe'],
    ['us-central1', 'us-east1', 'NAM4', undefined, 'nam4', 'us'],
    ['asia-northeast1', 'asia-northeast2', 'ASIA1', undefined, 'asia1', 'asia'],
  ])('%s and %s are spanned by buckets in %s', (first, second, location, placement, keyLocation, continent) => {
    expect(spanOf(first, second)).toEqual({ location, placement, keyLocation, continent });
    expect(notMade('gcp', at(first, second))).toEqual([]);
  });

  it.each([
    ['us-east4', 'europe-west4'],
    ['europe-west2', 'europe-west3'],
    ['asia-northeast1', 'asia-east1'],
  ])('%s and %s are refused: no bucket is in both, or it was not found with which key', (first, second) => {
    const environment = at(first, second);
    expect(notMade('gcp', environment)).toEqual([
      'switches.secondRegion with two regions that no bucket of Cloud Storage is in',
    ]);
    expect(() => secondPlace(environment)).toThrow('no bucket of Cloud Storage');
  });

  it('are refused together with a warehouse', () => {
    const switches = { ...prod.switches, rawArchive: true, warehouse: true };
    expect(notMade('gcp', changed(prod, { switches }))).toEqual(['switches.warehouse with switches.secondRegion']);
  });

  it('are refused where the second is at another cloud', () => {
    const [one, other] = prod.regions;
    expect(notMade('gcp', changed(prod, { regions: [one!, { ...other!, provider: 'aws' }] }))).toEqual([
      'switches.secondRegion with regions[1] at another cloud',
    ]);
  });
});

describe('keys', () => {
  it('of what outlives the region are in the second, and over both; each is for whose services need it', () => {
    const { [FIRST]: first, ...others } = membersByLocation(inProd);
    expect(first).toContain('cloud-sql');
    expect(others).toEqual({
      [SECOND]: ['cloud-sql', 'secretmanager'],
      europe: ['artifactregistry', 'pubsub', 'storage'],
    });
  });

  it('of buckets are apart from those of images where the pair of regions is a location by itself', () => {
    const { [FIRST]: first, ...others } = membersByLocation(synthesized(at('europe-west4', 'europe-north1'), 'gcp'));
    expect(first).toBeUndefined();
    expect(Object.keys(others).toSorted()).toEqual(['eur4', 'europe', 'europe-north1', 'europe-west4']);
    expect(others).toMatchObject({ eur4: ['storage'], europe: ['artifactregistry', 'pubsub'] });
  });

  it('change by themselves, and are not destroyed by a plan outside dev', () => {
    const keys = (site: Synthesized) =>
      site.found('google_kms_crypto_key').filter(({ path }) => path.includes('second-keys'));
    expect(keys(inProd)).toHaveLength(2);
    for (const { is } of keys(inProd))
      expect(is).toMatchObject({ rotation_period: '7776000s', lifecycle: { prevent_destroy: true } });
    for (const { is } of keys(inDev)) expect(is['lifecycle']).toEqual({ prevent_destroy: false });
  });
});

describe('the copy of the database', () => {
  const replica = inProd.one('google_sql_database_instance', 'second-region/replica');
  const first = inProd.one('google_sql_database_instance', 'server-instance');

  it('follows the first, in the second region, with the key of that region', () => {
    expect(replica).toMatchObject({
      name: 'tribo-gent-prod-database-europe-west4',
      region: SECOND,
      master_instance_name: expect.stringContaining('google_sql_database_instance.database_server-instance'),
      encryption_key_name: keyOf('there'),
      database_version: first['database_version'],
      deletion_protection: true,
      lifecycle: { prevent_destroy: true },
    });
  });

  it('can take its place: as large, reached and known as the first is, with its settings', () => {
    const {
      availability_type: zones,
      backup_configuration: backups,
      maintenance_window: window,
      retain_backups_on_delete: kept,
      ...shared
    } = first['settings'] as Attributes;
    expect([zones, backups, window, kept]).not.toContain(undefined);
    const reached = shared['ip_configuration'] as Attributes;
    // Cloud SQL takes no backups of a copy, and looks after it when it does after the first.
    expect(replica['settings']).toEqual({
      ...shared,
      availability_type: 'ZONAL',
      ip_configuration: { ...reached, allocated_ip_range: 'tribo-gent-prod-database-10-62-192-0' },
    });
    expect(reached['allocated_ip_range']).toBe('tribo-gent-prod-database-10-60-192-0');
    expect(shared).toMatchObject({ deletion_protection_enabled: true, ip_configuration: { ipv4_enabled: false } });
  });

  it('has addresses of the range that the environment names for its region, which services may reach', () => {
    const lent = inProd.of('google_compute_global_address').filter(({ purpose }) => purpose === 'VPC_PEERING');
    expect(lent.map(({ address, prefix_length: prefix }) => `${String(address)}/${String(prefix)}`)).toEqual([
      '10.60.192.0/20',
      '10.62.192.0/20',
    ]);
    const peering = inProd.of('google_service_networking_connection')[0]!['reserved_peering_ranges'];
    expect(peering).toHaveLength(2);
    expect(inProd.one('google_compute_firewall', 'services-to-database')['destination_ranges']).toEqual([
      '10.60.192.0/20',
      '10.62.192.0/20',
    ]);
  });

  it('is one copy more, as it was priced, in several zones of the first region, too', () => {
    const prices = loadPrices(join(import.meta.dirname, '../../environments/prices')).gcp;
    for (const environment of [prod, changed(prod, { switches: { ...prod.switches, multiAz: true } })]) {
      const site = synthesized(environment, 'gcp');
      const instances = site.of('google_sql_database_instance').map(({ settings }) => settings as Attributes);
      const copies = instances.reduce((sum, { availability_type: zones }) => sum + (zones === 'REGIONAL' ? 2 : 1), 0);
      const { lines } = planGcp(environment, demandOf(environment), prices);
      const vcpu = Number(/db-custom-(\d+)-/.exec(String(instances[0]!['tier']))![1]);
      expect(lines.find(({ item }) => item === 'databaseVcpuHour')!.quantity).toBe(vcpu * copies * HOURS_A_MONTH);
    }
  });

  it('calls somebody long before a quarter of an hour would be lost, and where it is away', () => {
    const [{ condition_threshold: threshold }] = inProd.one(
      'google_monitoring_alert_policy',
      'alarms/database-second-late',
    )['conditions'] as [{ condition_threshold: Attributes }];
    expect(threshold).toMatchObject({
      filter: expect.stringContaining('database_id="tribo-gent:tribo-gent-prod-database-europe-west4"'),
      comparison: 'COMPARISON_GT',
      evaluation_missing_data: 'EVALUATION_MISSING_DATA_ACTIVE',
    });
    const untilCalledS = (threshold['threshold_value'] as number) + parseInt(String(threshold['duration']), 10);
    expect(untilCalledS).toBeLessThan(900);
  });

  it('logs where the first does', () => {
    const filter = inProd.one('google_logging_project_sink', 'logs/sink')['filter'];
    expect(filter).toContain(
      'database_id=("tribo-gent:tribo-gent-prod-database-europe-west1" OR "tribo-gent:tribo-gent-prod-database-europe-west4")',
    );
  });
});

describe('buckets', () => {
  it.each(['objects', 'audit'])('%s: each object is in both regions within a quarter of an hour', (kind) => {
    expect(inProd.one('google_storage_bucket', `${kind}/bucket`)).toMatchObject({
      location: 'EU',
      custom_placement_config: { data_locations: ['EUROPE-WEST1', 'EUROPE-WEST4'] },
      rpo: 'ASYNC_TURBO',
      encryption: { default_kms_key_name: keyOf('continent') },
      public_access_prevention: 'enforced',
      lifecycle: { prevent_destroy: true },
    });
    const [{ condition_threshold: threshold }] = inProd.one(
      'google_monitoring_alert_policy',
      `alarms/${kind}-second-late`,
    )['conditions'] as [{ condition_threshold: Attributes }];
    expect(threshold['filter']).toContain('storage.googleapis.com/replication/meeting_rpo');
  });

  it('have the rules, the versions and the lock that they have in one region', () => {
    const inOne = synthesized(changed(without, { accounts: { gcp: 'tribo-gent' } }), 'gcp');
    for (const kind of ['objects', 'audit']) {
      const of = (site: Synthesized) => site.one('google_storage_bucket', `${kind}/bucket`);
      for (const key of ['name', 'lifecycle_rule', 'versioning', 'retention_policy', 'logging', 'soft_delete_policy'])
        expect(of(inProd)[key]).toEqual(of(inOne)[key]);
    }
  });

  it('are in a pair that is a location by itself without saying of which regions', () => {
    const site = synthesized(at('us-central1', 'us-east1'), 'gcp');
    const objects = site.one('google_storage_bucket', 'objects/bucket');
    expect(objects).toMatchObject({
      location: 'NAM4',
      rpo: 'ASYNC_TURBO',
      encryption: { default_kms_key_name: keyOf('buckets') },
    });
    expect(objects).not.toHaveProperty('custom_placement_config');
    expect(site.one('google_artifact_registry_repository', 'images')).toMatchObject({
      location: 'us',
      kms_key_name: keyOf('continent'),
    });
  });

  it('of who asked for which object are in the first region alone', () => {
    const access = inProd.one('google_storage_bucket', 'access/bucket');
    expect(access).toMatchObject({ location: FIRST, encryption: { default_kms_key_name: keyOf('first') } });
    expect(access).not.toHaveProperty('rpo');
  });
});

describe('beside the data', () => {
  it('secrets are in both regions, with the key of each, in the order of their names', () => {
    const secrets = inProd.of('google_secret_manager_secret');
    expect(secrets).toHaveLength(11);
    for (const secret of secrets)
      expect(secret['replication']).toEqual({
        user_managed: {
          replicas: [
            { location: FIRST, customer_managed_encryption: { kms_key_name: keyOf('first') } },
            { location: SECOND, customer_managed_encryption: { kms_key_name: keyOf('there') } },
          ],
        },
      });
    const ports = inProd.json.platform.output!['ports']!.value as { readonly secretStore: Attributes };
    expect(ports.secretStore['locations']).toEqual([FIRST, SECOND]);
  });

  it('streams take events in either region, with a key that is of neither alone', () => {
    const topics = inProd.found('google_pubsub_topic').filter(({ stack }) => stack === 'data');
    expect(topics.length).toBeGreaterThan(5);
    for (const { is } of topics)
      expect(is).toMatchObject({
        message_storage_policy: { allowed_persistence_regions: [FIRST, SECOND] },
        kms_key_name: keyOf('continent'),
      });
  });

  it.each([
    ['containers', inProd],
    ['a cluster', synthesized(inCluster(prod), 'gcp')],
  ])('images are over the continent, and who runs or pushes them has its rights there: %s', (_, site) => {
    expect(site.one('google_artifact_registry_repository', 'images')).toMatchObject({
      location: 'europe',
      kms_key_name: keyOf('continent'),
    });
    const rights = site.of('google_artifact_registry_repository_iam_member');
    expect(new Set(rights.map(({ location }) => location))).toEqual(new Set(['europe']));
    const machine = site.of('google_compute_instance_template')[0]!['metadata'] as Attributes;
    expect(machine['user-data']).toContain('europe-docker.pkg.dev');
    expect(JSON.stringify(site.json)).not.toContain(`${FIRST}-docker.pkg.dev`);
  });
});

describe('when the second region becomes the first', () => {
  const [first, second] = prod.regions;
  const turnedRegions = [
    { ...first!, gcp: SECOND },
    { ...second!, gcp: FIRST, range: prod.network.range },
  ];
  const environment = changed(prod, { regions: turnedRegions, network: { range: second!.range! } });
  const turned = synthesized(environment, 'gcp');

  it('the environment is valid, with the ranges turned, too', () => {
    expect(environmentProblems(environment)).toEqual([]);
  });

  it('the copy has the name and the addresses of the database already', () => {
    const lent = (site: Synthesized) =>
      site
        .found('google_compute_global_address')
        .filter(({ is }) => is['purpose'] === 'VPC_PEERING')
        .map(({ path, is }) => [path, is['name'], is['address']])
        .toSorted();
    expect(lent(turned)).toEqual(lent(inProd));
    const of = (site: Synthesized, path: string) => {
      const { name, region, settings } = site.one('google_sql_database_instance', path);
      return [name, region, ((settings as Attributes)['ip_configuration'] as Attributes)['allocated_ip_range']];
    };
    expect(of(turned, 'server-instance')).toEqual(of(inProd, 'second-region/replica'));
  });

  it('no bucket, secret or image is another by that', () => {
    for (const kind of ['objects', 'audit'])
      for (const key of ['name', 'location', 'custom_placement_config'])
        expect(turned.one('google_storage_bucket', `${kind}/bucket`)[key]).toEqual(
          inProd.one('google_storage_bucket', `${kind}/bucket`)[key],
        );
    const places = (site: Synthesized) =>
      site.of('google_secret_manager_secret').map(({ replication }) => {
        const { user_managed: managed } = replication as { user_managed: { replicas: readonly Attributes[] } };
        return managed.replicas.map(({ location }) => location);
      });
    expect(places(turned)).toEqual(places(inProd));
    const repository = (site: Synthesized) => site.one('google_artifact_registry_repository', 'images')['location'];
    expect(repository(turned)).toBe(repository(inProd));
  });
});
