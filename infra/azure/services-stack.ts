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
import { startCommand } from '../service-settings.ts';
import { hasKafka, type Site } from '../site.ts';
import type { AksCluster } from './aks-cluster.ts';
import { AzureState } from './azure-stack.ts';
import type { DataStack } from './data-stack.ts';
import type { FoundationStack } from './foundation-stack.ts';
import type { Ingress } from './ingress.ts';
import { KAFKA_PORT } from './kafka-event-stream.ts';
import type { AzurePorts } from './ports.ts';
import { PrivateApiRoute } from './private-api-route.ts';

const SECRETS_FOLDER = '/etc/tribo/secrets';
const PASSWORD_FILE = 'database-password';
const LINK_KEY_FILE = 'link-key';
/** As which Entra ID knows the control planes of all clusters: https://azure.github.io/kubelogin/concepts/aks.html */
const CONTROL_PLANES = '6dae42f8-4368-4678-94ff-3960e28e3630';
/** Who answers for names in the cluster. */
const NAME_PODS = { systemApp: 'kube-dns' };
const DNS = 53;
/** HTTPS, and the AMQP of Event Hubs and of the hub of devices, by TLS too. */
const TLS_PORTS = [443, 5671] as const;
const POSTGRES_PORTS = [5432, 6432] as const;

interface Parts {
  readonly foundation: FoundationStack;
  readonly data: DataStack;
  readonly cluster: AksCluster;
  readonly ingress: Ingress;
  readonly ports: AzurePorts;
}

/**
 * What runs in the cluster: its state is apart from the cluster's, as Terraform has to reach the cluster before it plans what is in it. Whoever
 * applies it is within the network of the site and has `kubelogin`, so that no token of the cluster is in a state.
 */
export class ServicesStack extends AzureState implements ServicesParts {
  readonly services: KubernetesServices;
  readonly ingress: PrivateApiRoute;
  readonly #parts: Parts;

  constructor(scope: Construct, site: Site, parts: Parts) {
    super(scope, 'services', site);
    this.#parts = parts;
    const { foundation } = parts;
    const { cluster, namespace } = parts.cluster;
    const { host, clusterCaCertificate } = cluster.kubeConfig.get(0);
    new KubernetesProvider(this, 'kubernetes', {
      host,
      clusterCaCertificate: Fn.base64decode(clusterCaCertificate),
      exec: [
        {
          apiVersion: 'client.authentication.k8s.io/v1beta1',
          command: 'kubelogin',
          args: ['get-token', '--login', 'azurecli', '--server-id', CONTROL_PLANES],
        },
      ],
    });
    const digests = imageDigests(this);
    const { loginServer } = foundation.imageRegistry.registry;
    this.services = new KubernetesServices(
      this,
      'services',
      this.#cluster((service) => `${loginServer}/${service}@${Fn.lookup(digests.value, service) as string}`),
      (inside) => site.demand.services.map(({ service }) => this.#secretsOf(service, inside)),
    );
    // As which Entra ID tells the cluster that the pipeline comes.
    letPipelineRoll(this, this.services.namespace, namespace, {
      kind: 'User',
      name: foundation.ciIdentity.principalId,
    });
    this.ingress = new PrivateApiRoute(this, 'ingress', {
      cluster: parts.cluster,
      frontDoor: parts.ingress.frontDoor,
      range: foundation.network.ranges.services,
      dependsOn: [this.services.namespace],
    });
  }

  #cluster(image: (service: string) => string): Cluster {
    const { site } = this;
    const { cluster, foundation, ports } = this.#parts;
    return {
      site,
      namespace: cluster.namespace,
      namespaceLabels: {},
      services: site.demand.services,
      mostCopies: ({ copies, isAlone }) => (isAlone ? copies : copies * MOST_COPIES_TIMES),
      stopsFirst: () => false,
      image,
      identity: (service) => ({
        annotations: { 'azure.workload.identity/client-id': this.#clientId(service) },
        labels: { 'azure.workload.identity/use': 'true' },
      }),
      secrets: secretFolder,
      variables: () => ({
        TRIBO_PORTS: Fn.jsonencode(ports),
        TRIBO_LINK_KEY_FILE: `${SECRETS_FOLDER}/${LINK_KEY_FILE}`,
      }),
      command: (service) => {
        const [shell = '', flag = '', script = ''] = startCommand(service);
        return [shell, flag, `export PGPASSWORD="$(cat ${SECRETS_FOLDER}/${PASSWORD_FILE})" && ${script}`];
      },
      ways: () => this.#ways(),
      // The private link calls from an address of that subnet.
      balancers: [foundation.network.ranges.services],
      tolerations: [],
    };
  }

  #ways(): readonly Way[] {
    const { network } = this.#parts.foundation;
    return [
      { to: NAME_PODS, protocol: 'UDP', ports: [DNS] },
      { to: NAME_PODS, protocol: 'TCP', ports: [DNS] },
      // Services of Azure, and issuers of tokens.
      { to: '0.0.0.0/0', protocol: 'TCP', ports: TLS_PORTS },
      { to: network.ranges.data, protocol: 'TCP', ports: POSTGRES_PORTS },
      ...(hasKafka(this.site) ? [{ to: network.ranges.endpoints, protocol: 'TCP' as const, ports: [KAFKA_PORT] }] : []),
    ];
  }

  /** What of the vault of keys a service finds as it starts: as its own identity, which may read no other secret. */
  #secretsOf(service: string, inside: NamespaceV1): Manifest {
    const { foundation, data, cluster } = this.#parts;
    const secrets = [
      { objectName: data.database.password.name, objectType: 'secret', objectAlias: PASSWORD_FILE },
      { objectName: data.linkKey.secret.name, objectType: 'secret', objectAlias: LINK_KEY_FILE },
    ];
    return new Manifest(this, `${service}-secrets`, {
      manifest: {
        apiVersion: 'secrets-store.csi.x-k8s.io/v1',
        kind: 'SecretProviderClass',
        metadata: { name: service, namespace: cluster.namespace },
        spec: {
          provider: 'azure',
          parameters: {
            usePodIdentity: 'false',
            useVMManagedIdentity: 'false',
            clientID: this.#clientId(service),
            tenantId: this.tenantId,
            keyvaultName: foundation.key.vault.vault.name,
            // A text of YAML with texts of YAML in it, which JSON is too.
            objects: JSON.stringify({ array: secrets.map((secret) => JSON.stringify(secret)) }),
          },
        },
      },
      dependsOn: [inside],
    });
  }

  #clientId(service: string): string {
    return this.#parts.cluster.identities.byService.get(service)!.identity.clientId;
  }
}

function secretFolder(service: string): SecretFolder {
  return {
    mountPath: SECRETS_FOLDER,
    driver: 'secrets-store.csi.k8s.io',
    attributes: { secretProviderClass: service },
  };
}
