import type { Names } from '../names.ts';

/** Of the cluster, of which EKS takes up to 100 characters. */
export function clusterName(names: Names): string {
  return names.base;
}

/** As which the pipeline is known in the cluster. */
export const PIPELINE_GROUP = 'tribo-pipeline';

/** The groups of logs that EKS and the agent of CloudWatch write to, by what is in them: their names are theirs. */
export function logsOfCluster(names: Names) {
  const agent = `/aws/containerinsights/${clusterName(names)}`;
  return {
    controlPlane: `/aws/eks/${clusterName(names)}/cluster`,
    application: `${agent}/application`,
    dataplane: `${agent}/dataplane`,
    host: `${agent}/host`,
    performance: `${agent}/performance`,
  } as const;
}
