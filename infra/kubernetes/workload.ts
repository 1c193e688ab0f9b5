import { Construct } from 'constructs';
import { DeploymentV1 } from '@cdktf/provider-kubernetes/lib/deployment-v1/index.js';
import { HorizontalPodAutoscalerV2 } from '@cdktf/provider-kubernetes/lib/horizontal-pod-autoscaler-v2/index.js';
import { PodDisruptionBudgetV1 } from '@cdktf/provider-kubernetes/lib/pod-disruption-budget-v1/index.js';
import { ServiceAccountV1 } from '@cdktf/provider-kubernetes/lib/service-account-v1/index.js';
import { ServiceV1 } from '@cdktf/provider-kubernetes/lib/service-v1/index.js';
import type { ITerraformDependable } from 'cdktf';
import type { ServiceSize } from '../../core/decision/demand.ts';
import { BUSY_PERCENT, mostCopies } from '../copies.ts';
import { PUBLIC_SERVICE } from '../service-ports.ts';
import { acknowledge } from '../policy/acknowledge.ts';
import type { Cluster } from './cluster.ts';
import { podLabels, podOf, portsOf } from './pod.ts';

/** Nodes may have to be made first. */
const ROLLOUT_WITHIN = '20m';
/** Before Terraform gives up, so that Kubernetes says why. */
const PROGRESS_WITHIN_S = 1000;
/** How long a load has to be over before copies go. */
const CALM_S = 300;
const MINUTE_S = 60;

/** A service in a cluster: who it is, its copies, how many its load wants, how many may be away at a time, and the name by which it is called. */
export class Workload extends Construct {
  constructor(
    scope: Construct,
    cluster: Cluster,
    size: ServiceSize,
    { dependsOn }: { readonly dependsOn: ITerraformDependable[] },
  ) {
    super(scope, size.service);
    const { service, copies } = size;
    const { namespace } = cluster;
    const labels = { ...podLabels(service) };
    const most = cluster.stopsFirst(service) ? copies : mostCopies(size);
    const identity = cluster.identity(service);
    const account = new ServiceAccountV1(this, 'account', {
      metadata: { name: service, namespace, annotations: { ...identity.annotations }, labels },
      automountServiceAccountToken: false,
      dependsOn,
    });
    const deployment = new DeploymentV1(this, 'deployment', {
      metadata: { name: service, namespace, labels },
      waitForRollout: true,
      timeouts: { create: ROLLOUT_WITHIN, update: ROLLOUT_WITHIN },
      spec: {
        replicas: String(copies),
        revisionHistoryLimit: 10,
        progressDeadlineSeconds: PROGRESS_WITHIN_S,
        selector: { matchLabels: labels },
        strategy: cluster.stopsFirst(service)
          ? { type: 'Recreate' }
          : { type: 'RollingUpdate', rollingUpdate: { maxSurge: '1', maxUnavailable: '0' } },
        template: { metadata: { labels: { ...labels, ...identity.labels } }, spec: podOf(cluster, size) },
      },
      // The number of copies is the autoscaling's from here on.
      ...(most > copies && { lifecycle: { ignoreChanges: ['spec[0].replicas'] } }),
      dependsOn: [...dependsOn, account],
    });
    acknowledge(deployment, {
      CKV_K8S_15: 'The image is by digest, which is always the same, and starts where the registry is away too',
    });
    this.#name(cluster, service, dependsOn);
    new PodDisruptionBudgetV1(this, 'disruptions', {
      metadata: { name: service, namespace, labels },
      // One at a time, the only one too: else a node that is to be replaced would wait for ever.
      spec: { maxUnavailable: '1', selector: { matchLabels: labels } },
      dependsOn,
    });
    if (most > copies) this.#scaling(cluster, size, most, deployment);
  }

  /** With an address for each copy where links lead; what a balancer leads to has one of its own. */
  #name({ namespace }: Cluster, service: string, dependsOn: ITerraformDependable[]): void {
    const ports = portsOf(service);
    if (ports.length === 0) return;
    new ServiceV1(this, 'service', {
      metadata: { name: service, namespace, labels: { ...podLabels(service) } },
      waitForLoadBalancer: false,
      spec: {
        type: 'ClusterIP',
        ...(service !== PUBLIC_SERVICE && { clusterIp: 'None' }),
        selector: { ...podLabels(service) },
        port: ports.map(({ name, port }) => ({ name, port, targetPort: String(port), protocol: 'TCP' })),
      },
      dependsOn,
    });
  }

  #scaling(cluster: Cluster, { service, copies }: ServiceSize, most: number, deployment: DeploymentV1): void {
    new HorizontalPodAutoscalerV2(this, 'copies', {
      metadata: { name: service, namespace: cluster.namespace, labels: { ...podLabels(service) } },
      spec: {
        scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: service },
        minReplicas: copies,
        maxReplicas: most,
        metric: [
          {
            type: 'Resource',
            resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: BUSY_PERCENT } },
          },
        ],
        behavior: {
          scaleDown: [
            {
              stabilizationWindowSeconds: CALM_S,
              selectPolicy: 'Max',
              policy: [{ type: 'Pods', value: 1, periodSeconds: MINUTE_S }],
            },
          ],
        },
      },
      dependsOn: [deployment],
    });
  }
}
