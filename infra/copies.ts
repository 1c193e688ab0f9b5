import type { ServiceSize } from '../core/decision/demand.ts';

/** Of a vCPU: what core/decision/demand.ts counts copies by. */
export const BUSY_PERCENT = 60;
/** What one that restarts is caught up with by, at most so many times the copies of the plan; and of one copy four (R112). */
export const MOST_COPIES_TIMES = 4;
/**
 * While a release is rolled out there are as many copies of before beside those of the plan or of the load: ECS begins all new ones at once, Container
 * Apps and Cloud Run make a revision as large as the one that runs, and a cluster does not wait for those that end, which have {@link STOP_S} for it.
 */
export const ROLLOUT_TIMES = 2;
/** So long a service has to finish what it has in hand. */
export const STOP_S = 60;

/** Copies of a service under load: one that does the work alone has no more than the plan gives it. */
export function mostCopies({ copies, isAlone }: ServiceSize): number {
  return isAlone ? copies : copies * MOST_COPIES_TIMES;
}

/** Copies of a service under load while a release is rolled out. */
function copiesRollingOut(size: ServiceSize): number {
  return mostCopies(size) * ROLLOUT_TIMES;
}

/** Of all services together, under load while a release is rolled out. */
export function mostCopiesOfAll(services: readonly ServiceSize[], of = copiesRollingOut): number {
  return services.reduce((sum, service) => sum + of(service), 0);
}
