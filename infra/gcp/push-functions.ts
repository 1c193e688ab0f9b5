import { Fn, type TerraformVariable } from 'cdktf';
import { Construct } from 'constructs';
import { CloudRunV2ServiceIamMember } from '@cdktf/provider-google/lib/cloud-run-v2-service-iam-member/index.js';
import { CloudRunV2Service } from '@cdktf/provider-google/lib/cloud-run-v2-service/index.js';
import { ComputeFirewall } from '@cdktf/provider-google/lib/compute-firewall/index.js';
import { PubsubSubscriptionIamMember } from '@cdktf/provider-google/lib/pubsub-subscription-iam-member/index.js';
import {
  PubsubSubscription,
  type PubsubSubscriptionConfig,
} from '@cdktf/provider-google/lib/pubsub-subscription/index.js';
import { PubsubTopicIamMember } from '@cdktf/provider-google/lib/pubsub-topic-iam-member/index.js';
import { PubsubTopic } from '@cdktf/provider-google/lib/pubsub-topic/index.js';
import { SecretManagerSecretIamMember } from '@cdktf/provider-google/lib/secret-manager-secret-iam-member/index.js';
import { ServiceAccountIamMember } from '@cdktf/provider-google/lib/service-account-iam-member/index.js';
import { ServiceAccount } from '@cdktf/provider-google/lib/service-account/index.js';
import { PLATFORM_PORT } from './broker-start.ts';
import type { DataStack } from './data-stack.ts';
import type { FoundationStack } from './foundation-stack.ts';
import type { GcpStack } from './gcp-stack.ts';
import { serviceName } from './resource-names.ts';
import { serviceAccountId } from './service-account-id.ts';

/** The folder of services/functions. */
const FUNCTION = 'sensor-data-processor';
/** Whose image has its code. */
const IMAGE = 'ingestion-service';
const PROGRAM = `services/functions/${FUNCTION}/gcp/main.ts`;
const SENSOR_DATA = 'sensor-data';
const SENSOR_DATA_FAILED = `${SENSOR_DATA}-failed`;
const FOLDER = '/etc/tribo/relay';
const PORT = 8080;

const DAY_S = 86_400;
const KEPT_S = 14 * DAY_S;
/** A call makes three attempts of ten seconds at most. */
const CALL_S = 60;
/** With the waits below about forty minutes: a broker is made anew in five. */
const MOST_ATTEMPTS = 10;
const WAITS = { minimumBackoff: '10s', maximumBackoff: '600s' };
/** As few as may be: what is published to the topic must not take the broker from the devices. */
const MOST_INSTANCES = 4;
const CALLS_AT_ONCE = 40;

interface Parts {
  readonly foundation: FoundationStack;
  readonly data: DataStack;
  readonly digests: TerraformVariable;
  /** Where the platform reaches the broker. */
  readonly brokerUrl: string;
}

/**
 * The serverless path: a topic for programs that send readings of devices, and what publishes them to the broker which the device gateway reads. It is
 * run for what comes, is nothing between, and Pub/Sub alone calls it. What it does not take is kept apart in the end, and somebody is called.
 */
export class PushFunctions extends Construct {
  /** Of what is still to be handed on. */
  readonly waiting: PubsubSubscription;
  /** Of what could not be. */
  readonly failed: PubsubSubscription;
  readonly #stack: GcpStack;
  readonly #parts: Parts;

  constructor(scope: GcpStack, id: string, parts: Parts) {
    super(scope, id);
    this.#stack = scope;
    this.#parts = parts;
    const topic = this.#topic(SENSOR_DATA);
    const failedTopic = this.#topic(SENSOR_DATA_FAILED);
    this.failed = this.#subscription(failedTopic, SENSOR_DATA_FAILED, {});
    const run = this.#service();
    const caller = this.#caller(run);
    const pubsub = scope.serviceAgent('pubsub');
    const keeps = new PubsubTopicIamMember(this, 'keeps', {
      topic: failedTopic.name,
      role: 'roles/pubsub.publisher',
      member: pubsub,
    });
    this.waiting = this.#subscription(topic, SENSOR_DATA, {
      pushConfig: {
        pushEndpoint: run.uri,
        oidcToken: { serviceAccountEmail: caller.email, audience: run.uri },
      },
      ackDeadlineSeconds: CALL_S,
      retryPolicy: WAITS,
      deadLetterPolicy: { deadLetterTopic: failedTopic.id, maxDeliveryAttempts: MOST_ATTEMPTS },
      dependsOn: [keeps, this.failed],
    });
    new PubsubSubscriptionIamMember(this, 'moves', {
      subscription: this.waiting.name,
      role: 'roles/pubsub.subscriber',
      member: pubsub,
    });
  }

  #topic(part: string): PubsubTopic {
    const { site } = this.#stack;
    return new PubsubTopic(this, `${part}-topic`, {
      name: site.names.of(part),
      kmsKeyName: this.#parts.foundation.key.keyName,
      messageStoragePolicy: { allowedPersistenceRegions: [site.region] },
    });
  }

  #subscription(topic: PubsubTopic, part: string, how: Partial<PubsubSubscriptionConfig>): PubsubSubscription {
    return new PubsubSubscription(this, part, {
      name: this.#stack.site.names.of(part),
      topic: topic.id,
      messageRetentionDuration: `${KEPT_S}s`,
      ackDeadlineSeconds: CALL_S,
      // Else one that nothing comes to for a month is forgotten.
      expirationPolicy: { ttl: '' },
      ...how,
    });
  }

  #service(): CloudRunV2Service {
    const { site } = this.#stack;
    const { foundation, digests } = this.#parts;
    const { vpc, services } = foundation.network;
    const account = this.#account('relay', 'Publishes readings to the broker');
    const secrets = this.#secrets(account);
    return new CloudRunV2Service(this, FUNCTION, {
      name: serviceName(site.names, FUNCTION),
      location: site.region,
      description: 'Hands readings that are published to the topic to intake',
      deletionProtection: false,
      // Pub/Sub of the project is within, and nobody outside.
      ingress: 'INGRESS_TRAFFIC_INTERNAL_ONLY',
      template: {
        serviceAccount: account.email,
        encryptionKey: foundation.key.keyName,
        executionEnvironment: 'EXECUTION_ENVIRONMENT_GEN2',
        timeout: `${CALL_S}s`,
        maxInstanceRequestConcurrency: CALLS_AT_ONCE,
        scaling: { minInstanceCount: 0, maxInstanceCount: MOST_INSTANCES },
        vpcAccess: {
          egress: 'ALL_TRAFFIC',
          networkInterfaces: [{ network: vpc.id, subnetwork: services.id, tags: [this.#letToBroker()] }],
        },
        containers: [
          {
            name: FUNCTION,
            image: foundation.imageRegistry.image(IMAGE, Fn.lookup(digests.value, IMAGE) as string),
            command: ['node'],
            args: [PROGRAM],
            env: Object.entries(this.#settings()).map(([name, value]) => ({ name, value })),
            resources: { limits: { cpu: '1', memory: '512Mi' }, cpuIdle: true, startupCpuBoost: true },
            ports: { name: 'http1', containerPort: PORT },
            startupProbe: {
              ...{ httpGet: { path: '/health/live', port: PORT }, periodSeconds: 2, timeoutSeconds: 2 },
              failureThreshold: 30,
            },
            volumeMounts: secrets.map(({ name, folder }) => ({ name, mountPath: folder })),
          },
        ],
        volumes: secrets.map(({ name, file, secretId }) => ({
          name,
          secret: { secret: secretId, items: [{ path: file, version: 'latest' }] },
        })),
      },
      traffic: [{ type: 'TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST', percent: 100 }],
      // Cloud Run looks whether the account may read what it mounts.
      dependsOn: secrets.map(({ right }) => right),
    });
  }

  #settings(): Readonly<Record<string, string>> {
    const { environment } = this.#stack.site;
    return {
      TRIBO_BROKER_URL: this.#parts.brokerUrl,
      TRIBO_BROKER_CA_FILE: pathOf('ca.pem'),
      TRIBO_BROKER_CERTIFICATE_FILE: pathOf('relay.pem'),
      TRIBO_BROKER_KEY_FILE: pathOf('relay.key'),
      TRIBO_TENANT: environment.tenants[0]!,
      TRIBO_SITE: environment.site,
    };
  }

  /** What it has to speak to the broker with, which is all that it may read. */
  #secrets({ member }: ServiceAccount) {
    return [...this.#parts.data.brokerCertificates.relay].map(([file, { secretId }]) => {
      const name = `mqtt-${file.replace('.', '-')}`;
      const role = 'roles/secretmanager.secretAccessor';
      const right = new SecretManagerSecretIamMember(this, `reads-${name}`, { secretId, role, member });
      return { name, file, secretId, right, folder: folderOf(file) };
    });
  }

  /** To the broker and nowhere else; returns the tag by which the network knows the function. */
  #letToBroker(): string {
    const { names } = this.#stack.site;
    const { network } = this.#parts.foundation;
    const tag = names.of('relay', 63);
    new ComputeFirewall(this, 'to-brokers', {
      name: names.of('relay-to-brokers', 63),
      network: network.vpc.id,
      description: 'The function to the brokers',
      direction: 'EGRESS',
      allow: [{ protocol: 'tcp', ports: [String(PLATFORM_PORT)] }],
      targetTags: [tag],
      destinationRanges: [network.brokers.ipCidrRange],
    });
    return tag;
  }

  /** As whom Pub/Sub calls: by a token that Google signs, which Cloud Run looks at before the function runs. */
  #caller({ name, location }: CloudRunV2Service): ServiceAccount {
    const caller = this.#account('pusher', 'Calls sensor-data-processor on behalf of Pub/Sub');
    new CloudRunV2ServiceIamMember(this, 'calls', { name, location, role: 'roles/run.invoker', member: caller.member });
    new ServiceAccountIamMember(this, 'signs', {
      serviceAccountId: caller.name,
      role: 'roles/iam.serviceAccountOpenIdTokenCreator',
      member: this.#stack.serviceAgent('pubsub'),
    });
    return caller;
  }

  #account(part: string, description: string): ServiceAccount {
    const { names } = this.#stack.site;
    return new ServiceAccount(this, `${part}-account`, {
      accountId: serviceAccountId(names, part),
      displayName: `${names.base}: ${part}`,
      description,
    });
  }
}

/** Cloud Run has a folder a secret. */
function folderOf(file: string): string {
  return `${FOLDER}/${file.replace('.', '-')}`;
}

function pathOf(file: 'ca.pem' | 'relay.pem' | 'relay.key'): string {
  return `${folderOf(file)}/${file}`;
}
