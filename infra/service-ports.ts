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

/** The one service that answers people and programs. */
export const PUBLIC_SERVICE = 'api-gateway';
