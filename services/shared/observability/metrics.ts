import { collectDefaultMetrics, Registry } from 'prom-client';

/** Durations in seconds, from what a cached read takes to what nobody waits for. */
export const DURATION_BUCKETS_S: readonly number[] = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
];

/** A service's metrics, to be scraped from `/metrics`. One a process: services that share a process share it. */
export function createMetricsRegistry(service: string, options: { readonly processMetrics?: boolean } = {}): Registry {
  const registry = new Registry();
  registry.setDefaultLabels({ service });
  if (options.processMetrics ?? true) collectDefaultMetrics({ register: registry });
  return registry;
}
