import { describe, expect, it } from '@jest/globals';
import { changed, namedInAny, shipped, type NamedResource } from '../testing/synthesized.ts';
import { inCluster, withAuthorities, withKafka, withModels, withWarehouse } from '../testing/variations.ts';

const dev = shipped('akron.dev');
const ACCOUNT = '123456789012';
/** Together they have all that has a name: containers with an endpoint of models, tables over what is archived and an authority of devices, and a cluster with Kafka. */
const WAYS = [withAuthorities(withWarehouse(withModels(dev))), inCluster(withKafka(dev))];

/** What a service takes as a name: its attribute, its form and its length. From the pages of the provider's resources, and of the services. */
const FORMS: Readonly<Record<string, readonly [attribute: string, form: RegExp]>> = {
  aws_appautoscaling_policy: ['name', /^.{1,256}$/],
  aws_athena_workgroup: ['name', /^[\w.-]{1,128}$/],
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
  aws_eks_cluster: ['name', /^[A-Za-z0-9][\w-]{0,99}$/],
  aws_glue_catalog_database: ['name', /^[a-z0-9_]{1,255}$/],
  aws_iam_role: ['name', /^[\w+=,.@-]{1,64}$/],
  aws_iam_role_policy: ['name', /^[\w+=,.@-]{1,128}$/],
  aws_iot_policy: ['name', /^[\w+=,.@-]{1,128}$/],
  aws_iot_provisioning_template: ['name', /^[\w-]{1,36}$/],
  aws_iot_thing_type: ['name', /^[\w:-]{1,128}$/],
  aws_iot_topic_rule: ['name', /^\w{1,128}$/],
  aws_kinesis_stream: ['name', /^[\w.-]{1,128}$/],
  aws_kms_alias: ['name', /^alias\/[\w/-]{1,250}$/],
  aws_lambda_function: ['function_name', /^[\w-]{1,64}$/],
  aws_lb: ['name', /^(?!internal-)[A-Za-z0-9]([A-Za-z0-9-]{0,30}[A-Za-z0-9])?$/],
  aws_lb_target_group: ['name', /^[A-Za-z0-9]([A-Za-z0-9-]{0,30}[A-Za-z0-9])?$/],
  aws_msk_cluster: ['cluster_name', /^[A-Za-z0-9][A-Za-z0-9-]{0,63}$/],
  aws_msk_configuration: ['name', /^[A-Za-z0-9][A-Za-z0-9-]*$/],
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
    for (const { type, name } of named(site, 'staging'))
      expect({ type, name }).toEqual({ type, name: expect.stringMatching(FORMS[type]![1]) });
  });

  it('have a form for each type that is named, and for no other', () => {
    const found = all('aa', 'dev');
    const unknown = found.filter(({ type }) => !(type in FORMS));
    // The name of a zone or record is the environment's domain; an alarm of requests is within its bucket, and a table within its database.
    expect(new Set(unknown.map(({ type }) => type))).toEqual(
      new Set([
        'aws_route53_record',
        'aws_route53_zone',
        'aws_glue_catalog_table',
        'aws_s3_bucket_metric',
        'aws_cognito_user_group',
        'aws_cognito_user_pool_client',
      ]),
    );
    expect(Object.keys(FORMS).filter((type) => !found.some((each) => each.type === type))).toEqual([]);
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
        .map(({ type, name }) => `${type} ${name}`),
    );
    const twice = names.filter((name, index) => names.indexOf(name) !== index);
    expect(twice).toEqual([]);
  });
});

function all(site: string, stage: 'dev' | 'staging' | 'prod'): readonly NamedResource[] {
  const environments = WAYS.map((way) => changed(way, { site, stage, accounts: { aws: ACCOUNT } }));
  return namedInAny(environments, 'aws', (type) => FORMS[type]?.[0]);
}

function named(...of: Parameters<typeof all>): readonly NamedResource[] {
  return all(...of).filter(({ type }) => type in FORMS);
}
