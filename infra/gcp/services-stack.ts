import { Fn } from 'cdktf';
import type { Construct } from 'constructs';
import { KubernetesProvider } from '@cdktf/provider-kubernetes/lib/provider/index.js';
import { imageDigests } from '../image-digests.ts';
import type { Cluster, Way } from '../kubernetes/cluster.ts';
import { KubernetesServices } from '../kubernetes/kubernetes-services.ts';
import { LINK_KEY_FILE, PASSWORD_FILE } from '../kubernetes/start-secrets.ts';
import { tokenBy } from '../kubernetes/token-command.ts';
import type { ServicesParts } from '../platform.ts';
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
import { isGateway } from './most-copies.ts';
import type { GcpPorts } from './ports.ts';
import { DATABASE_PORT } from './postgres-database.ts';
import type { PrivateSecret } from './private-secret.ts';

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
      exec: tokenBy('gke-gcloud-auth-plugin', '--use_application_default_credentials'),
      ignoreAnnotations: NOTES,
    });
    this.services = new KubernetesServices(this, 'services', this.#cluster());
    this.ingress = new ApiGatewayRoute(this, 'ingress', {
      namespace,
      domain: site.environment.domain,
      front: parts.front.parts,
      dependsOn: [this.services.namespace],
    });
  }

  #cluster(): Cluster {
    const { cluster, data, foundation, ports } = this.#parts;
    const digests = imageDigests(this).value as unknown;
    return {
      site: this.site,
      namespace: cluster.namespace,
      namespaceLabels: {},
      stopsFirst: isGateway,
      image: (service) => foundation.imageRegistry.image(service, Fn.lookup(digests, service) as string),
      identity: (service) => ({
        annotations: { 'iam.gke.io/gcp-service-account': cluster.accounts.get(service)!.email },
        labels: {},
      }),
      secrets: {
        driver: 'secrets-store-gke.csi.k8s.io',
        provider: 'gke',
        parameters: (service) => this.#secrets(service),
      },
      ports: Fn.jsonencode(ports),
      variables: { DATABASE_AUTHORITY: data.database.authority },
      command: (service) => startWithAuthority(service),
      ways: (service) => this.#ways(service),
      balancers: FRONT_ENDS,
      pipeline: { kind: 'User', name: Fn.trimprefix(foundation.ciIdentity.member, 'serviceAccount:') },
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

  /** Of Secret Manager. */
  #secrets(service: string): Readonly<Record<string, string>> {
    const { data } = this.#parts;
    const secrets: readonly (readonly [file: string, secret: PrivateSecret])[] = [
      [PASSWORD_FILE, data.database.password],
      [LINK_KEY_FILE, data.linkKey],
      ...(isGateway(service) ? data.brokerCertificates.gateway : []),
    ];
    const named = secrets.map(([path, { secretId }]) => ({
      resourceName: `projects/${this.project}/secrets/${secretId}/versions/latest`,
      path,
    }));
    // A text of YAML, which JSON is too.
    return { secrets: JSON.stringify(named) };
  }
}
