import type { Site } from '../site.ts';

/** Where pods may go beside each other, and the ports that are open there. */
export interface Way {
  /** A range of addresses, or the pods of the cluster itself that have this label `k8s-app`. */
  readonly to: string | { readonly systemApp: string };
  readonly protocol: 'TCP' | 'UDP';
  readonly ports: readonly number[];
}

/** Who a service is at its cloud. */
interface CloudIdentity {
  /** Of its ServiceAccount. */
  readonly annotations: Readonly<Record<string, string>>;
  /** Of its pods, where the cloud wants to be told there too. */
  readonly labels: Readonly<Record<string, string>>;
}

/** The secrets that services start with, which a driver of the cloud mounts. */
interface Secrets {
  readonly driver: string;
  /** As the driver calls the cloud. */
  readonly provider: string;
  /** What of the cloud's secrets is in the folder of a service. */
  parameters(service: string): Readonly<Record<string, string>>;
}

/** As whom the cluster knows the pipeline. */
interface Pipeline {
  readonly kind: 'User' | 'Group';
  readonly name: string;
}

/** What a cloud's cluster brings for the services: all else is the same at every cloud. */
export interface Cluster {
  readonly site: Site;
  /** In which the services are, and nothing else. */
  readonly namespace: string;
  /** What the cloud wants to be told of it, beside what is the same everywhere. */
  readonly namespaceLabels: Readonly<Record<string, string>>;
  /** Whether a copy stops before the next one starts, as two would be in each other's way: it has no more than the plan gives it. */
  stopsFirst(service: string): boolean;
  /** By digest. */
  image(service: string): string;
  identity(service: string): CloudIdentity;
  readonly secrets: Secrets;
  /** The ports file, as JSON. */
  readonly ports: string;
  /** Beside the settings that are the same everywhere. */
  readonly variables: Readonly<Record<string, string>>;
  /** Of a shell. */
  command(service: string): readonly string[];
  /** Where a service goes outside of the cluster. */
  ways(service: string): readonly Way[];
  /** From where the balancer calls the API. */
  readonly balancers: readonly string[];
  readonly pipeline: Pipeline;
  /** What the cluster itself writes into each pod, so that a plan finds it as it was written. */
  readonly tolerations: readonly { readonly key: string; readonly value: string }[];
}
