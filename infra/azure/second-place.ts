import { regionsAt } from '../../core/decision/environment-rules.ts';
import type { Environment } from '../../core/decision/environment.ts';
import { Names } from '../names.ts';
import type { Site } from '../site.ts';

/** The environment's second region at Azure, and what is called how there. */
export interface SecondPlace {
  readonly region: string;
  /** Of its network. */
  readonly range: string;
  readonly names: Names;
}

/** The second region, by `switches.secondRegion`. @throws Error where the environment has none: what its own checks and `notMadeAt` refuse. */
export function secondPlace(environment: Environment): SecondPlace | undefined {
  if (!environment.switches.secondRegion) return undefined;
  const second = regionsAt(environment, 'azure')[1];
  const range = environment.regions[1]?.range;
  if (second?.cloud !== 'azure' || second.name === undefined || range === undefined)
    throw new Error('switches.secondRegion wants regions[1], with its name at Azure and its range');
  return { region: second.name, range, names: new Names(environment, second.name) };
}

/**
 * The site as it is called at Azure. Groups of resources, roles and much else have one name in the subscription or in all the world: with a second
 * region each is called by its region, so that nothing of the first is in the way of what is made there once the first is away.
 */
export function calledByItsRegion(site: Site): Site {
  if (!site.environment.switches.secondRegion) return site;
  return { ...site, names: new Names(site.environment, site.region) };
}
