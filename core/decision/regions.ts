import { CLOUDS, type Cloud } from './cloud.ts';

/** Regions by cloud and country (ISO 3166); of those with one zone only, the name ends in `!`. Collected in November 2026, from general knowledge. */
const REGIONS_BY_COUNTRY: Readonly<Record<Cloud, Readonly<Record<string, string>>>> = {
  aws: {
    US: 'us-east-1 us-east-2 us-west-1 us-west-2',
    CA: 'ca-central-1 ca-west-1',
    MX: 'mx-central-1',
    BR: 'sa-east-1',
    IE: 'eu-west-1',
    GB: 'eu-west-2',
    FR: 'eu-west-3',
    DE: 'eu-central-1',
    CH: 'eu-central-2',
    SE: 'eu-north-1',
    IT: 'eu-south-1',
    ES: 'eu-south-2',
    IL: 'il-central-1',
    BH: 'me-south-1',
    AE: 'me-central-1',
    ZA: 'af-south-1',
    IN: 'ap-south-1 ap-south-2',
    SG: 'ap-southeast-1',
    AU: 'ap-southeast-2 ap-southeast-4',
    ID: 'ap-southeast-3',
    MY: 'ap-southeast-5',
    NZ: 'ap-southeast-6',
    TH: 'ap-southeast-7',
    JP: 'ap-northeast-1 ap-northeast-3',
    KR: 'ap-northeast-2',
    HK: 'ap-east-1',
    TW: 'ap-east-2',
  },
  azure: {
    US: 'eastus eastus2 centralus southcentralus westus2 westus3 westus! northcentralus! westcentralus!',
    CA: 'canadacentral canadaeast!',
    MX: 'mexicocentral',
    BR: 'brazilsouth',
    IE: 'northeurope',
    NL: 'westeurope',
    GB: 'uksouth ukwest!',
    FR: 'francecentral',
    DE: 'germanywestcentral',
    CH: 'switzerlandnorth',
    SE: 'swedencentral',
    NO: 'norwayeast',
    IT: 'italynorth',
    ES: 'spaincentral',
    PL: 'polandcentral',
    IL: 'israelcentral',
    AE: 'uaenorth',
    QA: 'qatarcentral',
    ZA: 'southafricanorth',
    IN: 'centralindia southindia!',
    SG: 'southeastasia',
    HK: 'eastasia',
    AU: 'australiaeast australiasoutheast!',
    ID: 'indonesiacentral',
    MY: 'malaysiawest',
    NZ: 'newzealandnorth',
    JP: 'japaneast japanwest',
    KR: 'koreacentral koreasouth!',
  },
  gcp: {
    US: 'us-central1 us-east1 us-east4 us-east5 us-south1 us-west1 us-west2 us-west3 us-west4',
    CA: 'northamerica-northeast1 northamerica-northeast2',
    MX: 'northamerica-south1',
    BR: 'southamerica-east1',
    CL: 'southamerica-west1',
    BE: 'europe-west1',
    NL: 'europe-west4',
    GB: 'europe-west2',
    FR: 'europe-west9',
    DE: 'europe-west3 europe-west10',
    CH: 'europe-west6',
    FI: 'europe-north1',
    SE: 'europe-north2',
    IT: 'europe-west8 europe-west12',
    ES: 'europe-southwest1',
    PL: 'europe-central2',
    IL: 'me-west1',
    QA: 'me-central1',
    SA: 'me-central2',
    ZA: 'africa-south1',
    IN: 'asia-south1 asia-south2',
    SG: 'asia-southeast1',
    ID: 'asia-southeast2',
    AU: 'australia-southeast1 australia-southeast2',
    JP: 'asia-northeast1 asia-northeast2',
    KR: 'asia-northeast3',
    HK: 'asia-east2',
    TW: 'asia-east1',
  },
};

const EU = ['BE', 'DE', 'ES', 'FI', 'FR', 'IE', 'IT', 'NL', 'PL', 'SE'];

/** A place where a cloud runs what a site has. */
export interface Region {
  readonly name: string;
  /** ISO 3166. */
  readonly country: string;
  /** Whether it has the zones that `switches.multiAz` wants. */
  readonly hasZones: boolean;
}

/** The regions that are known, by cloud. */
export const REGIONS: Readonly<Record<Cloud, readonly Region[]>> = {
  aws: regionsOf('aws'),
  azure: regionsOf('azure'),
  gcp: regionsOf('gcp'),
};

/** Where data may have to stay: a country, or `EU` for any of its members. */
export const JURISDICTIONS: readonly [string, ...string[]] = [
  'EU',
  ...new Set(CLOUDS.flatMap((cloud) => Object.keys(REGIONS_BY_COUNTRY[cloud])).toSorted()),
];

/** Whether what is kept in a country stays where a site's data may be. */
export function staysWithin(country: string, residency: readonly string[]): boolean {
  return residency.includes(country) || (residency.includes('EU') && EU.includes(country));
}

/** The known region of that name; undefined where the cloud has none. */
export function regionNamed(cloud: Cloud, name: string): Region | undefined {
  return REGIONS[cloud].find((region) => region.name === name);
}

function regionsOf(cloud: Cloud): readonly Region[] {
  return Object.entries(REGIONS_BY_COUNTRY[cloud]).flatMap(([country, names]) =>
    names.split(' ').map((name) => ({ name: name.replace('!', ''), country, hasZones: !name.endsWith('!') })),
  );
}
