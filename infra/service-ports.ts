/** Ports by which services reach what a stack makes. */
export type CloudPort =
  'eventStream' | 'objectStore' | 'secretStore' | 'database' | 'deviceGateway' | 'deviceRegistry' | 'notifiers';

/**
 * What each service asks for, so that its role has the rights of those adapters and of no others: a test compares it with what the services ask for
 * in their code. `database` stands for all ports that are tables of PostgreSQL; a model registry there keeps its artifacts in the object store, and
 * the site's own issuer its keys in the secret store.
 */
export const SERVICE_PORTS: Readonly<Record<string, readonly CloudPort[]>> = {
  'ingestion-service': ['eventStream', 'objectStore', 'database', 'deviceGateway', 'deviceRegistry', 'notifiers'],
  'timeseries-service': ['eventStream', 'objectStore', 'database'],
  'feature-service': ['eventStream', 'objectStore', 'database'],
  'ml-service': ['eventStream', 'objectStore', 'database'],
  'alert-engine': ['eventStream', 'database', 'notifiers'],
  'api-gateway': ['eventStream', 'objectStore', 'secretStore', 'database', 'deviceRegistry', 'notifiers'],
};

/**
 * What each service calls over a link (docs/architecture.md, "Services apart from each other"), and so what its network lets through, and nothing
 * else: the store is reached by way of its owner, and the API asks each of the others how it is.
 */
export const SERVICE_LINKS: Readonly<Record<string, readonly string[]>> = {
  'ingestion-service': ['timeseries-service'],
  'timeseries-service': [],
  'feature-service': ['timeseries-service'],
  'ml-service': ['timeseries-service'],
  'alert-engine': ['timeseries-service'],
  'api-gateway': ['ingestion-service', 'timeseries-service', 'feature-service', 'ml-service', 'alert-engine'],
};

/** Whether another service calls it: then it has a name and a port within the network. */
export function isLinkedTo(service: string): boolean {
  return Object.values(SERVICE_LINKS).some((called) => called.includes(service));
}

/** Those that ask for `modelInference`, which needs a right only where a cloud's endpoint runs the models. */
export const INFERENCE_SERVICES: readonly string[] = ['ml-service', 'api-gateway'];

/** The one service that answers people and programs. */
export const PUBLIC_SERVICE = 'api-gateway';

/** The API's stream of events, which a page keeps open: how long it takes says nothing of how soon the API answers. */
export const OPEN_STREAM = '/v1/events';
