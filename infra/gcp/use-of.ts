import { isKubernetes, type Site } from '../site.ts';
import type { GcpStack } from './gcp-stack.ts';
import { clusterName, serviceName } from './resource-names.ts';

/** What a service has, of which Cloud Monitoring knows how much is in use. */
type Resource = 'cpu' | 'memory';

/** A metric: which, and how the values of a minute become one. */
interface Use {
  readonly filter: string;
  readonly aligner: 'ALIGN_MEAN' | 'ALIGN_PERCENTILE_95';
}

/** Of what a service has, the share that is in use: 0 to 1. */
export function useOf({ site }: GcpStack, service: string, resource: Resource): Use {
  const place = placeOf(site, service);
  if (isKubernetes(site)) {
    // What the kernel gives back when it is asked for is no use of memory.
    const kind = resource === 'memory' ? ' AND metric.labels.memory_type="non-evictable"' : '';
    return {
      filter: `${place} AND metric.type="kubernetes.io/container/${resource}/limit_utilization"${kind}`,
      aligner: 'ALIGN_MEAN',
    };
  }
  return {
    filter: `${place} AND metric.type="run.googleapis.com/container/${resource}/utilizations"`,
    aligner: 'ALIGN_PERCENTILE_95',
  };
}

/** How many copies of a service run; where there is none, it may be that nothing is measured. */
export function copiesOf({ site }: GcpStack, service: string) {
  const place = placeOf(site, service);
  if (isKubernetes(site))
    // Each container tells of itself.
    return {
      ...({ aligner: 'ALIGN_MAX', reducer: 'REDUCE_COUNT' } as const),
      filter: `${place} AND metric.type="kubernetes.io/container/uptime"`,
    };
  // Each revision tells how many it has, of those that answer somebody and of the others.
  return {
    ...({ aligner: 'ALIGN_MAX', reducer: 'REDUCE_SUM' } as const),
    filter: `${place} AND metric.type="run.googleapis.com/container/instance_count"`,
  };
}

/** A service as Cloud Monitoring knows it. */
function placeOf(site: Site, service: string): string {
  const { names } = site;
  if (isKubernetes(site))
    return `resource.type="k8s_container" AND resource.labels.cluster_name="${clusterName(names)}" AND resource.labels.container_name="${service}"`;
  return `resource.type="cloud_run_revision" AND resource.labels.service_name="${serviceName(names, service)}"`;
}
