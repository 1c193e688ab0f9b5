import { describe, expect, it } from '@jest/globals';
import { changed, notMade, shipped, statementsOf, synthesized, type Attributes } from '../testing/synthesized.ts';

const environment = changed(shipped('atlas.prod'), { accounts: { aws: '123456789012' } });
const atlas = synthesized(environment);
const inSecond = atlas.resources.filter(({ path }) => path.includes('second-region/there/'));
const SECOND = 'aws.second';

describe('three regions, the third at another cloud', () => {
  it('are made at AWS in the first two', () => {
    expect(notMade('aws', environment)).toEqual([]);
    const providers = atlas.json.data as unknown as { readonly provider: { readonly aws: readonly Attributes[] } };
    expect(
      providers.provider.aws.map(({ region, alias, allowed_account_ids: accounts }) => [region, alias, accounts]),
    ).toEqual([
      ['us-east-1', undefined, ['123456789012']],
      ['eu-west-1', 'second', ['123456789012']],
    ]);
  });

  it('are refused where the second is at another cloud', () => {
    const [first, , third] = environment.regions;
    expect(notMade('aws', changed(environment, { regions: [first!, third!] }))).toEqual([
      'switches.secondRegion with regions[1] at another cloud',
    ]);
  });
});

describe('what is in the second region', () => {
  it('is there by the provider of that region, and nothing else is', () => {
    expect(inSecond.length).toBeGreaterThan(20);
    expect(inSecond.filter(({ is }) => is['provider'] !== SECOND)).toEqual([]);
    const elsewhere = atlas.resources.filter((each) => !inSecond.includes(each));
    expect(elsewhere.filter(({ is }) => is['provider'] !== undefined)).toEqual([]);
  });

  it('is encrypted with a key of its own, and is not destroyed by a plan', () => {
    const key = atlas.one('aws_kms_key', 'second-region/there/key/key');
    expect(key).toMatchObject({ enable_key_rotation: true, lifecycle: { prevent_destroy: true } });
    const sids = statementsOf(key['policy']).map(({ Sid }) => Sid);
    expect(sids).toEqual(['RolesOfTheAccount', 'LogGroupsOfTheSite', 'AlarmsToTheTopic']);
    const holding = ['aws_db_instance', 'aws_s3_bucket', 'aws_backup_vault', 'aws_kms_key'];
    for (const { is } of inSecond.filter(({ type }) => holding.includes(type)))
      expect(is['lifecycle']).toEqual({ prevent_destroy: true });
  });

  it('has a network that nothing leads into or out of', () => {
    const types = new Set(inSecond.map(({ type }) => type));
    for (const way of ['aws_internet_gateway', 'aws_nat_gateway', 'aws_route', 'aws_vpc_security_group_ingress_rule'])
      expect(types.has(way)).toBe(false);
    expect(atlas.one('aws_vpc', 'second-region/there/vpc')['cidr_block']).toBe('10.81.0.0/16');
    const subnets = inSecond.filter(({ type }) => type === 'aws_subnet').map(({ is }) => is['cidr_block']);
    expect(new Set(subnets).size).toBe(2);
    expect(atlas.one('aws_flow_log', 'second-region/there/flow-log')['traffic_type']).toBe('ALL');
  });
});

describe('the copy of the database', () => {
  const replica = atlas.one('aws_db_instance', 'replica');

  it('follows the first, is as large, encrypted, not public, protected, and restorable by itself once it is the database', () => {
    const first = atlas.one('aws_db_instance', 'server-instance');
    expect(replica).toMatchObject({
      replicate_source_db: expect.stringContaining('aws_db_instance.database_server-instance'),
      instance_class: first['instance_class'],
      max_allocated_storage: first['max_allocated_storage'],
      storage_encrypted: true,
      kms_key_id: expect.stringContaining('second-region'),
      publicly_accessible: false,
      deletion_protection: true,
      backup_retention_period: 35,
      skip_final_snapshot: true,
    });
    for (const ofTheFirst of ['username', 'password_wo', 'db_name', 'engine', 'allocated_storage', 'multi_az'])
      expect(replica).not.toHaveProperty(ofTheFirst);
  });

  it('calls somebody in its own region long before a quarter of an hour would be lost', () => {
    const alarm = atlas.one('aws_cloudwatch_metric_alarm', 'second-region/there/database/late');
    expect(alarm).toMatchObject({
      metric_name: 'ReplicaLag',
      treat_missing_data: 'breaching',
      alarm_actions: [expect.stringContaining('second-region_there_operators')],
    });
    expect((alarm['threshold'] as number) + (alarm['evaluation_periods'] as number) * 60).toBeLessThan(900);
  });

  it('has the password, the images and the backups of each day beside it', () => {
    expect(atlas.one('aws_secretsmanager_secret', 'database/password/secret')['replica']).toEqual([
      { kms_key_id: expect.stringContaining('second-region'), region: 'eu-west-1' },
    ]);
    const [rule] = atlas.one('aws_backup_plan', 'plan')['rule'] as readonly Attributes[];
    expect(rule!['copy_action']).toEqual([
      { destination_vault_arn: expect.stringContaining('second-region'), lifecycle: { delete_after: 35 } },
    ]);
    expect(atlas.of('aws_ecr_replication_configuration')[0]!['replication_configuration']).toEqual({
      rule: [
        {
          destination: [{ region: 'eu-west-1', registry_id: '123456789012' }],
          repository_filter: [{ filter: 'tribo-atlas-prod/', filter_type: 'PREFIX_MATCH' }],
        },
      ],
    });
    expect(atlas.of('aws_ecr_repository_creation_template')[0]).toMatchObject({
      prefix: 'tribo-atlas-prod',
      applied_for: ['REPLICATION'],
      image_tag_mutability: 'IMMUTABLE',
    });
  });

  it('has the images with its own key, by a role that makes repositories of the site there and nothing else', () => {
    expect(atlas.of('aws_ecr_repository_creation_template')[0]).toMatchObject({
      encryption_configuration: [{ encryption_type: 'KMS', kms_key: expect.stringContaining('second-region') }],
      custom_role_arn: expect.stringContaining('images-role'),
    });
    const rights = statementsOf(atlas.one('aws_iam_role_policy', 'there/images-rights')['policy']);
    expect(rights.map(({ Action, Resource }) => [Action, Resource])).toEqual([
      [
        ['ecr:CreateRepository', 'ecr:ReplicateImage'],
        [expect.stringMatching(/:ecr:eu-west-1:123456789012:repository\/tribo-atlas-prod\/\*$/)],
      ],
      [['kms:CreateGrant', 'kms:RetireGrant', 'kms:DescribeKey'], [expect.stringContaining('second-region')]],
    ]);
  });
});

describe('copies of objects', () => {
  it.each([
    ['objects', 'Enabled'],
    ['audit', 'Disabled'],
  ])('%s are made within a quarter of an hour, of what is encrypted too; deletions: %s', (kind, deletions) => {
    const [rule] = atlas.one('aws_s3_bucket_replication_configuration', `${kind}-replication/rule`)['rule'] as [
      Attributes,
    ];
    expect(rule).toMatchObject({
      status: 'Enabled',
      filter: { prefix: '' },
      delete_marker_replication: { status: deletions },
      source_selection_criteria: { sse_kms_encrypted_objects: { status: 'Enabled' } },
      destination: {
        bucket: expect.stringContaining(`there_${kind}_bucket`),
        encryption_configuration: { replica_kms_key_id: expect.stringContaining('second-region') },
        replication_time: { status: 'Enabled', time: { minutes: 15 } },
        metrics: { status: 'Enabled', event_threshold: { minutes: 15 } },
      },
    });
    const actions = statementsOf(atlas.one('aws_iam_role_policy', `${kind}-replication/rights`)['policy']).flatMap(
      ({ Action }) => Action,
    );
    expect(actions.includes('s3:ReplicateDelete')).toBe(deletions === 'Enabled');
    expect(actions.filter((action) => action.includes('*'))).toEqual([]);
  });

  it.each(['objects', 'audit'])(
    'of %s are made by S3 as it documents the trust, without a condition that it names nowhere',
    (kind) => {
      const trust = statementsOf(atlas.one('aws_iam_role', `${kind}-replication/role`)['assume_role_policy']);
      expect(trust).toEqual([expect.objectContaining({ Effect: 'Allow', Principal: { Service: 's3.amazonaws.com' } })]);
      expect(trust[0]!.Condition).toBeUndefined();
    },
  );

  it('have the rules, the versions and the walls of what they copy', () => {
    for (const kind of ['objects', 'audit']) {
      const rules = (path: string) => atlas.one('aws_s3_bucket_lifecycle_configuration', path)['rule'];
      const store = kind === 'objects' ? 'object-store/objects' : 'audit-store/audit';
      expect(rules(`there/${kind}/lifecycle`)).toEqual(rules(`${store}/lifecycle`));
      expect(atlas.one('aws_s3_bucket_public_access_block', `there/${kind}/public-access`)).toMatchObject({
        block_public_acls: true,
        restrict_public_buckets: true,
      });
    }
  });
});
