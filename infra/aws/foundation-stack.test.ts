import { describe, expect, it } from '@jest/globals';
import { changed, shipped, statementsOf, synthesized } from '../testing/synthesized.ts';

const inProd = synthesized(shipped('akron.prod'));
const inDev = synthesized(shipped('akron.dev'));

describe('the network', () => {
  it('has three tiers in three zones in prod, and in dev in the two that a balancer and RDS want', () => {
    const ranges = (site: typeof inProd) => site.of('aws_subnet').map((subnet) => subnet['cidr_block'] as string);
    expect(new Set(ranges(inProd))).toEqual(
      new Set([0, 16, 32, 64, 80, 96, 128, 144, 160].map((third) => `10.40.${third}.0/20`)),
    );
    expect(new Set(ranges(inDev))).toEqual(new Set([0, 16, 64, 80, 128, 144].map((third) => `10.41.${third}.0/20`)));
  });

  it('is in no zone in which EKS makes no cluster', () => {
    const zones = '"exclude_zone_ids":["use1-az3","usw1-az2","cac1-az3"]';
    expect(JSON.stringify(inProd.json.foundation)).toContain(zones);
  });

  it('gives nothing a public address by itself', () => {
    expect(inProd.of('aws_subnet').map((subnet) => subnet['map_public_ip_on_launch'])).toEqual(Array(9).fill(false));
  });

  it('has a NAT gateway in each zone that is paid for, which the services of that zone go out by', () => {
    expect(inProd.of('aws_nat_gateway')).toHaveLength(3);
    expect(inDev.of('aws_nat_gateway')).toHaveLength(1);
    for (const zone of [0, 1, 2]) {
      const route = inProd.one('aws_route', `services-${zone}-out`);
      expect(route['nat_gateway_id']).toContain(`nat-${zone}_`);
      expect(inProd.one('aws_nat_gateway', `nat-${zone}`)['subnet_id']).toContain(`public-${zone}_`);
      const association = inProd.one('aws_route_table_association', `services-${zone}-routes`);
      expect(association['route_table_id']).toContain(`services-${zone}-table`);
    }
  });

  it('lets nothing out of the subnets of the data', () => {
    const tables = inProd.of('aws_route').map((route) => route['route_table_id'] as string);
    expect(tables.filter((table) => table.includes('network_data_'))).toEqual([]);
    for (const zone of [0, 1, 2])
      expect(inProd.one('aws_route_table_association', `data-${zone}-routes`)['route_table_id']).toContain(
        'network_data_',
      );
  });

  it('reaches storage, tables, secrets, logs, images and streams without the internet', () => {
    const services = (type: string) =>
      inProd
        .of('aws_vpc_endpoint')
        .filter((endpoint) => endpoint['vpc_endpoint_type'] === type)
        .map((endpoint) => endpoint['service_name']);
    expect(new Set(services('Gateway'))).toEqual(
      new Set(['com.amazonaws.us-east-2.s3', 'com.amazonaws.us-east-2.dynamodb']),
    );
    expect(new Set(services('Interface'))).toEqual(
      new Set(
        ['secretsmanager', 'logs', 'ecr.api', 'ecr.dkr', 'kinesis-streams'].map(
          (service) => `com.amazonaws.us-east-2.${service}`,
        ),
      ),
    );
  });

  it('has a default security group that lets nothing in or out', () => {
    expect(inProd.of('aws_default_security_group')).toEqual([expect.objectContaining({ ingress: [], egress: [] })]);
  });
});

describe('the key', () => {
  it('is turned each year, and its deletion can be taken back for a month', () => {
    expect(inProd.of('aws_kms_key')).toEqual([
      expect.objectContaining({ enable_key_rotation: true, rotation_period_in_days: 365, deletion_window_in_days: 30 }),
    ]);
  });

  it('is for services of AWS on behalf of this site alone', () => {
    const [, ...services] = statementsOf(inProd.one('aws_kms_key', 'key')['policy']);
    expect(services.map(({ Sid }) => Sid)).toEqual([
      ...['LogGroupsOfTheSite', 'AlarmsToTheTopic', 'FailedReadingsToTheirQueue', 'TheAuditTrail'],
    ]);
    expect(services.filter(({ Condition }) => Condition === undefined)).toEqual([]);
  });
});

describe('the registry of images', () => {
  const repositories = inProd.of('aws_ecr_repository');

  it('has a repository a service', () => {
    expect(new Set(repositories.map(({ name }) => name))).toEqual(
      new Set(
        [
          ...['ingestion-service', 'timeseries-service', 'feature-service'],
          ...['ml-service', 'alert-engine', 'api-gateway'],
        ].map((service) => `tribo-akron-prod/${service}`),
      ),
    );
  });

  it('never replaces an image, looks through it, encrypts it, and is emptied in dev alone', () => {
    for (const repository of repositories)
      expect(repository).toMatchObject({
        image_tag_mutability: 'IMMUTABLE',
        image_scanning_configuration: { scan_on_push: true },
        encryption_configuration: [{ encryption_type: 'KMS' }],
        force_delete: false,
      });
    expect(inDev.of('aws_ecr_repository').every((repository) => repository['force_delete'] === true)).toBe(true);
  });
});

describe('what the registry keeps', () => {
  it.each(inProd.of('aws_ecr_lifecycle_policy'))(
    'is what was deployed last, however much comes that is not, and the last of all: $repository',
    ({ policy }) => {
      const { rules } = JSON.parse(policy as string) as { readonly rules: readonly object[] };
      expect(rules).toMatchObject([
        {
          rulePriority: 1,
          selection: { tagPrefixList: ['deployed-'], countType: 'imageCountMoreThan', countNumber: 30 },
        },
        { rulePriority: 2, selection: { tagStatus: 'any', countType: 'imageCountMoreThan', countNumber: 90 } },
      ]);
    },
  );
});

describe('the identity of the pipeline', () => {
  it('is that of a run of the repository in the environment of the stage', () => {
    const [trust] = statementsOf(inProd.one('aws_iam_role', 'ci-identity/role')['assume_role_policy']);
    expect(trust!.Condition).toEqual({
      StringEquals: {
        'token.actions.githubusercontent.com:aud': 'sts.amazonaws.com',
        'token.actions.githubusercontent.com:sub': 'repo:${var.github_repository}:environment:prod',
      },
    });
  });

  it('passes the roles of the services to ECS alone', () => {
    const statements = statementsOf(inProd.one('aws_iam_role_policy', 'ci-identity/rights')['policy']);
    const passing = statements.find(({ Action }) => Action.includes('iam:PassRole'))!;
    expect(passing.Condition).toEqual({ StringEquals: { 'iam:PassedToService': 'ecs-tasks.amazonaws.com' } });
    const made = inProd
      .found('aws_iam_role')
      .filter(({ path }) => path.includes('task-roles/') || path.includes('start-role/'))
      .map(({ is }) => is['name'] as string);
    expect(new Set(passing.Resource.map((arn) => arn.split('role/')[1]))).toEqual(new Set(made));
  });
});

describe('the account', () => {
  it('is the one that the environment names', () => {
    const own = synthesized(changed(shipped('akron.prod'), { accounts: { aws: '123456789012' } }));
    expect(JSON.stringify(own.json.data)).toContain('"allowed_account_ids":["123456789012"]');
    expect(own.one('aws_s3_bucket', 'objects/bucket')['bucket']).toBe('tribo-akron-prod-objects-123456789012');
  });
});
