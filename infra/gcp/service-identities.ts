import { Construct } from 'constructs';
import { ProjectIamCustomRole } from '@cdktf/provider-google/lib/project-iam-custom-role/index.js';
import { ProjectIamMember } from '@cdktf/provider-google/lib/project-iam-member/index.js';
import { PubsubTopicIamMember } from '@cdktf/provider-google/lib/pubsub-topic-iam-member/index.js';
import { SecretManagerSecretIamMember } from '@cdktf/provider-google/lib/secret-manager-secret-iam-member/index.js';
import { ServiceAccount } from '@cdktf/provider-google/lib/service-account/index.js';
import { StorageBucketIamMember } from '@cdktf/provider-google/lib/storage-bucket-iam-member/index.js';
import { gcsObjectStorePermissions } from '../../adapters/gcp/gcs-object-store/permissions.ts';
import { pubsubEventStreamPermissions } from '../../adapters/gcp/pubsub-event-stream/permissions.ts';
import { pubsubNotifierPermissions } from '../../adapters/gcp/pubsub-notifier/permissions.ts';
import { secretManagerSecretStorePermissions } from '../../adapters/gcp/secret-manager-secret-store/permissions.ts';
import { vertexAiModelInferencePermissions } from '../../adapters/gcp/vertex-ai-model-inference/permissions.ts';
import { managedKafkaPermissions } from '../../adapters/kafka/kafka-event-stream/permissions.ts';
import type { Grant } from '../../adapters/permissions.ts';
import { INFERENCE_SERVICES, SERVICE_PORTS, type CloudPort } from '../service-ports.ts';
import type { DataStack } from './data-stack.ts';
import type { GcpStack } from './gcp-stack.ts';
import { KafkaEventStream } from './kafka-event-stream.ts';
import type { GcpPorts } from './ports.ts';
import type { PrivateSecret } from './private-secret.ts';
import { PubsubEventStream } from './pubsub-event-stream.ts';
import { serviceAccountId } from './service-account-id.ts';

/** By port what the adapters of a site at Google Cloud declare, with its streams at Pub/Sub; that of devices speaks to brokers, and the database takes a user and a password. */
export const DECLARED: Readonly<Record<CloudPort, readonly Grant[]>> = {
  eventStream: pubsubEventStreamPermissions,
  objectStore: gcsObjectStorePermissions,
  secretStore: secretManagerSecretStorePermissions,
  notifiers: pubsubNotifierPermissions,
  deviceGateway: [],
  deviceRegistry: [],
  database: [],
};

/** Models are run at Google where the environment says so alone. */
type GrantedPort = CloudPort | 'modelInference';

interface Parts {
  readonly data: DataStack;
  readonly ports: GcpPorts;
}

/** An account a service, with what the adapters of its ports declare, on what the ports file names. */
export class ServiceIdentities extends Construct {
  /** By service. */
  readonly accounts: ReadonlyMap<string, ServiceAccount>;
  /** By service the rights to the secrets that it is started with. */
  readonly reads: ReadonlyMap<string, readonly SecretManagerSecretIamMember[]>;
  readonly #stack: GcpStack;
  readonly #parts: Parts;
  /** By port and number of what it declares. */
  readonly #roles = new Map<string, ProjectIamCustomRole>();

  constructor(scope: GcpStack, id: string, parts: Parts) {
    super(scope, id);
    this.#stack = scope;
    this.#parts = parts;
    const { names, demand } = scope.site;
    const { services } = demand;
    this.accounts = new Map(
      services.map(({ service }) => {
        const account = new ServiceAccount(this, service, {
          accountId: serviceAccountId(names, service),
          displayName: `${names.base}: ${service}`,
          description: `What ${service} may do`,
        });
        this.#grant(service, account.member);
        return [service, account];
      }),
    );
    this.reads = new Map(services.map(({ service }) => [service, this.#startRights(service)]));
  }

  /** On each secret whose value a service is started with. */
  #startRights(service: string): readonly SecretManagerSecretIamMember[] {
    const { database, linkKey, brokerCertificates } = this.#parts.data;
    const { member } = this.accounts.get(service)!;
    const mayRead = (part: string, { secretId }: PrivateSecret) =>
      new SecretManagerSecretIamMember(this, `${service}-${part}`, {
        secretId,
        role: 'roles/secretmanager.secretAccessor',
        member,
      });
    const certificates = SERVICE_PORTS[service]!.includes('deviceGateway') ? [...brokerCertificates.gateway] : [];
    return [
      mayRead('database-password', database.password),
      mayRead('link-key', linkKey),
      ...certificates.map(([file, secret]) => mayRead(file.replace('.', '-'), secret)),
    ];
  }

  #grant(service: string, member: string): void {
    for (const port of SERVICE_PORTS[service]!)
      for (const [index, grant] of this.#declared(port).entries())
        if (!grant.isForVerification) this.#bind(`${service}-${port}-${index}`, member, port, grant, index);
    if (this.#parts.ports.modelInference === undefined || !INFERENCE_SERVICES.includes(service)) return;
    for (const [index, grant] of vertexAiModelInferencePermissions.entries())
      this.#bind(`${service}-modelInference-${index}`, member, 'modelInference', grant, index);
  }

  #declared(port: CloudPort): readonly Grant[] {
    const isKafka = port === 'eventStream' && this.#parts.data.eventStream instanceof KafkaEventStream;
    return isKafka ? managedKafkaPermissions : DECLARED[port];
  }

  #bind(id: string, member: string, port: GrantedPort, grant: Grant, index: number): void {
    const role = this.#role(port, grant, index).name;
    const { data, ports } = this.#parts;
    const kind = grant.on.split(' ')[0]!;
    if (kind === 'topics' && data.eventStream instanceof PubsubEventStream) {
      for (const [stream, topic] of data.eventStream.topics)
        new PubsubTopicIamMember(this, `${id}-${stream}`, { topic: topic.name, role, member });
    } else if (kind === 'topic') {
      for (const [at, { topic }] of ports.notifiers.entries())
        new PubsubTopicIamMember(this, `${id}-${at}`, { topic, role, member });
    } else if (kind === 'bucket') {
      new StorageBucketIamMember(this, id, { bucket: ports.objectStore.bucket, role, member });
    } else if (kind === 'project' || kind === 'subscriptions' || kind === 'endpoint') {
      new ProjectIamMember(this, id, { project: this.#stack.project, role, member, ...this.#condition(grant) });
    } else throw new Error(`nothing is known of rights on ${grant.on}`);
  }

  /**
   * Of secrets those of the site alone. Neither Pub/Sub nor Vertex AI has conditions, so that subscriptions and endpoints are those of the project: one
   * environment a project.
   */
  #condition({ actions, on }: Grant) {
    const isOfSecrets = on.startsWith('project') && actions.every((action) => action.startsWith('secretmanager.'));
    // Making one is asked of the project, which has no name of a secret to compare.
    if (!isOfSecrets || actions.includes('secretmanager.secrets.create')) return {};
    const begin = `projects/${this.#stack.projectNumber}/secrets/${this.#parts.ports.secretStore.prefix!}`;
    return {
      condition: {
        title: 'secrets of the site',
        expression: `resource.name.startsWith("${begin}")`,
      },
    };
  }

  #role(port: GrantedPort, { actions }: Grant, index: number): ProjectIamCustomRole {
    const wide = actions.find((action) => action.includes('*'));
    if (wide !== undefined) throw new Error(`${port} asks for ${wide}: rights are told one by one`);
    const key = `${port}-${index}`;
    const known = this.#roles.get(key);
    if (known) return known;
    const { names } = this.#stack.site;
    const role = new ProjectIamCustomRole(this, `role-${key}`, {
      roleId: names.underscored(key, 64),
      title: names.of(key, 100),
      description: `What the adapter of ${port} does`,
      permissions: [...actions],
      stage: 'GA',
    });
    this.#roles.set(key, role);
    return role;
  }
}
