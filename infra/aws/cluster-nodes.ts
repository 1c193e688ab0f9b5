import { Construct } from 'constructs';
import { ConfigMapV1 } from '@cdktf/provider-kubernetes/lib/config-map-v1/index.js';
import { Manifest } from '@cdktf/provider-kubernetes/lib/manifest/index.js';
import { nodesFor } from '../../core/decision/plan.ts';
import { mandatoryTags } from '../aspects/tags.ts';
import { MOST_COPIES_TIMES } from '../copies.ts';
import type { AutoModeCluster } from './auto-mode-cluster.ts';
import type { AwsStack } from './aws-stack.ts';
import type { FoundationStack } from './foundation-stack.ts';

const NAME = 'services';
/** Images, logs, and what pods may write. */
const DISK = '40Gi';
/** A node is made anew after two weeks at the most, with what was mended of its image meanwhile. */
const NODE_LIFE = '336h';
/** What the plan counts nodes in (`nodesFor`); larger ones cost as much a vCPU. */
const NODE_VCPU = 2;
const NODE_MEMORY_GIB = 8;

/** Which nodes the cluster may have: private, of the kind that is priced, on demand, encrypted with the key of the site, and no more than its copies want. */
export class ClusterNodes extends Construct {
  readonly pool: Manifest;
  readonly policies: ConfigMapV1;

  constructor(
    scope: AwsStack,
    id: string,
    { cluster, foundation }: { readonly cluster: AutoModeCluster; readonly foundation: FoundationStack },
  ) {
    super(scope, id);
    const { environment, zones, demand } = scope.site;
    // Without it EKS takes network policies, and enforces none.
    this.policies = new ConfigMapV1(this, 'network-policies', {
      metadata: { name: 'amazon-vpc-cni', namespace: 'kube-system' },
      data: { 'enable-network-policy-controller': 'true' },
    });
    const kind = new Manifest(this, 'kind', {
      manifest: {
        apiVersion: 'eks.amazonaws.com/v1',
        kind: 'NodeClass',
        metadata: { name: NAME },
        spec: {
          role: cluster.roles.nodes.name,
          subnetSelectorTerms: foundation.network.subnets.services.slice(0, zones).map((subnet) => ({ id: subnet.id })),
          securityGroupSelectorTerms: cluster.nodeGroups.map((group) => ({ id: group })),
          // Nothing goes in the namespace of the services but what its policies let through; add-ons have namespaces of their own.
          networkPolicy: 'DefaultAllow',
          networkPolicyEventLogs: 'Enabled',
          ephemeralStorage: { size: DISK, kmsKeyID: foundation.key.arn },
          tags: mandatoryTags(environment),
        },
      },
    });
    const most = nodesFor(demand.services, zones) * MOST_COPIES_TIMES;
    this.pool = new Manifest(this, 'pool', {
      manifest: {
        apiVersion: 'karpenter.sh/v1',
        kind: 'NodePool',
        metadata: { name: NAME },
        spec: {
          template: {
            spec: {
              nodeClassRef: { group: 'eks.amazonaws.com', kind: 'NodeClass', name: NAME },
              requirements: [
                one('karpenter.sh/capacity-type', 'on-demand'),
                one('kubernetes.io/arch', 'amd64'),
                one('eks.amazonaws.com/instance-category', 'm'),
                { key: 'eks.amazonaws.com/instance-generation', operator: 'Gt', values: ['5'] },
                // A copy of four vCPU finds no room beside what a node of four runs for itself.
                { key: 'eks.amazonaws.com/instance-cpu', operator: 'In', values: ['2', '4', '8'] },
              ],
              expireAfter: NODE_LIFE,
            },
          },
          disruption: {
            consolidationPolicy: 'WhenEmptyOrUnderutilized',
            consolidateAfter: '5m',
            budgets: [{ nodes: '1' }],
          },
          limits: { cpu: String(most * NODE_VCPU), memory: `${most * NODE_MEMORY_GIB}Gi` },
        },
      },
      dependsOn: [kind],
    });
  }
}

function one(key: string, value: string) {
  return { key, operator: 'In', values: [value] };
}
