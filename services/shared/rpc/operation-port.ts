import type { ReadinessReport } from '../http/readiness.ts';

/** The port by which a service that runs apart says how it is. */
export const OPERATION_PORT = 'operation';

export interface ServedOperation {
  report(): Promise<ReadinessReport>;
}
