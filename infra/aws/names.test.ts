import { describe, expect, it } from '@jest/globals';
import { changed, shipped, synthesized, type Resource } from '../testing/synthesized.ts';

const dev = shipped('akron.dev');
const ACCOUNT = '123456789012';

/** What a service takes as a name: its attribute, its form and its length. From the pages of the provider's resources, and of the services. */
const FORMS: Readonly<Record<string, readonly [attribute: string, form: RegExp]>> = {
  aws_appautoscaling_policy: ['name', /^.{1,256}$/],
  aws_backup_plan: ['name', /^[\w.-]{1,50}$/],
  aws_backup_selection: ['name', /^[\w.-]{1,50}$/],
  aws_backup_vault: ['name', /^[\w-]{2,50}$/],
  aws_budgets_budget: ['name', /^[^:\\]{1,100}$/],
  aws_cloudtrail: ['name', /^[A-Za-z0-9][\w.-]{1,126}[A-Za-z0-9]$/],
  aws_cloudwatch_composite_alarm: ['alarm_name', /^.{1,255}$/],
  aws_cloudwatch_dashboard: ['dashboard_name', /^[\w-]{1,255}$/],
  aws_cloudwatch_log_group: ['name', /^[\w./#-]{1,512}$/],
  aws_cloudwatch_metric_alarm: ['alarm_name', /^.{1,255}$/],
  aws_cognito_user_pool: ['name', /^[\w\s+=,.@-]{1,128}$/],
  aws_cognito_user_pool_domain: ['domain', /^(?!.*(aws|amazon|cognito))[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/],
  aws_db_instance: ['identifier', /^(?!.*--)[a-z][a-z0-9-]{0,61}[a-z0-9]$/],
  aws_db_parameter_group: ['name', /^(?!.*--)[a-z][a-z0-9-]{0,253}[a-z0-9]$/],
  aws_db_subnet_group: ['name', /^[a-z0-9 ._-]{1,255}$/],
  aws_dynamodb_table: ['name', /^[\w.-]{3,255}$/],
  aws_ecr_repository: ['name', /^[a-z0-9]+([._/-][a-z0-9]+)*$/],
  aws_ecs_cluster: ['name', /^[\w-]{1,255}$/],
  aws_ecs_service: ['name', /^[\w-]{1,255}$/],
  aws_ecs_task_definition: ['family', /^[\w-]{1,255}$/],
  aws_iam_role: ['name', /^[\w+=,.@-]{1,64}$/],
  aws_iam_role_policy: ['name', /^[\w+=,.@-]{1,128}$/],
  aws_iot_policy: ['name', /^[\w+=,.@-]{1,128}$/],
  aws_iot_thing_type: ['name', /^[\w:-]{1,128}$/],
  aws_iot_topic_rule: ['name', /^\w{1,128}$/],
  aws_kinesis_stream: ['name', /^[\w.-]{1,128}$/],
  aws_kms_alias: ['name', /^alias\/[\w/-]{1,250}$/],
  aws_lambda_function: ['function_name', /^[\w-]{1,64}$/],
  aws_lb: ['name', /^(?!internal-)[A-Za-z0-9]([A-Za-z0-9-]{0,30}[A-Za-z0-9])?$/],
  aws_lb_target_group: ['name', /^[A-Za-z0-9]([A-Za-z0-9-]{0,30}[A-Za-z0-9])?$/],
  aws_s3_bucket: ['bucket', /^(?!.*\.\.)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/],
  aws_sagemaker_endpoint: ['name', /^[A-Za-z0-9](-*[A-Za-z0-9]){0,62}$/],
  aws_secretsmanager_secret: ['name', /^[\w/+=.@-]{1,512}$/],
  aws_security_group: ['name', /^(?!sg-)[\w ._:/()#,@[\]+=&;{}!$*-]{1,255}$/],
  aws_service_discovery_private_dns_namespace: [
    'name',
    /^(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+internal$/,
  ],
  aws_service_discovery_service: ['name', /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/],
  aws_sns_topic: ['name', /^[\w-]{1,256}$/],
  aws_sqs_queue: ['name', /^[\w-]{1,80}$/],
  aws_ssm_parameter: ['name', /^(?!\/(aws|ssm))[\w./-]{1,1011}$/],
  aws_wafv2_web_acl: ['name', /^[\w-]{1,128}$/],
};

/** Names within one of those that have a name of the site: a role's policies, a cluster's services, the names in a namespace. */
const WITHIN_ANOTHER = new Set([
  ...['aws_iam_role_policy', 'aws_appautoscaling_policy', 'aws_ecs_service', 'aws_service_discovery_service'],
]);

describe('names at AWS', () => {
  const sites = ['a-site-of-many-letters-x', 'aws-cognito', 'aa'];

  it.each(sites)('of the site %s are what each service takes', (site) => {
    for (const resource of named(site, 'staging')) {
      const [attribute, form] = FORMS[resource.type]!;
      expect({ type: resource.type, name: resource.is[attribute] }).toEqual({
        type: resource.type,
        name: expect.stringMatching(form),
      });
    }
  });

  it('have a form for each type that is named', () => {
    const { resources } = synthesized(withSite('aa', 'dev'));
    const unknown = resources.filter(({ type, is }) => typeof is['name'] === 'string' && !(type in FORMS));
    // The name of a zone or record is the environment's domain; an alarm of requests is within its bucket.
    expect(new Set(unknown.map(({ type }) => type))).toEqual(
      new Set([
        'aws_route53_record',
        'aws_route53_zone',
        'aws_s3_bucket_metric',
        'aws_cognito_user_group',
        'aws_cognito_user_pool_client',
      ]),
    );
  });

  it('are never those of another site or stage, although their names begin alike', () => {
    const environments = [
      ['aa', 'dev'],
      ['aa', 'prod'],
      ['aa-dev', 'prod'],
      ['aa-metrics', 'dev'],
      ['a-site-of-many-letters-x', 'prod'],
      ['a-site-of-many-letters-y', 'prod'],
    ] as const;
    const names = environments.flatMap(([site, stage]) =>
      named(site, stage)
        .filter(({ type }) => !WITHIN_ANOTHER.has(type))
        .map(({ type, is }) => `${type} ${String(is[FORMS[type]![0]])}`),
    );
    const twice = names.filter((name, index) => names.indexOf(name) !== index);
    expect(twice).toEqual([]);
  });
});

function withSite(site: string, stage: 'dev' | 'staging' | 'prod') {
  return changed(dev, { site, stage, accounts: { aws: ACCOUNT } });
}

function named(site: string, stage: 'dev' | 'staging' | 'prod'): readonly Resource[] {
  return synthesized(withSite(site, stage)).resources.filter(({ type }) => type in FORMS);
}
