import { Fn } from 'cdktf';
import type { Construct } from 'constructs';
import { KubernetesProvider } from '@cdktf/provider-kubernetes/lib/provider/index.js';
import { imageDigests } from '../image-digests.ts';
import type { Cluster, Way } from '../kubernetes/cluster.ts';
import { KubernetesServices } from '../kubernetes/kubernetes-services.ts';
import { LINK_KEY_FILE, PASSWORD_FILE } from '../kubernetes/start-secrets.ts';
import { tokenBy } from '../kubernetes/token-command.ts';
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
    const { host, clusterCaCertificate } = parts.cluster.cluster.kubeConfig.get(0);
    new KubernetesProvider(this, 'kubernetes', {
      host,
      clusterCaCertificate: Fn.base64decode(clusterCaCertificate),
      exec: tokenBy('kubelogin', 'get-token', '--login', 'azurecli', '--server-id', CONTROL_PLANES),
    });
    this.services = new KubernetesServices(this, 'services', this.#cluster());
    this.ingress = new PrivateApiRoute(this, 'ingress', {
      cluster: parts.cluster,
      frontDoor: parts.ingress.frontDoor,
      range: parts.foundation.network.ranges.services,
      dependsOn: [this.services.namespace],
    });
  }

  #cluster(): Cluster {
    const { cluster, foundation, ports } = this.#parts;
    const { loginServer } = foundation.imageRegistry.registry;
    const digests = imageDigests(this).value as unknown;
    return {
      site: this.site,
      namespace: cluster.namespace,
      namespaceLabels: {},
      stopsFirst: () => false,
      image: (service) => `${loginServer}/${service}@${Fn.lookup(digests, service) as string}`,
      identity: (service) => ({
        annotations: { 'azure.workload.identity/client-id': this.#clientId(service) },
        labels: { 'azure.workload.identity/use': 'true' },
      }),
      secrets: {
        driver: 'secrets-store.csi.k8s.io',
        provider: 'azure',
        parameters: (service) => this.#secrets(service),
      },
      ports: Fn.jsonencode(ports),
      variables: {},
      command: (service) => startCommand(service),
      ways: () => this.#ways(),
      // The private link calls from an address of that subnet.
      balancers: [foundation.network.ranges.services],
      // As which Entra ID tells the cluster that it comes.
      pipeline: { kind: 'User', name: foundation.ciIdentity.principalId },
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

  /** Of the vault of keys. */
  #secrets(service: string): Readonly<Record<string, string>> {
    const { foundation, data } = this.#parts;
    const secrets = [
      { objectName: data.database.password.name, objectType: 'secret', objectAlias: PASSWORD_FILE },
      { objectName: data.linkKey.secret.name, objectType: 'secret', objectAlias: LINK_KEY_FILE },
    ];
    return {
      usePodIdentity: 'false',
      useVMManagedIdentity: 'false',
      clientID: this.#clientId(service),
      tenantId: this.tenantId,
      keyvaultName: foundation.key.vault.vault.name,
      // A text of YAML with texts of YAML in it, which JSON is too.
      objects: JSON.stringify({ array: secrets.map((secret) => JSON.stringify(secret)) }),
    };
  }

  #clientId(service: string): string {
    return this.#parts.cluster.identities.byService.get(service)!.identity.clientId;
  }
}
