/** Locations of Cloud KMS and of Artifact Registry that are a continent. */
type Continent = 'asia' | 'europe' | 'us';

/** Where buckets are that are in two regions, and what is to be there with them. */
export interface Span {
  /** As Cloud Storage calls it: `EU`. */
  readonly location: string;
  /** Both regions, where the location alone does not say which: `EUROPE-WEST1`. */
  readonly placement: readonly string[] | undefined;
  /** Where Cloud KMS has the key of such buckets: `europe`. */
  readonly keyLocation: string;
  readonly continent: Continent;
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
