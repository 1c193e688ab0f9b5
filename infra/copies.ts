import type { ServiceSize } from '../core/decision/demand.ts';

/** Of a vCPU: what core/decision/demand.ts counts copies by. */
export const BUSY_PERCENT = 60;
/** What one that restarts is caught up with by, at most so many times the copies of the plan; and of one copy four (R112). */
export const MOST_COPIES_TIMES = 4;
/** So long a service has to finish what it has in hand. */
export const STOP_S = 60;

/** Copies of a service under load: one that does the work alone has no more than the plan gives it. */
export function mostCopies({ copies, isAlone }: ServiceSize): number {
  return isAlone ? copies : copies * MOST_COPIES_TIMES;
}

/** Of all services together. */
export function mostCopiesOfAll(services: readonly ServiceSize[], of = mostCopies): number {
  return services.reduce((sum, service) => sum + of(service), 0);
}
