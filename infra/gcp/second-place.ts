import { spanOf, type Span } from '../../core/decision/dual-regions.ts';
import { regionsAt } from '../../core/decision/environment-rules.ts';
import type { Environment } from '../../core/decision/environment.ts';

/** The environment's second region, and what spans both. */
export interface SecondPlace {
  readonly region: string;
  /** Of which the copy of the database has its addresses, and services once they are there. */
  readonly range: string;
  readonly span: Span;
}

/** The environment's second region at Google Cloud, by `switches.secondRegion`. @throws Error where `notMadeAt` says why there is none. */
export function secondPlace(environment: Environment): SecondPlace | undefined {
  if (!environment.switches.secondRegion) return undefined;
  const [first, second] = regionsAt(environment, 'gcp').map(({ name }) => name);
  const span = first !== undefined && second !== undefined ? spanOf(first, second) : undefined;
  if (second === undefined || !span) throw new Error('no bucket of Cloud Storage is in regions[0] and regions[1]');
  const range = environment.regions[1]?.range;
  if (range === undefined) throw new Error('switches.secondRegion wants regions[1] with its range');
  return { region: second, range, span };
}
