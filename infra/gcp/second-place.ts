import { regionsAt } from '../../core/decision/environment-rules.ts';
import type { Environment } from '../../core/decision/environment.ts';

/** Locations of Cloud KMS and of Artifact Registry that are a continent. */
type Continent = 'asia' | 'europe' | 'us';

/** Where buckets are that are in two regions, and what is to be there with them. */
interface Span {
  /** As Cloud Storage calls it: `EU`. */
  readonly location: string;
  /** Both regions, where the location alone does not say which: `EUROPE-WEST1`. */
  readonly placement: readonly string[] | undefined;
  /** Where Cloud KMS has the key of such buckets: `europe`. */
  readonly keyLocation: string;
  readonly continent: Continent;
}

/** The environment's second region, and what spans both. */
export interface SecondPlace {
  readonly region: string;
  /** Of which the copy of the database has its addresses, and services once they are there. */
  readonly range: string;
  readonly span: Span;
}

/**
 * The regions of which any two may have buckets in both: https://cloud.google.com/storage/docs/locations#location-dr. Pairs within Germany, Italy, India,
 * Canada and Australia, and those of London and Zürich, have locations of their own, for which it was not found where their keys are; us-east5 has a
 * reservation there that was not found. Keys: https://cloud.google.com/storage/docs/encryption/customer-managed-keys.
 */
const CONFIGURABLE: readonly (readonly [location: string, continent: Continent, regions: string])[] = [
  ['ASIA', 'asia', 'asia-east1 asia-southeast1'],
  [
    'EU',
    'europe',
    'europe-central2 europe-north1 europe-southwest1 europe-west1 europe-west3 europe-west4 europe-west8 europe-west9',
  ],
  ['US', 'us', 'us-central1 us-east1 us-east4 us-south1 us-west1 us-west2 us-west3 us-west4'],
];

/** The pairs that are a location by themselves, which Cloud KMS has, too. */
const PREDEFINED: readonly (readonly [location: string, continent: Continent, regions: string])[] = [
  ['ASIA1', 'asia', 'asia-northeast1 asia-northeast2'],
  ['EUR4', 'europe', 'europe-north1 europe-west4'],
  ['NAM4', 'us', 'us-central1 us-east1'],
];

/** What spans two regions; undefined where no bucket does. */
export function spanOf(first: string, second: string): Span | undefined {
  const both = ([, , regions]: (typeof PREDEFINED)[number]) =>
    [first, second].every((region) => regions.split(' ').includes(region));
  const predefined = PREDEFINED.find(both);
  if (predefined) {
    const [location, continent] = predefined;
    return { location, placement: undefined, keyLocation: location.toLowerCase(), continent };
  }
  const configurable = CONFIGURABLE.find(both);
  if (!configurable) return undefined;
  const [location, continent] = configurable;
  // In an order that stays when the second region becomes the first.
  const placement = [first, second].map((region) => region.toUpperCase()).toSorted();
  return { location, placement, keyLocation: continent, continent };
}

/** What an environment asks for of a second region and Google Cloud does not have. */
export function noSecondPlace(environment: Environment): readonly string[] {
  if (!environment.switches.secondRegion) return [];
  const [first, second] = regionsAt(environment, 'gcp');
  if (second?.cloud !== 'gcp') return ['switches.secondRegion with regions[1] at another cloud'];
  if (first?.name === undefined || second.name === undefined || !spanOf(first.name, second.name))
    return ['switches.secondRegion with two regions that no bucket of Cloud Storage is in'];
  return [];
}

/** The environment's second region at Google Cloud, by `switches.secondRegion`. @throws Error where `noSecondPlace` says why there is none. */
export function secondPlace(environment: Environment): SecondPlace | undefined {
  if (!environment.switches.secondRegion) return undefined;
  const [first, second] = regionsAt(environment, 'gcp').map(({ name }) => name);
  const span = first !== undefined && second !== undefined ? spanOf(first, second) : undefined;
  if (second === undefined || !span) throw new Error('no bucket of Cloud Storage is in regions[0] and regions[1]');
  const range = environment.regions[1]?.range;
  if (range === undefined) throw new Error('switches.secondRegion wants regions[1] with its range');
  return { region: second, range, span };
}
