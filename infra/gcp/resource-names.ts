import { createHash } from 'node:crypto';
import type { Names } from '../names.ts';
import type { Site } from '../site.ts';

/** Cloud Run takes 49 characters. */
const MAX_SERVICE_NAME = 49;
/** Cloud SQL takes 98 together with the project's id, which has up to 30. */
const MAX_DATABASE_NAME = 60;

/** What GKE names all parts of a balancer by that it makes for a Gateway. */
export const GATEWAY_PREFIX = 'gkegw';
/** GKE takes 40 characters. */
const MAX_CLUSTER_NAME = 40;

/** Of the cluster, where the services run in one. */
export function clusterName(names: Names): string {
  return names.of('cluster', MAX_CLUSTER_NAME);
}

/** Of a service at Cloud Run. */
export function serviceName(names: Names, service: string): string {
  return names.of(service, MAX_SERVICE_NAME);
}

/**
 * Of the instance of Cloud SQL. Where there is a copy in a second region each is called by its region, so that the copy has the right name once it is
 * the database.
 */
export function databaseName({ names, environment, region }: Site, of = region): string {
  return names.of(environment.switches.secondRegion ? `database-${of}` : 'database', MAX_DATABASE_NAME);
}

/** Of digits alone, nine of them: what Vertex AI takes of an id that begins with one, and the provider takes no other. */
const LEAST_ENDPOINT_ID = 100_000_000;
const ENDPOINT_IDS = 900_000_000;

/** Of the endpoint of models: one a site and region of its project, so that a digest tells it from others. */
export function endpointId({ base }: Names): string {
  const digest = createHash('sha256').update(base).digest().readUInt32BE();
  return String(LEAST_ENDPOINT_ID + (digest % ENDPOINT_IDS));
}
