import { Fn } from 'cdktf';
import type { Construct } from 'constructs';
import { EksAddon } from '@cdktf/provider-aws/lib/eks-addon/index.js';
import { Manifest } from '@cdktf/provider-kubernetes/lib/manifest/index.js';
import type { NamespaceV1 } from '@cdktf/provider-kubernetes/lib/namespace-v1/index.js';
import { KubernetesProvider } from '@cdktf/provider-kubernetes/lib/provider/index.js';
import { MOST_COPIES_TIMES } from '../copies.ts';
import { imageDigests } from '../image-digests.ts';
import type { Cluster, Way } from '../kubernetes/cluster.ts';
import { KubernetesServices } from '../kubernetes/kubernetes-services.ts';
import { letPipelineRoll } from '../kubernetes/roll-rights.ts';
import type { ServicesParts } from '../platform.ts';
import { startCommand } from '../service-settings.ts';
import type { Site } from '../site.ts';
import { ApiTargets } from './api-targets.ts';
import type { AutoModeCluster } from './auto-mode-cluster.ts';
import { AwsStack } from './aws-stack.ts';
import { PIPELINE_GROUP } from './cluster-names.ts';
import { ClusterNodes } from './cluster-nodes.ts';
import { CLOUDWATCH_AGENT } from './cluster-roles.ts';
import type { DataStack } from './data-stack.ts';
import type { FoundationStack } from './foundation-stack.ts';
import type { Ingress } from './ingress.ts';
import type { AwsPorts } from './ports.ts';

const SECRETS_FOLDER = '/etc/tribo/secrets';
const PASSWORD_FILE = 'database-password';
const LINK_KEY_FILE = 'link-key';
/** Who a pod is at AWS it asks on its own node. */
const POD_IDENTITY = '169.254.170.23/32';
const HTTP = 80;
const DNS = 53;

interface Parts {
  readonly foundation: FoundationStack;
  readonly data: DataStack;
  readonly cluster: AutoModeCluster;
  readonly ingress: Ingress;
  readonly ports: AwsPorts;
}

/**
 * What runs in the cluster: its state is apart from the cluster's, as Terraform has to reach the cluster before it plans what is in it. Whoever
 * applies it is within the network of the site and has `aws`, so that no token of the cluster is in a state.
 */
export class ServicesStack extends AwsStack implements ServicesParts {
  readonly services: KubernetesServices;
  readonly ingress: ApiTargets;
  readonly #parts: Parts;

  constructor(scope: Construct, site: Site, parts: Parts) {
    super(scope, 'services', site);
    this.#parts = parts;
    const { foundation, ingress } = parts;
    const { cluster, namespace } = parts.cluster;
    new KubernetesProvider(this, 'kubernetes', {
      host: cluster.endpoint,
      clusterCaCertificate: Fn.base64decode(cluster.certificateAuthority.get(0).data),
      exec: [
        {
          apiVersion: 'client.authentication.k8s.io/v1beta1',
          command: 'aws',
          args: ['eks', 'get-token', '--cluster-name', cluster.name, '--region', site.region],
        },
      ],
    });
    const nodes = new ClusterNodes(this, 'nodes', { cluster: parts.cluster, foundation });
    const addons = this.#addons(nodes);
    const digests = imageDigests(this);
    const { repositories } = foundation.imageRegistry;
    this.services = new KubernetesServices(
      this,
      'services',
      this.#cluster(
        (service) =>
          `${repositories.get(service)!.repositoryUrl}@${Fn.lookup(digests.value as unknown, service) as string}`,
      ),
      (inside) => [
        ...[nodes.pool, nodes.policies, ...addons],
        ...site.demand.services.map(({ service }) => this.#secretsOf(service, inside)),
      ],
    );
    letPipelineRoll(this, this.services.namespace, namespace, { kind: 'Group', name: PIPELINE_GROUP });
    this.ingress = new ApiTargets(this, 'ingress', { namespace, ingress, dependsOn: [this.services.namespace] });
  }

  /** Their pods want nodes: what counts copies by their load, and what brings logs and measurements to CloudWatch. */
  #addons({ pool }: ClusterNodes): readonly EksAddon[] {
    const { cluster, roles } = this.#parts.cluster;
    const of = { clusterName: cluster.name, dependsOn: [pool] };
    const measured = { metrics_collected: { kubernetes: { enhanced_container_insights: true } } };
    return [
      new EksAddon(this, 'load', { ...of, addonName: 'metrics-server' }),
      new EksAddon(this, 'agent', {
        ...of,
        addonName: 'amazon-cloudwatch-observability',
        podIdentityAssociation: [{ roleArn: roles.agent.arn, serviceAccount: CLOUDWATCH_AGENT.serviceAccount }],
        configurationValues: JSON.stringify({
          agent: { config: { logs: measured } },
          containerLogs: { enabled: true },
        }),
      }),
    ];
  }

  #cluster(image: (service: string) => string): Cluster {
    const { site } = this;
    const { cluster, foundation, ports } = this.#parts;
    return {
      site,
      namespace: cluster.namespace,
      // A copy of the API takes the place of another once the balancer finds it well.
      namespaceLabels: { 'eks.amazonaws.com/pod-readiness-gate-inject': 'enabled' },
      services: site.demand.services,
      mostCopies: ({ copies, isAlone }) => (isAlone ? copies : copies * MOST_COPIES_TIMES),
      stopsFirst: () => false,
      image,
      // By an association of the cluster, which needs nothing here.
      identity: () => ({ annotations: {}, labels: {} }),
      secrets: (service) => ({
        mountPath: SECRETS_FOLDER,
        driver: 'secrets-store.csi.k8s.io',
        attributes: { secretProviderClass: service },
      }),
      variables: () => ({
        TRIBO_PORTS: Fn.jsonencode(ports),
        TRIBO_LINK_KEY_FILE: `${SECRETS_FOLDER}/${LINK_KEY_FILE}`,
      }),
      command: (service) => {
        const [shell = '', flag = '', script = ''] = startCommand(service);
        return [shell, flag, `export PGPASSWORD="$(cat ${SECRETS_FOLDER}/${PASSWORD_FILE})" && ${script}`];
      },
      ways: () => this.#ways(),
      balancers: foundation.network.subnets.public.map(({ cidrBlockInput }) => cidrBlockInput!),
      tolerations: [],
    };
  }

  #ways(): readonly Way[] {
    const { foundation, data } = this.#parts;
    const names = this.site.environment.network.services!;
    return [
      { to: names, protocol: 'UDP', ports: [DNS] },
      { to: names, protocol: 'TCP', ports: [DNS] },
      { to: POD_IDENTITY, protocol: 'TCP', ports: [HTTP] },
      // Services of AWS, and issuers of tokens.
      { to: '0.0.0.0/0', protocol: 'TCP', ports: [443] },
      ...foundation.network.subnets.data.map(({ cidrBlockInput }): Way => ({
        to: cidrBlockInput!,
        protocol: 'TCP',
        ports: data.clientPorts,
      })),
    ];
  }

  /** What of Secrets Manager a service finds as it starts: as its own role, which may read no other. */
  #secretsOf(service: string, inside: NamespaceV1): Manifest {
    const { data, cluster } = this.#parts;
    const secrets = [
      { objectName: data.database.passwordSecretArn, objectType: 'secretsmanager', objectAlias: PASSWORD_FILE },
      { objectName: cluster.linkKeyArn, objectType: 'secretsmanager', objectAlias: LINK_KEY_FILE },
    ];
    return new Manifest(this, `${service}-secrets`, {
      manifest: {
        apiVersion: 'secrets-store.csi.x-k8s.io/v1',
        kind: 'SecretProviderClass',
        metadata: { name: service, namespace: cluster.namespace },
        spec: {
          provider: 'aws',
          // `objects` is a text of YAML, which JSON is too.
          parameters: { region: this.site.region, usePodIdentity: 'true', objects: JSON.stringify(secrets) },
        },
      },
      dependsOn: [inside],
    });
  }
}
