import { describe, expect, it } from '@jest/globals';
import { changed, shipped, synthesized } from '../testing/synthesized.ts';
import { mandatoryTags } from './tags.ts';

const prod = shipped('akron.prod');

/** Of what is made, all that the provider lets have no tags (5.100.0). */
const WITHOUT_TAGS = [
  ...['aws_acm_certificate_validation', 'aws_appautoscaling_policy', 'aws_backup_selection'],
  ...['aws_cloudwatch_dashboard', 'aws_cognito_user_group', 'aws_cognito_user_pool_client'],
  ...['aws_cognito_user_pool_domain', 'aws_ecr_lifecycle_policy', 'aws_iam_role_policy'],
  ...['aws_iam_role_policy_attachment', 'aws_kms_alias', 'aws_lambda_function_event_invoke_config'],
  ...['aws_lambda_permission', 'aws_route', 'aws_route53_record', 'aws_sqs_queue_policy'],
  ...['aws_route_table_association', 'aws_s3_bucket_lifecycle_configuration', 'aws_s3_bucket_logging'],
  ...['aws_s3_bucket_metric', 'aws_s3_bucket_ownership_controls', 'aws_s3_bucket_policy'],
  ...['aws_s3_bucket_public_access_block', 'aws_s3_bucket_server_side_encryption_configuration'],
  ...['aws_s3_bucket_versioning', 'aws_secretsmanager_secret_version', 'aws_sns_topic_policy'],
  ...['aws_sns_topic_subscription', 'aws_wafv2_web_acl_association', 'aws_wafv2_web_acl_logging_configuration'],
];

describe('mandatory tags', () => {
  const tags = {
    Project: 'tribo',
    Environment: 'prod',
    Site: 'akron',
    Deployment: 'tribo-akron-prod',
    CostCenter: 'manufacturing',
    Owner: 'plant-it@akron.example',
    Tenant: 'acme',
  };

  it('are on every resource that can carry tags', () => {
    const { resources } = synthesized(prod);
    const without = resources.filter(({ is }) => is['tags'] === undefined);
    expect(new Set(without.map(({ type }) => type))).toEqual(new Set(WITHOUT_TAGS));
    for (const { is } of resources.filter(({ type }) => !WITHOUT_TAGS.includes(type)))
      expect(is['tags']).toMatchObject(tags);
  });

  it('name several tenants, as far as a value takes them', () => {
    expect(mandatoryTags(changed(prod, { tenants: ['acme', 'borealis'] }))).toMatchObject({ Tenant: 'acme borealis' });
    const many = Array.from({ length: 40 }, (_, index) => `tenant-${index}`);
    expect(mandatoryTags(changed(prod, { tenants: many }))).toMatchObject({ Tenant: 'shared' });
  });
});
