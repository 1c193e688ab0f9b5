import { Fn } from 'cdktf';
import type { Construct } from 'constructs';
import { EksAddon } from '@cdktf/provider-aws/lib/eks-addon/index.js';
import { KubernetesProvider } from '@cdktf/provider-kubernetes/lib/provider/index.js';
import { imageDigests } from '../image-digests.ts';
import type { Cluster, Way } from '../kubernetes/cluster.ts';
import { KubernetesServices } from '../kubernetes/kubernetes-services.ts';
import { LINK_KEY_FILE, PASSWORD_FILE } from '../kubernetes/start-secrets.ts';
import { tokenBy } from '../kubernetes/token-command.ts';
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
      exec: tokenBy('aws', 'eks', 'get-token', '--cluster-name', cluster.name, '--region', site.region),
    });
    const nodes = new ClusterNodes(this, 'nodes', { cluster: parts.cluster, foundation });
    const addons = this.#addons(nodes);
    this.services = new KubernetesServices(this, 'services', this.#cluster(), {
      dependsOn: [nodes.pool, nodes.policies, ...addons],
    });
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

  #cluster(): Cluster {
    const { cluster, foundation, ports } = this.#parts;
    const { repositories } = foundation.imageRegistry;
    const digests = imageDigests(this).value as unknown;
    return {
      site: this.site,
      namespace: cluster.namespace,
      // A copy of the API takes the place of another once the balancer finds it well.
      namespaceLabels: { 'eks.amazonaws.com/pod-readiness-gate-inject': 'enabled' },
      stopsFirst: () => false,
      image: (service) => `${repositories.get(service)!.repositoryUrl}@${Fn.lookup(digests, service) as string}`,
      // By an association of the cluster, which needs nothing here.
      identity: () => ({ annotations: {}, labels: {} }),
      secrets: {
        driver: 'secrets-store.csi.k8s.io',
        provider: 'aws',
        parameters: () => this.#secrets(),
      },
      ports: Fn.jsonencode(ports),
      variables: {},
      command: (service) => startCommand(service),
      ways: () => this.#ways(),
      balancers: foundation.network.subnets.public.map(({ cidrBlockInput }) => cidrBlockInput!),
      pipeline: { kind: 'Group', name: PIPELINE_GROUP },
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

  /** Of Secrets Manager. */
  #secrets(): Readonly<Record<string, string>> {
    const { data, cluster } = this.#parts;
    const secrets = [
      { objectName: data.database.passwordSecretArn, objectType: 'secretsmanager', objectAlias: PASSWORD_FILE },
      { objectName: cluster.linkKeyArn, objectType: 'secretsmanager', objectAlias: LINK_KEY_FILE },
    ];
    // `objects` is a text of YAML, which JSON is too.
    return { region: this.site.region, usePodIdentity: 'true', objects: JSON.stringify(secrets) };
  }
}
