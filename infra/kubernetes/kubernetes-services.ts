import { Construct } from 'constructs';
import { NamespaceV1 } from '@cdktf/provider-kubernetes/lib/namespace-v1/index.js';
import type { ITerraformDependable } from 'cdktf';
import type { Cluster } from './cluster.ts';
import { NetworkPolicies } from './network-policies.ts';
import { Workload } from './workload.ts';

/** The platform's services in a cluster, in a namespace that lets nothing run which could leave its container. */
export class KubernetesServices extends Construct {
  readonly namespace: NamespaceV1;

  /**
   * @param before makes, in the namespace, what services have to find as they start
   */
  constructor(
    scope: Construct,
    id: string,
    cluster: Cluster,
    before: (namespace: NamespaceV1) => readonly ITerraformDependable[],
  ) {
    super(scope, id);
    const restricted = ['enforce', 'audit', 'warn'].map((mode) => [`pod-security.kubernetes.io/${mode}`, 'restricted']);
    this.namespace = new NamespaceV1(this, 'namespace', {
      metadata: {
        name: cluster.namespace,
        labels: { ...(Object.fromEntries(restricted) as Record<string, string>), ...cluster.namespaceLabels },
      },
      waitForDefaultServiceAccount: true,
    });
    const { policies } = new NetworkPolicies(this, 'network', cluster, { dependsOn: [this.namespace] });
    const dependsOn = [this.namespace, ...policies, ...before(this.namespace)];
    for (const size of cluster.services) new Workload(this, cluster, size, { dependsOn });
  }
}
