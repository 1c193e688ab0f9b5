import { describe, expect, it } from '@jest/globals';
import { changed, namedInAny, shipped, type NamedResource } from '../testing/synthesized.ts';
import { inCluster, withKafka, withModels, withWarehouse } from '../testing/variations.ts';

const dev = shipped('gent.dev');
/** Together they have all that has a name: containers with an endpoint of models and tables over what is archived, and a cluster with Kafka. */
const WAYS = [withWarehouse(withModels(dev)), inCluster(withKafka(dev))];
const COMPUTE = /^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$/;

/** What a service takes as a name: its attribute, its form and its length. From the pages of the provider's resources, and of the services. */
const FORMS: Readonly<Record<string, readonly [attribute: string, form: RegExp]>> = {
  google_artifact_registry_repository: ['repository_id', /^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$/],
  google_bigquery_connection: ['connection_id', /^[A-Za-z0-9][\w-]{0,62}$/],
  google_bigquery_dataset: ['dataset_id', /^\w{1,1024}$/],
  google_certificate_manager_certificate: ['name', COMPUTE],
  google_certificate_manager_certificate_map: ['name', COMPUTE],
  google_certificate_manager_dns_authorization: ['name', COMPUTE],
  google_cloud_quotas_quota_preference: ['name', /^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$/],
  google_cloud_run_v2_service: ['name', /^[a-z]([a-z0-9-]{0,47}[a-z0-9])?$/],
  google_compute_address: ['name', COMPUTE],
  google_compute_backend_service: ['name', COMPUTE],
  google_compute_firewall: ['name', COMPUTE],
  google_compute_forwarding_rule: ['name', COMPUTE],
  google_compute_global_address: ['name', COMPUTE],
  google_compute_global_forwarding_rule: ['name', COMPUTE],
  google_compute_health_check: ['name', COMPUTE],
  google_compute_instance_group_manager: ['base_instance_name', /^[a-z][a-z0-9-]{0,57}$/],
  google_compute_instance_template: ['name_prefix', /^[a-z][a-z0-9-]{0,36}$/],
  google_compute_network: ['name', COMPUTE],
  google_compute_region_backend_service: ['name', COMPUTE],
  google_compute_region_health_check: ['name', COMPUTE],
  google_compute_region_network_endpoint_group: ['name', COMPUTE],
  google_compute_router: ['name', COMPUTE],
  google_compute_router_nat: ['name', COMPUTE],
  google_compute_security_policy: ['name', COMPUTE],
  google_compute_ssl_policy: ['name', COMPUTE],
  google_compute_subnetwork: ['name', COMPUTE],
  google_compute_target_http_proxy: ['name', COMPUTE],
  google_compute_target_https_proxy: ['name', COMPUTE],
  google_compute_url_map: ['name', COMPUTE],
  google_container_cluster: ['name', /^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$/],
  google_dns_managed_zone: ['name', COMPUTE],
  google_iam_workload_identity_pool: ['workload_identity_pool_id', /^(?!gcp-)[a-z0-9-]{4,32}$/],
  google_kms_key_ring: ['name', /^[\w-]{1,63}$/],
  google_logging_project_bucket_config: ['bucket_id', /^[\w][\w.-]{0,99}$/],
  google_logging_project_exclusion: ['name', /^[A-Za-z][\w.-]{0,99}$/],
  google_logging_project_sink: ['name', /^[\w.-]{1,100}$/],
  google_managed_kafka_cluster: ['cluster_id', /^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$/],
  google_monitoring_custom_service: ['service_id', /^[a-z0-9-]{1,63}$/],
  google_project_iam_custom_role: ['role_id', /^[\w.]{3,64}$/],
  google_pubsub_subscription: ['name', /^(?!goog)[A-Za-z][\w.~+%-]{2,254}$/],
  google_pubsub_topic: ['name', /^(?!goog)[A-Za-z][\w.~+%-]{2,254}$/],
  google_secret_manager_secret: ['secret_id', /^[\w-]{1,255}$/],
  google_service_account: ['account_id', /^[a-z][a-z0-9-]{4,28}[a-z0-9]$/],
  google_sql_database_instance: ['name', /^[a-z][a-z0-9-]{0,66}[a-z0-9]$/],
  google_vertex_ai_endpoint: ['name', /^[1-9]\d{8}$/],
  google_storage_bucket: ['name', /^(?!goog)[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/],
};

/** Names that are within one of those with a name of the site, or of nothing that two sites share. */
const WITHIN_ANOTHER = [
  ...['google_certificate_manager_certificate_map_entry', 'google_dns_record_set', 'google_kms_crypto_key'],
  ...['google_cloud_run_v2_service_iam_member', 'google_sql_database', 'google_sql_user'],
];

describe('names at Google Cloud', () => {
  it.each(['a-site-of-many-letters-x', 'gcp-site', 'aa'])('of the site %s are what each service takes', (site) => {
    for (const { type, name } of named(site, 'staging'))
      expect({ type, name }).toEqual({ type, name: expect.stringMatching(FORMS[type]![1]) });
  });

  it('have a form for each type that is named, and for no other', () => {
    const found = all('aa', 'dev');
    const unknown = found.filter(({ type }) => !(type in FORMS));
    expect(new Set(unknown.map(({ type }) => type))).toEqual(new Set(WITHIN_ANOTHER));
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
    // Zones of names that are within another network, and rules of one, may be called alike nowhere either.
    const names = environments.flatMap(([site, stage]) =>
      named(site, stage).map(({ type, name }) => `${type} ${name}`),
    );
    expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
  });
});

function all(site: string, stage: 'dev' | 'staging' | 'prod'): readonly NamedResource[] {
  const environments = WAYS.map((way) => changed(way, { site, stage }));
  return namedInAny(environments, 'gcp', (type) => FORMS[type]?.[0]);
}

/** With a project's number in place of the reference, as long as such are. */
function named(...of: Parameters<typeof all>): readonly NamedResource[] {
  return all(...of)
    .filter(({ type }) => type in FORMS)
    .map(({ type, name }) => ({ type, name: name.replace('${data.google_project.project.number}', '123456789012') }));
}
