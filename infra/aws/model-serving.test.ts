import { describe, expect, it } from '@jest/globals';
import type { Environment } from '../../core/decision/environment.ts';
import { changed, shipped, statementsOf, synthesized, type Attributes } from '../testing/synthesized.ts';

const prod = shipped('akron.prod');
const withEndpoint = (modelEndpoint: Environment['switches']['modelEndpoint']) =>
  synthesized(changed(prod, { accounts: { aws: '123456789012' }, switches: { ...prod.switches, modelEndpoint } }));
const without = withEndpoint('none');
const serverless = withEndpoint('serverless');
const instance = withEndpoint('instance');
const variantOf = (site: typeof without): Attributes =>
  (site.of('aws_sagemaker_endpoint_configuration')[0]!['production_variants'] as readonly [Attributes])[0];

describe('without an endpoint', () => {
  it('nothing of it is made, and services run models themselves', () => {
    const made = without.resources.filter(({ type }) => type.startsWith('aws_sagemaker_'));
    expect(made).toEqual([]);
    expect(without.json.platform.output!['ports']!.value).not.toHaveProperty('modelInference');
    expect(without.of('aws_ecr_repository').map(({ name }) => name)).not.toContain('tribo-akron-prod/model-server');
  });
});

describe.each([
  ['serverless', serverless],
  ['instance', instance],
] as const)('the %s endpoint', (_kind, site) => {
  it('runs the model server of the release, and its services ask it', () => {
    expect(site.of('aws_sagemaker_endpoint')[0]).toMatchObject({ name: 'tribo-akron-prod-models' });
    expect(site.of('aws_sagemaker_model')[0]).toMatchObject({
      primary_container: { image: expect.stringMatching(/@\$\{var\.image_digests\["model-server"\]\}$/) },
    });
    expect(site.of('aws_ecr_repository').map(({ name }) => name)).toContain('tribo-akron-prod/model-server');
    expect(site.json.platform.output!['ports']!.value).toMatchObject({
      modelInference: { adapter: 'sagemaker-model-inference', endpointName: 'tribo-akron-prod-models' },
    });
  });

  it('is asked by the services that run models, and by no other', () => {
    const asking = site.found('aws_iam_role_policy').flatMap(({ path, is }) => {
      const rights = statementsOf(is['policy']).filter(({ Action }) => Action.includes('sagemaker:InvokeEndpoint'));
      return rights.map(({ Resource }) => [path, Resource]);
    });
    const arn =
      'arn:${data.aws_partition.partition.partition}:sagemaker:us-east-2:123456789012:endpoint/tribo-akron-prod-models';
    expect(asking).toEqual([
      ['platform/task-roles/api-gateway-rights', [arn]],
      ['platform/task-roles/ml-service-rights', [arn]],
    ]);
  });

  it('writes to a log that is there, encrypted, for as long as others', () => {
    expect(site.one('aws_cloudwatch_log_group', 'model-inference/log')).toMatchObject({
      ...{ name: '/aws/sagemaker/Endpoints/tribo-akron-prod-models', retention_in_days: 90 },
      kms_key_id: expect.stringContaining('aws_kms_key'),
    });
    expect(site.of('aws_kms_key')[0]!['policy']).toContain(':log-group:/aws/sagemaker/Endpoints/tribo-akron-prod-*');
  });

  it('may fetch its image and write its log', () => {
    const rights = statementsOf(site.one('aws_iam_role_policy', 'model-inference/rights')['policy']);
    expect(rights.flatMap(({ Action }) => Action)).toEqual([
      'ecr:GetAuthorizationToken',
      ...['ecr:BatchCheckLayerAvailability', 'ecr:GetDownloadUrlForLayer', 'ecr:BatchGetImage'],
      ...['logs:CreateLogStream', 'logs:PutLogEvents'],
    ]);
  });
});

describe('what differs', () => {
  it('serverless is nothing between calls', () => {
    expect(variantOf(serverless)).toEqual({
      ...{ variant_name: 'primary', model_name: expect.stringContaining('aws_sagemaker_model') },
      serverless_config: { memory_size_in_mb: 2048, max_concurrency: 10 },
    });
    // SageMaker takes neither of a serverless endpoint.
    expect(serverless.of('aws_sagemaker_model')[0]).not.toHaveProperty('enable_network_isolation');
    expect(serverless.of('aws_sagemaker_endpoint_configuration')[0]).not.toHaveProperty('kms_key_arn');
  });

  it('an instance is shut in, encrypted, and one of as many as the calls want', () => {
    expect(variantOf(instance)).toEqual({
      ...{ variant_name: 'primary', model_name: expect.stringContaining('aws_sagemaker_model') },
      ...{ instance_type: 'ml.m5.large', initial_instance_count: 1, initial_variant_weight: 1 },
    });
    expect(instance.of('aws_sagemaker_model')[0]!['enable_network_isolation']).toBe(true);
    expect(instance.of('aws_sagemaker_endpoint_configuration')[0]!['kms_key_arn']).toContain('aws_kms_key');
    expect(instance.one('aws_appautoscaling_target', 'model-inference/instances')).toMatchObject({
      ...{ min_capacity: 1, max_capacity: 4, scalable_dimension: 'sagemaker:variant:DesiredInstanceCount' },
      resource_id: expect.stringMatching(/^endpoint\/\$\{aws_sagemaker_endpoint\.\S+\.name\}\/variant\/primary$/),
    });
  });
});

describe('training', () => {
  it('is a role for jobs, which read and write their own part of the bucket, and nothing that runs', () => {
    const rights = statementsOf(without.one('aws_iam_role_policy', 'model-serving/training-rights')['policy']);
    const objects = rights.find(({ Action }) => Action.includes('s3:PutObject'))!;
    expect(objects.Action).toEqual(['s3:GetObject', 's3:PutObject']);
    expect(objects.Resource).toEqual([expect.stringMatching(/\/training\/\*$/)]);
    expect(rights.find(({ Action }) => Action.includes('s3:ListBucket'))!.Condition).toEqual({
      StringLike: { 's3:prefix': 'training/*' },
    });
    expect(without.json.platform.output!['training_role']!.value).toMatch(/aws_iam_role\.model-serving_training-role/);
  });

  it('runs images of the site, and writes the log of its own jobs, whose group it may make', () => {
    const rights = statementsOf(without.one('aws_iam_role_policy', 'model-serving/training-rights')['policy']);
    const on = (action: string) =>
      rights.filter(({ Action }) => Action.includes(action)).flatMap(({ Resource }) => Resource);
    const arn = (service: string, rest: string) =>
      `arn:\${data.aws_partition.partition.partition}:${service}:us-east-2:123456789012:${rest}`;
    expect(on('ecr:GetAuthorizationToken')).toEqual(['*']);
    expect(on('ecr:BatchGetImage')).toEqual([arn('ecr', 'repository/tribo-akron-prod/*')]);
    expect(on('ecr:GetDownloadUrlForLayer')).toEqual(on('ecr:BatchGetImage'));
    // https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/iam-access-control-overview-cwl.html
    expect(on('logs:CreateLogGroup')).toEqual([arn('logs', 'log-group:/aws/sagemaker/TrainingJobs:*')]);
    expect(on('logs:PutLogEvents')).toEqual([
      arn('logs', 'log-group:/aws/sagemaker/TrainingJobs:log-stream:tribo-akron-prod-*'),
    ]);
  });

  it('has a group of packages for what it makes where there is an endpoint', () => {
    expect(serverless.of('aws_sagemaker_model_package_group')[0]).toMatchObject({
      model_package_group_name: 'tribo-akron-prod-trained',
    });
  });
});
