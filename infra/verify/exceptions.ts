import type { Drift } from './plan.ts';

type StackName = 'foundation' | 'data' | 'platform';

const RULES: Drift = {
  'aws_vpc_security_group_egress_rule.description': 'moto keeps none of a rule whose other end is a security group',
  'aws_vpc_security_group_ingress_rule.description': 'the same',
};

/** What moto 5.2.5 cannot hold: validated and planned, not applied. */
export const NOT_APPLIED: Readonly<Record<StackName, Readonly<Record<string, string>>>> = {
  foundation: {},
  data: {
    aws_backup_selection: 'moto has no selections of backups',
    aws_s3_bucket_metric: 'moto has no metrics of buckets',
  },
  platform: {},
};

/** What a second plan would change though nothing was changed, because of what moto answers. One that is not needed any more fails. */
export const DRIFT: Readonly<Record<StackName, Drift>> = {
  foundation: { 'aws_kms_key.rotation_period_in_days': 'moto does not say how often a key is rotated' },
  data: {
    'aws_db_instance.performance_insights_enabled': 'moto keeps nothing of Performance Insights',
    'aws_db_instance.performance_insights_kms_key_id': 'the same',
    'aws_db_instance.performance_insights_retention_period': 'the same',
    'aws_db_parameter_group.parameter': 'moto does not list parameters',
    ...RULES,
  },
  platform: {
    'aws_ecs_service.availability_zone_rebalancing': 'moto does not say it',
    'aws_ecs_service.enable_ecs_managed_tags': 'moto does not say it',
    'aws_ecs_service.health_check_grace_period_seconds': 'moto does not say it',
    'aws_lambda_function.dead_letter_config': 'moto keeps none of it',
    'aws_lambda_function.logging_config': 'moto keeps none of it',
    ...RULES,
  },
};

/** Ports whose contracts moto can answer at what was applied. That of objects it cannot: it refuses all that the buckets refuse without TLS. */
export const VERIFIED = ['secretStore'] as const;
