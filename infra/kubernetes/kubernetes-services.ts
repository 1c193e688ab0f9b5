import { Construct } from 'constructs';
import { NamespaceV1 } from '@cdktf/provider-kubernetes/lib/namespace-v1/index.js';
import type { ITerraformDependable } from 'cdktf';
import type { Cluster } from './cluster.ts';
import { NetworkPolicies } from './network-policies.ts';
import { letPipelineRoll } from './roll-rights.ts';
import { secretsOf } from './start-secrets.ts';
import { Workload } from './workload.ts';

/**
 * The platform's services in a cluster, in a namespace that lets nothing run which could leave its container, with the secrets that they start with
 * and the pipeline's right to roll them.
 */
export class KubernetesServices extends Construct {
  readonly namespace: NamespaceV1;

  /** @param dependsOn what of the cloud they have to find as they start */
  constructor(
    scope: Construct,
    id: string,
    cluster: Cluster,
    { dependsOn: before = [] }: { readonly dependsOn?: readonly ITerraformDependable[] } = {},
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
    const dependsOn = [this.namespace, ...policies, ...before, ...secretsOf(scope, this.namespace, cluster)];
    for (const size of cluster.site.demand.services) new Workload(this, cluster, size, { dependsOn });
    letPipelineRoll(scope, this.namespace, cluster);
  }
}
