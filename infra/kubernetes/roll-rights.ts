import { RoleBindingV1 } from '@cdktf/provider-kubernetes/lib/role-binding-v1/index.js';
import { RoleV1 } from '@cdktf/provider-kubernetes/lib/role-v1/index.js';
import type { NamespaceV1 } from '@cdktf/provider-kubernetes/lib/namespace-v1/index.js';
import type { Construct } from 'constructs';
import type { Cluster } from './cluster.ts';

/**
 * Lets the pipeline, in the namespace of the services, give one another image and see whether it starts.
 * @param stack the place of what is made: under another address Terraform would take it away and make it again
 */
export function letPipelineRoll(stack: Construct, inside: NamespaceV1, { namespace, pipeline }: Cluster): void {
  const metadata = { name: 'roll-services', namespace };
  const role = new RoleV1(stack, 'roll', {
    metadata,
    rule: [{ apiGroups: ['apps'], resources: ['deployments'], verbs: ['get', 'list', 'watch', 'patch'] }],
    dependsOn: [inside],
  });
  new RoleBindingV1(stack, 'pipeline-rolls', {
    metadata,
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: metadata.name },
    subject: [{ apiGroup: 'rbac.authorization.k8s.io', ...pipeline }],
    dependsOn: [role],
  });
}
