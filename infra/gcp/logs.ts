import { Construct } from 'constructs';
import { LoggingProjectBucketConfig } from '@cdktf/provider-google/lib/logging-project-bucket-config/index.js';
import { LoggingProjectExclusion } from '@cdktf/provider-google/lib/logging-project-exclusion/index.js';
import { LoggingProjectSink } from '@cdktf/provider-google/lib/logging-project-sink/index.js';
import { hasModelEndpoint, isKubernetes } from '../site.ts';
import { clusterName, databaseName, endpointId, GATEWAY_PREFIX, serviceName } from './resource-names.ts';
import type { EncryptionKey } from './encryption-key.ts';
import type { GcpStack } from './gcp-stack.ts';
import { secondPlace } from './second-place.ts';

/** What a cluster, its nodes and its pods log as. */
const OF_CLUSTERS = ['cluster', 'control_plane_component', 'node', 'pod', 'container']
  .map((kind) => `"k8s_${kind}"`)
  .join(' OR ');

/** The bucket of the site's logs, in its region, encrypted with its key, kept as long as the environment says; they are in no other. */
export class Logs extends Construct {
  constructor(scope: GcpStack, id: string, { key }: { readonly key: EncryptionKey }) {
    super(scope, id);
    const { site, project } = scope;
    const { names, region, environment } = site;
    const bucket = new LoggingProjectBucketConfig(this, 'bucket', {
      project,
      location: region,
      bucketId: names.base,
      description: `Logs of ${names.base}`,
      retentionDays: environment.retention.logDays,
      cmekSettings: { kmsKeyName: key.keyName },
      dependsOn: [key.access],
    });
    const filter = logsOf(scope);
    // Within a project the router needs no account to write with.
    const sink = new LoggingProjectSink(this, 'sink', {
      name: names.of('logs', 100),
      description: `Logs of ${names.base} to its own bucket`,
      destination: `logging.googleapis.com/${bucket.id}`,
      filter,
      uniqueWriterIdentity: true,
    });
    // Else they were paid for twice, and kept as the project keeps others.
    new LoggingProjectExclusion(this, 'not-by-default', {
      name: names.of('logs', 100),
      description: `Logs of ${names.base} have a bucket of their own`,
      filter,
      dependsOn: [sink],
    });
  }
}

/** What the site's services, database and network say; what is the audit trail goes where that is kept. */
function logsOf({ site, project }: GcpStack): string {
  const { names, demand, environment, region } = site;
  const services = demand.services.map(({ service }) => `"${serviceName(names, service)}"`).join(' OR ');
  const subnets = ['services', 'brokers'].map((part) => `"${names.of(part, 63)}"`).join(' OR ');
  const second = secondPlace(environment);
  const databases = [region, ...(second ? [second.region] : [])]
    .map((of) => `"${project}:${databaseName(site, of)}"`)
    .join(' OR ');
  const anyOf = [
    isKubernetes(site)
      ? `(resource.type=(${OF_CLUSTERS}) AND resource.labels.cluster_name="${clusterName(names)}")`
      : `(resource.type="cloud_run_revision" AND resource.labels.service_name=(${services}))`,
    `(resource.type="cloudsql_database" AND resource.labels.database_id=${second ? `(${databases})` : databases})`,
    `(resource.type="gce_subnetwork" AND resource.labels.subnetwork_name=(${subnets}))`,
    isKubernetes(site)
      ? `(resource.type="http_load_balancer" AND resource.labels.backend_service_name=~"^${GATEWAY_PREFIX}")`
      : `(resource.type="http_load_balancer" AND resource.labels.backend_service_name="${names.of('api', 63)}")`,
    `(resource.type="gce_instance" AND labels."compute.googleapis.com/resource_name"=~"^${names.of('broker', 50)}-")`,
    // Jobs are known by numbers that they get as they start.
    ...(hasModelEndpoint(site)
      ? [
          `(resource.type="aiplatform.googleapis.com/Endpoint" AND resource.labels.endpoint_id="${endpointId(names)}")`,
          'resource.type="ml_job"',
        ]
      : []),
  ];
  return `NOT log_id("cloudaudit.googleapis.com/activity") AND (${anyOf.join(' OR ')})`;
}
