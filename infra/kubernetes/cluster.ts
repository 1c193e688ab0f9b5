import type { ServiceSize } from '../../core/decision/demand.ts';
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

/** A folder with the secrets that a service starts with, which a driver of the cloud mounts. */
export interface SecretFolder {
  readonly mountPath: string;
  readonly driver: string;
  readonly attributes: Readonly<Record<string, string>>;
}

/** What a cloud's cluster brings for the services: all else is the same at every cloud. */
export interface Cluster {
  readonly site: Site;
  /** In which the services are, and nothing else. */
  readonly namespace: string;
  /** What the cloud wants to be told of it, beside what is the same everywhere. */
  readonly namespaceLabels: Readonly<Record<string, string>>;
  /** The services with the size of a pod, and the copies that there are at the least. */
  readonly services: readonly ServiceSize[];
  /** The most copies of a service; equal to the least where it may have no others. */
  mostCopies(size: ServiceSize): number;
  /** Whether a copy stops before the next one starts, as two would be in each other's way. */
  stopsFirst(service: string): boolean;
  /** By digest. */
  image(service: string): string;
  identity(service: string): CloudIdentity;
  secrets(service: string): SecretFolder;
  /** Beside the settings that are the same everywhere. */
  variables(service: string): Readonly<Record<string, string>>;
  command(service: string): readonly string[];
  /** Where a service goes outside of the cluster. */
  ways(service: string): readonly Way[];
  /** From where the balancer calls the API. */
  readonly balancers: readonly string[];
  /** What the cluster itself writes into each pod, so that a plan finds it as it was written. */
  readonly tolerations: readonly { readonly key: string; readonly value: string }[];
}
