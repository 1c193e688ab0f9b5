import { describe, expect, it } from '@jest/globals';
import { changed, shipped, statementsOf, synthesized, type Attributes } from '../testing/synthesized.ts';

const prod = shipped('akron.prod');
const inProd = synthesized(prod);
const inDev = synthesized(shipped('akron.dev'));
const inStaging = synthesized(changed(shipped('akron.dev'), { stage: 'staging' }));

describe('streams', () => {
  it('are those of the platform and of the devices, encrypted with the key of the site, kept as long as an outage may last', () => {
    const streams = inProd.of('aws_kinesis_stream');
    const names = ['metrics', 'raw-waveform', 'features', 'windows', 'inference-results', 'alarms'];
    expect(new Set(streams.map(({ name }) => name))).toEqual(
      new Set([...names, 'devices', 'device-errors'].map((name) => `tribo-akron-prod-${name}`)),
    );
    for (const stream of streams)
      expect(stream).toMatchObject({
        encryption_type: 'KMS',
        kms_key_id: expect.stringContaining('aws_kms_key'),
        retention_period: 72,
        shard_count: 1,
        stream_mode_details: { stream_mode: 'PROVISIONED' },
      });
  });

  it('have the shards that their load wants', () => {
    const workload = { ...prod.workload, machines: 20_000, messageIntervalS: 1 };
    const metrics = synthesized(changed(prod, { workload })).one('aws_kinesis_stream', 'event-stream/metrics');
    // 20,000 messages a second, twice that at the peak, a thousand a shard.
    expect(metrics['shard_count']).toBe(40);
  });
});

describe('the database', () => {
  const instance = (site: typeof inProd) => site.one('aws_db_instance', 'server-instance');

  it('is private, encrypted, in several zones and restorable in prod', () => {
    expect(instance(inProd)).toMatchObject({
      publicly_accessible: false,
      storage_encrypted: true,
      kms_key_id: expect.stringContaining('aws_kms_key'),
      multi_az: true,
      instance_class: 'db.t3.large',
      engine: 'postgres',
      engine_version: '17',
      storage_type: 'gp3',
      backup_retention_period: 30,
      backup_window: '03:00-04:00',
      maintenance_window: 'mon:04:30-mon:05:30',
      enabled_cloudwatch_logs_exports: ['postgresql', 'upgrade'],
      deletion_protection: true,
      skip_final_snapshot: false,
      delete_automated_backups: false,
      copy_tags_to_snapshot: true,
      lifecycle: { prevent_destroy: true },
    });
  });

  it('can be deleted in dev alone', () => {
    const protections = [inDev, inStaging, inProd].map((site) => instance(site)['deletion_protection']);
    expect(protections).toEqual([false, true, true]);
    expect(instance(inDev)).toMatchObject({
      multi_az: false,
      instance_class: 'db.t4g.small',
      skip_final_snapshot: true,
    });
  });

  it('grows by itself, up to three times what the plan has', () => {
    const { allocated_storage: first, max_allocated_storage: most } = instance(inProd);
    expect(most).toBe((first as number) * 3);
  });

  it('takes TLS alone, and needs no library that RDS does not have', () => {
    const { family, parameter } = inProd.one('aws_db_parameter_group', 'parameters');
    expect(family).toBe('postgres17');
    expect(parameter).toContainEqual({ apply_method: 'immediate', name: 'rds.force_ssl', value: '1' });
    expect(JSON.stringify(inProd.json)).not.toContain('timescale');
  });

  it('takes as many connections as RDS lets it have, also a small one, whose memory is not for more', () => {
    const told = (site: typeof inProd) =>
      (site.one('aws_db_parameter_group', 'parameters')['parameter'] as Attributes[]).filter(
        ({ name }) => name === 'max_connections',
      );
    expect([inStaging, inProd].map(told)).toEqual([[], []]);
  });

  it('has a password that is in no state: ephemeral, and written by attributes that are write-only', () => {
    const password = '${ephemeral.aws_secretsmanager_random_password.database_password.random_password}';
    expect(instance(inProd)).toMatchObject({ password_wo: password, password_wo_version: 1 });
    expect(instance(inProd)).not.toHaveProperty('password');
    const secret = inProd.one('aws_secretsmanager_secret_version', 'password/value');
    expect(secret).toMatchObject({ secret_string_wo: password, secret_string_wo_version: 1 });
    expect(secret).not.toHaveProperty('secret_string');
    // Each application draws another: one that fails at the database has to leave none in the secret.
    expect(secret['depends_on']).toEqual([expect.stringMatching(/^aws_db_instance\.database_server-instance/)]);
    expect(inProd.resources.filter(({ type }) => type.startsWith('random_'))).toEqual([]);
  });

  it('is reached by its clients alone, at its port', () => {
    const rules = inProd.found('aws_vpc_security_group_ingress_rule').filter(({ stack }) => stack === 'data');
    expect(rules.map(({ is }) => is)).toEqual([
      expect.objectContaining({
        from_port: 5432,
        to_port: 5432,
        ip_protocol: 'tcp',
        referenced_security_group_id: expect.stringContaining('database_clients'),
        security_group_id: expect.stringContaining('database_server'),
      }),
    ]);
    expect(rules[0]!.is).not.toHaveProperty('cidr_ipv4');
  });

  it('has a copy each day in a vault apart', () => {
    expect(inProd.one('aws_backup_plan', 'plan')['rule']).toEqual([
      expect.objectContaining({ lifecycle: { delete_after: 30 }, schedule: 'cron(0 6 ? * * *)' }),
    ]);
    expect(inProd.one('aws_backup_selection', 'selection')['resources']).toEqual([
      expect.stringContaining('aws_db_instance'),
    ]);
  });

  it('has that copy begun outside of its windows and of the hour before them, when RDS takes none', () => {
    const [{ schedule, start_window: within }] = inProd.one('aws_backup_plan', 'plan')['rule'] as [
      { readonly schedule: string; readonly start_window: number },
    ];
    const first = Number(/^cron\(0 (\d+) /.exec(schedule)![1]) * 60;
    for (const window of ['backup_window', 'maintenance_window']) {
      const times = [...(instance(inProd)[window] as string).matchAll(/(\d\d):(\d\d)/g)];
      const [from, to] = times.map(([, hour, minute]) => Number(hour) * 60 + Number(minute));
      expect(first + within <= from! - 60 || first >= to!).toBe(true);
    }
  });
});

describe('buckets', () => {
  const KINDS = ['objects', 'audit', 'access'];

  it('are those of objects, of the audit trail and of who asked for what, named for the account', () => {
    const names = inProd.of('aws_s3_bucket').map(({ bucket }) => bucket as string);
    expect(names.map((name) => name.split('-${')[0])).toEqual(
      expect.arrayContaining(KINDS.map((kind) => `tribo-akron-prod-${kind}`)),
    );
    expect(names).toHaveLength(KINDS.length);
    expect(names.every((name) => name.endsWith('-${data.aws_caller_identity.account.account_id}'))).toBe(true);
  });

  it.each(KINDS)('%s: nobody outside reaches it, by any way', (kind) => {
    expect(inProd.one('aws_s3_bucket_public_access_block', `${kind}/public-access`)).toMatchObject({
      block_public_acls: true,
      block_public_policy: true,
      ignore_public_acls: true,
      restrict_public_buckets: true,
    });
    expect(inProd.one('aws_s3_bucket_ownership_controls', `${kind}/ownership`)['rule']).toEqual({
      object_ownership: 'BucketOwnerEnforced',
    });
    const [tls] = statementsOf(inProd.one('aws_s3_bucket_policy', `${kind}/policy`)['policy']);
    expect(tls).toMatchObject({
      Effect: 'Deny',
      Principal: '*',
      Action: ['s3:*'],
      Condition: { Bool: { 'aws:SecureTransport': 'false' } },
    });
    expect(tls!.Resource).toHaveLength(2);
  });

  it.each(KINDS)('%s: keeps versions, and gives up what is unfinished', (kind) => {
    expect(inProd.one('aws_s3_bucket_versioning', `${kind}/versioning`)['versioning_configuration']).toEqual({
      status: 'Enabled',
    });
    expect(rulesOf(inProd, kind)).toContainEqual(
      expect.objectContaining({ abort_incomplete_multipart_upload: [{ days_after_initiation: 7 }] }),
    );
  });

  it('are encrypted with the key of the site, but for what the balancer writes, which takes that of S3 alone', () => {
    const algorithms = KINDS.map((kind) => {
      const [rule] = inProd.one('aws_s3_bucket_server_side_encryption_configuration', `${kind}/encryption`)['rule'] as [
        { apply_server_side_encryption_by_default: Attributes },
      ];
      return rule.apply_server_side_encryption_by_default['sse_algorithm'];
    });
    expect(algorithms).toEqual(['aws:kms', 'aws:kms', 'AES256']);
  });

  it('objects: each kind goes to the archive after 90 days and goes after its own, old versions too', () => {
    expect(rulesOf(inProd, 'objects')).toEqual([
      {
        id: 'waveforms',
        status: 'Enabled',
        filter: [{ prefix: 'waveforms/' }],
        transition: [{ days: 90, storage_class: 'GLACIER_IR' }],
        expiration: [{ days: 365 }],
        noncurrent_version_expiration: [{ noncurrent_days: 30 }],
      },
      {
        id: 'raw',
        status: 'Enabled',
        filter: [{ prefix: 'raw/' }],
        transition: [{ days: 90, storage_class: 'GLACIER_IR' }],
        expiration: [{ days: 365 }],
        noncurrent_version_expiration: [{ noncurrent_days: 30 }],
      },
      {
        id: 'parts',
        status: 'Enabled',
        filter: [{ prefix: 'parts/' }],
        expiration: [{ days: 7 }],
        noncurrent_version_expiration: [{ noncurrent_days: 30 }],
      },
      {
        id: 'models',
        status: 'Enabled',
        filter: [{ prefix: 'models/' }],
        noncurrent_version_expiration: [{ noncurrent_days: 365 }],
      },
      {
        id: 'training',
        status: 'Enabled',
        filter: [{ prefix: 'training/' }],
        noncurrent_version_expiration: [{ noncurrent_days: 30 }],
      },
      expect.objectContaining({ id: 'leftovers' }),
    ]);
  });

  it('audit: nothing ever goes, old versions neither', () => {
    const rules = rulesOf(inProd, 'audit');
    const expiring = rules.filter(
      ({ expiration, noncurrent_version_expiration: old }) =>
        old !== undefined || (expiration as Attributes[] | undefined)?.some((each) => 'days' in each),
    );
    expect(expiring).toEqual([]);
    expect(rules[0]).toMatchObject({
      transition: [{ days: 90, storage_class: 'GLACIER_IR' }],
      noncurrent_version_transition: [{ noncurrent_days: 90, storage_class: 'GLACIER_IR' }],
    });
  });

  it('are emptied and destroyed in dev alone', () => {
    const of = (site: typeof inProd) => site.of('aws_s3_bucket').map((bucket) => bucket['force_destroy']);
    expect([of(inDev), of(inStaging), of(inProd)]).toEqual([
      [true, true, true],
      [false, false, false],
      [false, false, false],
    ]);
  });
});

describe('tables of state', () => {
  it('have the keys of the adapters, are encrypted, restorable to any second, and protected outside dev', () => {
    for (const table of inProd.of('aws_dynamodb_table'))
      expect(table).toMatchObject({
        hash_key: 'pk',
        range_key: 'sk',
        billing_mode: 'PAY_PER_REQUEST',
        server_side_encryption: { enabled: true, kms_key_arn: expect.stringContaining('aws_kms_key') },
        point_in_time_recovery: { enabled: true, recovery_period_in_days: 30 },
        deletion_protection_enabled: true,
      });
    expect(inDev.of('aws_dynamodb_table').map((table) => table['deletion_protection_enabled'])).toEqual([false, false]);
  });
});

describe('what holds data', () => {
  const HOLDING = [
    ...['aws_kms_key', 'aws_kinesis_stream', 'aws_db_instance', 'aws_s3_bucket', 'aws_dynamodb_table'],
    'aws_backup_vault',
  ];

  it.each(HOLDING)('%s is not destroyed by a plan outside dev', (type) => {
    expect(inStaging.of(type).map(({ lifecycle }) => lifecycle)).toEqual(
      inStaging.of(type).map(() => ({ prevent_destroy: true })),
    );
    expect(inDev.of(type).every(({ lifecycle }) => (lifecycle as Attributes)['prevent_destroy'] === false)).toBe(true);
  });
});

function rulesOf(site: typeof inProd, kind: string): readonly Attributes[] {
  return site.one('aws_s3_bucket_lifecycle_configuration', `${kind}/lifecycle`)['rule'] as readonly Attributes[];
}
