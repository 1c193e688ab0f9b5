import { Construct } from 'constructs';
import { ProjectService } from '@cdktf/provider-google/lib/project-service/index.js';
import { hasKafka, hasModelEndpoint, hasWarehouse, isKubernetes } from '../site.ts';
import type { GcpStack } from './gcp-stack.ts';

/** The APIs by which all of a site is made. */
const SERVICES = [
  ...['artifactregistry', 'billingbudgets', 'certificatemanager', 'cloudkms', 'cloudresourcemanager', 'compute', 'dns'],
  // By which Terraform finds whom the project is billed to: without it a budget would be nobody's.
  'cloudbilling',
  ...['iam', 'iamcredentials', 'identitytoolkit', 'logging', 'monitoring', 'pubsub', 'run', 'secretmanager'],
  ...['servicenetworking', 'sqladmin', 'storage', 'sts'],
] as const;

/** Where the services run in a cluster. */
const OF_CLUSTERS = ['container'] as const;

/** Where models run behind an endpoint. */
const OF_MODELS = ['aiplatform'] as const;

/** Where the streams are topics of Kafka. */
const OF_KAFKA = ['managedkafka'] as const;

/** Where there are tables over files. */
const OF_WAREHOUSES = ['bigquery', 'bigqueryconnection', 'cloudquotas'] as const;

/** Switches on what the project needs; it stays on when the site goes, as others may use it. */
export class ProjectServices extends Construct {
  /** What has to be there before anything else of the stack. */
  readonly all: readonly ProjectService[];

  constructor(scope: GcpStack, id: string) {
    super(scope, id);
    const { site } = scope;
    this.all = [
      ...SERVICES,
      ...(isKubernetes(site) ? OF_CLUSTERS : []),
      ...(hasModelEndpoint(site) ? OF_MODELS : []),
      ...(hasKafka(site) ? OF_KAFKA : []),
      ...(hasWarehouse(site) ? OF_WAREHOUSES : []),
    ].map(
      (service) =>
        new ProjectService(this, service, {
          service: `${service}.googleapis.com`,
          disableOnDestroy: false,
          disableDependentServices: false,
        }),
    );
  }
}
