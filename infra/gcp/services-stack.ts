import { Fn } from 'cdktf';
import type { Construct } from 'constructs';
import { Manifest } from '@cdktf/provider-kubernetes/lib/manifest/index.js';
import type { NamespaceV1 } from '@cdktf/provider-kubernetes/lib/namespace-v1/index.js';
import { KubernetesProvider } from '@cdktf/provider-kubernetes/lib/provider/index.js';
import { MOST_COPIES_TIMES } from '../copies.ts';
import { imageDigests } from '../image-digests.ts';
import type { Cluster, SecretFolder, Way } from '../kubernetes/cluster.ts';
import { KubernetesServices } from '../kubernetes/kubernetes-services.ts';
import { letPipelineRoll } from '../kubernetes/roll-rights.ts';
import type { ServicesParts } from '../platform.ts';
import { SERVICE_PORTS } from '../service-ports.ts';
import type { Site } from '../site.ts';
import { ApiGatewayRoute } from './api-gateway-route.ts';
import type { AutopilotCluster } from './autopilot-cluster.ts';
import { PLATFORM_PORT } from './broker-start.ts';
import { FRONT_ENDS } from './cluster-firewall.ts';
import type { ClusterFront } from './cluster-front.ts';
import { startWithAuthority } from './container.ts';
import type { DataStack } from './data-stack.ts';
import type { FoundationStack } from './foundation-stack.ts';
import { GcpStack } from './gcp-stack.ts';
import { KAFKA_PORT } from './kafka-event-stream.ts';
import { SECRETS_FOLDER } from './mqtt-device-gateway.ts';
import type { GcpPorts } from './ports.ts';
import { DATABASE_PORT } from './postgres-database.ts';
import type { PrivateSecret } from './private-secret.ts';

const PASSWORD_FILE = 'database-password';
const LINK_KEY_FILE = 'link-key';
/** Who a pod is at Google it asks there, and the names of others: on its own node. */
const METADATA_SERVER = '169.254.169.254/32';
/** Where the node answers for the metadata server, and remembers names. */
const METADATA_ON_NODE = '169.254.169.252/32';
const NAMES_ON_NODE = '169.254.20.10/32';
/** Who answers for names in the cluster: as Dataplane V2 hands a question to the pod on the node, that has to be let through by what it is. */
const NAME_PODS = ['kube-dns', 'node-local-dns'].map((systemApp) => ({ systemApp }));
/** Where the metadata server answers pods. */
const METADATA_PORTS = [80, 988] as const;
const DNS = 53;
/** What Autopilot notes on what it runs. */
const NOTES = ['autopilot\\.gke\\.io/.*', 'cloud\\.google\\.com/.*', 'networking\\.gke\\.io/.*'];

interface Parts {
  readonly foundation: FoundationStack;
  readonly data: DataStack;
  readonly cluster: AutopilotCluster;
  readonly front: ClusterFront;
  readonly ports: GcpPorts;
}

/**
 * What runs in the cluster: its state is apart from the cluster's, as Terraform has to reach the cluster before it plans what is in it. Whoever
 * applies it has `gke-gcloud-auth-plugin`, so that no token of the cluster is in a state.
 */
export class ServicesStack extends GcpStack implements ServicesParts {
  readonly services: KubernetesServices;
  readonly ingress: ApiGatewayRoute;
  readonly #parts: Parts;

  constructor(scope: Construct, site: Site, parts: Parts) {
    super(scope, 'services', site);
    this.#parts = parts;
    const { cluster, namespace } = parts.cluster;
    new KubernetesProvider(this, 'kubernetes', {
      // A name of Google's, with a certificate that everybody knows.
      host: `https://${cluster.controlPlaneEndpointsConfig.dnsEndpointConfig.endpoint}`,
      exec: [
        {
          apiVersion: 'client.authentication.k8s.io/v1beta1',
          command: 'gke-gcloud-auth-plugin',
          args: ['--use_application_default_credentials'],
        },
      ],
      ignoreAnnotations: NOTES,
    });
    const digests = imageDigests(this);
    const { imageRegistry } = parts.foundation;
    this.services = new KubernetesServices(
      this,
      'services',
      this.#cluster((service) => imageRegistry.image(service, Fn.lookup(digests.value, service) as string)),
      (inside) => site.demand.services.map(({ service }) => this.#secretsOf(service, inside)),
    );
    letPipelineRoll(this, this.services.namespace, namespace, {
      kind: 'User',
      name: Fn.trimprefix(parts.foundation.ciIdentity.member, 'serviceAccount:'),
    });
    this.ingress = new ApiGatewayRoute(this, 'ingress', {
      namespace,
      domain: site.environment.domain,
      front: parts.front.parts,
      dependsOn: [this.services.namespace],
    });
  }

  #cluster(image: (service: string) => string): Cluster {
    const { site } = this;
    const { cluster, data, ports } = this.#parts;
    return {
      site,
      namespace: cluster.namespace,
      namespaceLabels: {},
      services: site.demand.services,
      mostCopies: ({ service, copies, isAlone }) =>
        isAlone || isGateway(service) ? copies : copies * MOST_COPIES_TIMES,
      // Brokers know the platform by one name, which two copies would take from each other.
      stopsFirst: isGateway,
      image,
      identity: (service) => ({
        annotations: { 'iam.gke.io/gcp-service-account': cluster.accounts.get(service)!.email },
        labels: {},
      }),
      secrets: secretFolder,
      variables: () => ({
        TRIBO_PORTS: Fn.jsonencode(ports),
        TRIBO_LINK_KEY_FILE: `${SECRETS_FOLDER}/${LINK_KEY_FILE}`,
        DATABASE_AUTHORITY: data.database.authority,
      }),
      command: (service) => {
        const [shell = '', flag = '', script = ''] = startWithAuthority(service);
        return [shell, flag, `export PGPASSWORD="$(cat ${SECRETS_FOLDER}/${PASSWORD_FILE})" && ${script}`];
      },
      ways: (service) => this.#ways(service),
      balancers: FRONT_ENDS,
      tolerations: [{ key: 'kubernetes.io/arch', value: 'amd64' }],
    };
  }

  #ways(service: string): readonly Way[] {
    const { network } = this.#parts.foundation;
    const names = (protocol: 'TCP' | 'UDP') =>
      [METADATA_SERVER, NAMES_ON_NODE, ...NAME_PODS].map((to): Way => ({ to, protocol, ports: [DNS] }));
    return [
      ...names('UDP'),
      ...names('TCP'),
      ...[METADATA_SERVER, METADATA_ON_NODE].map((to): Way => ({ to, protocol: 'TCP', ports: METADATA_PORTS })),
      // Services of Google, and issuers of tokens.
      { to: '0.0.0.0/0', protocol: 'TCP', ports: [443] },
      ...network.databaseRanges.map((to) => ({ to, protocol: 'TCP' as const, ports: [DATABASE_PORT] })),
      ...(network.streams ? [{ to: network.streams.ipCidrRange, protocol: 'TCP' as const, ports: [KAFKA_PORT] }] : []),
      ...(isGateway(service)
        ? [{ to: network.brokers.ipCidrRange, protocol: 'TCP' as const, ports: [PLATFORM_PORT] }]
        : []),
    ];
  }

  /** What of the secret store a service finds as it starts: as its own account, which may read no other. */
  #secretsOf(service: string, namespace: NamespaceV1): Manifest {
    const { data, cluster } = this.#parts;
    const secrets: readonly (readonly [file: string, secret: PrivateSecret])[] = [
      [PASSWORD_FILE, data.database.password],
      [LINK_KEY_FILE, data.linkKey],
      ...(isGateway(service) ? data.brokerCertificates.gateway : []),
    ];
    return new Manifest(this, `${service}-secrets`, {
      manifest: {
        apiVersion: 'secrets-store.csi.x-k8s.io/v1',
        kind: 'SecretProviderClass',
        metadata: { name: service, namespace: cluster.namespace },
        spec: {
          provider: 'gke',
          // A text of YAML, which JSON is too.
          parameters: {
            secrets: JSON.stringify(
              secrets.map(([path, { secretId }]) => ({
                resourceName: `projects/${this.project}/secrets/${secretId}/versions/latest`,
                path,
              })),
            ),
          },
        },
      },
      dependsOn: [namespace],
    });
  }
}

function secretFolder(service: string): SecretFolder {
  return {
    mountPath: SECRETS_FOLDER,
    driver: 'secrets-store-gke.csi.k8s.io',
    attributes: { secretProviderClass: service },
  };
}

function isGateway(service: string): boolean {
  return SERVICE_PORTS[service]!.includes('deviceGateway');
}
