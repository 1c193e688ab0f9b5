import { Construct } from 'constructs';
import { NetworkPolicyV1 } from '@cdktf/provider-kubernetes/lib/network-policy-v1/index.js';
import type { ITerraformDependable } from 'cdktf';
import { PUBLIC_SERVICE, SERVICE_LINKS } from '../service-ports.ts';
import { API_PORT, LINK_PORT } from '../service-settings.ts';
import type { Cluster, Way } from './cluster.ts';
import { podLabels } from './pod.ts';

/** Who may call whom: nobody anybody, but for the links that services have, the balancer to the API, and the ways out of the cluster. */
export class NetworkPolicies extends Construct {
  /** What has to be there before a pod starts. */
  readonly policies: readonly NetworkPolicyV1[];

  constructor(
    scope: Construct,
    id: string,
    cluster: Cluster,
    { dependsOn }: { readonly dependsOn: ITerraformDependable[] },
  ) {
    super(scope, id);
    const { namespace, site } = cluster;
    const nothing = new NetworkPolicyV1(this, 'nothing', {
      metadata: { name: 'nothing', namespace },
      spec: { podSelector: {}, policyTypes: ['Ingress', 'Egress'] },
      dependsOn,
    });
    this.policies = [nothing, ...site.demand.services.map(({ service }) => this.#policy(service, cluster, dependsOn))];
  }

  #policy(service: string, cluster: Cluster, dependsOn: ITerraformDependable[]): NetworkPolicyV1 {
    const ingress = [
      ...linksOf(callersOf(service)).map(({ pods, ports }) => ({ from: pods, ports })),
      ...(service === PUBLIC_SERVICE
        ? [{ from: cluster.balancers.map((cidr) => ({ ipBlock: { cidr } })), ports: [tcp(API_PORT)] }]
        : []),
    ];
    const egress = [
      ...linksOf(SERVICE_LINKS[service]!).map(({ pods, ports }) => ({ to: pods, ports })),
      ...cluster.ways(service).map(outOf),
    ];
    return new NetworkPolicyV1(this, service, {
      metadata: { name: service, namespace: cluster.namespace },
      spec: {
        podSelector: { matchLabels: { ...podLabels(service) } },
        policyTypes: ['Ingress', 'Egress'],
        ...(ingress.length > 0 && { ingress }),
        egress,
      },
      dependsOn,
    });
  }
}

function callersOf(service: string): readonly string[] {
  return Object.entries(SERVICE_LINKS).flatMap(([caller, called]) => (called.includes(service) ? [caller] : []));
}

function linksOf(services: readonly string[]) {
  const pods = services.map((service) => ({ podSelector: { matchLabels: { ...podLabels(service) } } }));
  return pods.length > 0 ? [{ pods, ports: [tcp(LINK_PORT)] }] : [];
}

function tcp(port: number) {
  return { port: String(port), protocol: 'TCP' };
}

function outOf({ to, protocol, ports }: Way) {
  return { to: [placeOf(to)], ports: ports.map((port) => ({ port: String(port), protocol })) };
}

function placeOf(to: Way['to']) {
  if (typeof to === 'string') return { ipBlock: { cidr: to } };
  return {
    namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'kube-system' } },
    podSelector: { matchLabels: { 'k8s-app': to.systemApp } },
  };
}
