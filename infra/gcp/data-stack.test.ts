import { describe, expect, it } from '@jest/globals';
import { changed, shipped, synthesized, type Attributes } from '../testing/synthesized.ts';
import { inCluster } from '../testing/variations.ts';

const prod = shipped('gent.prod');
const inProd = synthesized(prod, 'gcp');
const inDev = synthesized(shipped('gent.dev'), 'gcp');
const inStaging = synthesized(changed(shipped('gent.dev'), { stage: 'staging' }), 'gcp');
const inZones = synthesized(shipped('akron.prod'), 'gcp');
const KEY = expect.stringContaining('google_kms_crypto_key');

describe('streams', () => {
  it('are topics of the platform and one for what was delivered too often, encrypted, in the region alone', () => {
    const topics = inProd.found('google_pubsub_topic').filter(({ stack }) => stack === 'data');
    const names = ['metrics', 'raw-waveform', 'features', 'windows', 'inference-results', 'alarms', 'dead-letters'];
    expect(new Set(topics.map(({ is }) => is['name']))).toEqual(
      new Set(names.map((name) => `tribo-gent-prod-${name}`)),
    );
    for (const { is } of topics)
      expect(is).toMatchObject({
        kms_key_name: KEY,
        message_storage_policy: { allowed_persistence_regions: ['europe-west1'] },
      });
  });

  it('keep for `streamHours` what every group has settled, too, so that one may be set back', () => {
    const keptBy = (site: typeof inProd) =>
      Object.fromEntries(
        site
          .found('google_pubsub_topic')
          .filter(({ stack }) => stack === 'data')
          .map(({ is }) => [String(is['name']).replace(/^tribo-gent-[a-z]+-/, ''), is['message_retention_duration']]),
      );
    const forHours = (hours: number) => ({
      ...Object.fromEntries(
        ['metrics', 'raw-waveform', 'features', 'windows', 'inference-results', 'alarms'].map((name) => [
          name,
          `${hours * 3600}s`,
        ]),
      ),
      // Nobody is set back there: their one subscription keeps them.
      'dead-letters': undefined,
    });
    expect(keptBy(inProd)).toEqual(forHours(prod.retention.streamHours));
    const inWeek = synthesized(changed(prod, { retention: { ...prod.retention, streamHours: 168 } }), 'gcp');
    expect(keptBy(inWeek)).toEqual(forHours(168));
  });

  it('keep what was delivered too often for somebody to look at', () => {
    const kept = inProd.found('google_pubsub_subscription').filter(({ stack }) => stack === 'data');
    expect(kept.map(({ is }) => is)).toEqual([
      expect.objectContaining({
        name: 'tribo-gent-prod-dead-letters.operators',
        message_retention_duration: '604800s',
        expiration_policy: { ttl: '' },
      }),
    ]);
  });
});

describe('the database', () => {
  const instance = (site: typeof inProd) => site.one('google_sql_database_instance', 'server-instance');
  const settings = (site: typeof inProd) => instance(site)['settings'] as Attributes;

  it('logs who waits for a lock, and statements that take a second', () => {
    expect(settings(inProd)['database_flags']).toEqual(
      expect.arrayContaining([
        { name: 'log_lock_waits', value: 'on' },
        { name: 'log_min_duration_statement', value: '1000' },
      ]),
    );
  });

  it('takes as many connections as Cloud SQL lets it have, but a small one whose services grow in a cluster', () => {
    const told = (site: typeof inProd) =>
      (settings(site)['database_flags'] as Attributes[]).filter(({ name }) => name === 'max_connections');
    expect([inStaging, inProd].map(told)).toEqual([[], []]);
    const small = synthesized(inCluster(shipped('gent.dev')), 'gcp');
    expect(told(small)).toEqual([{ name: 'max_connections', value: '150' }]);
  });

  it('has a private address alone, TLS alone, and a certificate with its name', () => {
    expect(settings(inProd)['ip_configuration']).toEqual({
      ipv4_enabled: false,
      private_network: expect.stringContaining('google_compute_network'),
      ssl_mode: 'ENCRYPTED_ONLY',
      server_ca_mode: 'GOOGLE_MANAGED_CAS_CA',
    });
    expect(instance(inProd)).toMatchObject({ encryption_key_name: KEY, database_version: 'POSTGRES_17' });
  });

  it('is of the size that was priced, and grows by itself', () => {
    expect(settings(inProd)).toMatchObject({
      edition: 'ENTERPRISE',
      tier: 'db-custom-2-8192',
      availability_type: 'ZONAL',
      disk_type: 'PD_SSD',
      disk_size: 362,
      disk_autoresize: true,
      disk_autoresize_limit: 1086,
    });
    expect(settings(inDev)['tier']).toBe('db-custom-1-3840');
    expect(settings(inZones)['availability_type']).toBe('REGIONAL');
  });

  it('is backed up in its region: each day as long as the environment says, to any second as long as Cloud SQL does', () => {
    expect(settings(inProd)['backup_configuration']).toEqual({
      enabled: true,
      start_time: '03:00',
      location: 'europe-west1',
      point_in_time_recovery_enabled: true,
      transaction_log_retention_days: 7,
      backup_retention_settings: { retained_backups: 14, retention_unit: 'COUNT' },
    });
  });

  it.each([
    ['dev', inDev, false],
    ['staging', inStaging, true],
    ['prod', inProd, true],
  ] as const)('can be deleted in dev alone: %s', (_, site, isProtected) => {
    expect(instance(site)).toMatchObject({
      deletion_protection: isProtected,
      settings: { deletion_protection_enabled: isProtected, retain_backups_on_delete: isProtected },
    });
  });

  it('has a password that is in no state: ephemeral, and written by attributes that are write-only', () => {
    const password = '${ephemeral.random_password.database_password.result}';
    const user = inProd.one('google_sql_user', 'database/user');
    expect(user).toMatchObject({ password_wo: password, password_wo_version: 1 });
    expect(user).not.toHaveProperty('password');
    const secret = inProd.one('google_secret_manager_secret_version', 'password-value');
    expect(secret).toMatchObject({ secret_data_wo: password, secret_data_wo_version: 1 });
    expect(secret).not.toHaveProperty('secret_data');
    expect(inProd.resources.filter(({ type }) => type.startsWith('random_'))).toEqual([]);
  });
});

describe('buckets', () => {
  const KINDS = ['objects', 'audit', 'access'];
  const bucket = (site: typeof inProd, kind: string) => site.one('google_storage_bucket', `${kind}/bucket`);

  it.each(KINDS)('%s: nobody outside reaches it, and it is encrypted, in the region, named for the project', (kind) => {
    expect(bucket(inProd, kind)).toMatchObject({
      name: `tribo-gent-prod-${kind}-\${data.google_project.project.number}`,
      location: 'europe-west1',
      uniform_bucket_level_access: true,
      public_access_prevention: 'enforced',
      encryption: { default_kms_key_name: KEY },
      force_destroy: false,
    });
    expect(bucket(inDev, kind)['force_destroy']).toBe(true);
  });

  it('nobody outside is let in by a right either', () => {
    const members = inProd.resources.flatMap(({ is }) => [is['member'], is['members']].flat());
    expect(members.filter((member) => /^all(Authenticated)?Users$/.test(String(member)))).toEqual([]);
  });

  it('objects are in versions; each kind has its own days, archive after 90, old versions too', () => {
    const rules = (bucket(inZones, 'objects')['lifecycle_rule'] as readonly Attributes[]).map(
      ({ action, condition }) => [(action as Attributes)['type'], condition],
    );
    expect(bucket(inZones, 'objects')['versioning']).toEqual({ enabled: true });
    const live = (prefix: string, age: number) => ({ matches_prefix: [prefix], with_state: 'LIVE', age });
    const old = (prefix: string, days: number) => ({
      matches_prefix: [prefix],
      with_state: 'ARCHIVED',
      days_since_noncurrent_time: days,
    });
    expect(rules).toEqual([
      ['SetStorageClass', live('waveforms/', 90)],
      ['Delete', live('waveforms/', 365)],
      ['Delete', old('waveforms/', 30)],
      ['SetStorageClass', live('raw/', 90)],
      ['Delete', live('raw/', 365)],
      ['Delete', old('raw/', 30)],
      ['Delete', live('parts/', 7)],
      ['Delete', old('parts/', 30)],
      ['Delete', old('models/', 365)],
      ['Delete', old('training/', 30)],
      ['AbortIncompleteMultipartUpload', { age: 7 }],
    ]);
  });

  it('the audit trail is never deleted, and locked for ten years outside dev', () => {
    for (const site of [inProd, inStaging, inDev]) {
      const rules = bucket(site, 'audit')['lifecycle_rule'] as readonly Attributes[];
      expect(rules.filter(({ action }) => (action as Attributes)['type'] === 'Delete')).toEqual([]);
    }
    for (const site of [inProd, inStaging])
      expect(bucket(site, 'audit')['retention_policy']).toEqual({ is_locked: true, retention_period: 315_360_000 });
    expect(bucket(inDev, 'audit')).not.toHaveProperty('retention_policy');
    expect(inProd.one('google_logging_project_sink', 'audit-store/trail')['filter']).toBe(
      'logName:"cloudaudit.googleapis.com"',
    );
  });
});

describe('secrets', () => {
  it('are in the region alone, encrypted with the key of the site, and without a value but those that are generated', () => {
    const secrets = inProd.of('google_secret_manager_secret');
    for (const secret of secrets)
      expect(secret).toMatchObject({
        replication: {
          user_managed: {
            replicas: [{ location: 'europe-west1', customer_managed_encryption: { kms_key_name: KEY } }],
          },
        },
        deletion_protection: true,
      });
    expect(secrets).toHaveLength(11);
    expect(inProd.found('google_secret_manager_secret_version').map(({ path }) => path)).toEqual([
      'data/database/password-value',
      'data/link-key-value',
    ]);
  });
});

describe('what holds data', () => {
  const HOLDING = ['google_kms_crypto_key', 'google_sql_database_instance', 'google_storage_bucket'];

  it.each([...HOLDING, 'google_secret_manager_secret'])('%s is not destroyed by a plan outside dev', (type) => {
    const preventing = (site: typeof inProd) =>
      site.of(type).map(({ lifecycle }) => (lifecycle as Attributes)['prevent_destroy']);
    expect(new Set(preventing(inStaging))).toEqual(new Set([true]));
    expect(new Set(preventing(inDev))).toEqual(new Set([false]));
  });
});

describe('stacks', () => {
  it('wait for whole resources of their own alone, as Terraform wants it', () => {
    const waited = inProd.resources.flatMap(({ is }) => (is['depends_on'] ?? []) as readonly string[]);
    expect(waited.length).toBeGreaterThan(0);
    expect(waited.filter((on) => on.includes('terraform_remote_state'))).toEqual([]);
  });
});
