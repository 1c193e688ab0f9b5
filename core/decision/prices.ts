import { z } from 'zod';
import type { Cloud } from './cloud.ts';

/** How far a price can be relied on. */
const TRUST = ['list', 'secondary', 'unverified', 'estimate'] as const;
export type Trust = (typeof TRUST)[number];

/** What each level of trust says, for whoever reads a price. */
export const TRUST_MEANING: Readonly<Record<Trust, string>> = {
  list: "the vendor's price list or documents say so",
  secondary: 'a page of somebody else says so',
  unverified: 'general knowledge: look it up before you rely on it',
  estimate: 'computed from another price, as its basis says',
};

/** What a plan at each cloud is made of; a price file has just these. */
export const PRICE_ITEMS = {
  aws: [
    'connectionMinutesMillion',
    'messagesMillion',
    'messagesNextMillion',
    'messagesMostMillion',
    'ruleTriggersMillion',
    'ruleActionsMillion',
    'shardHour',
    'shardExtendedHour',
    'putUnitsMillion',
    'tableWritesMillion',
    'kafkaBrokerHour',
    'kafkaStorageGb',
    'databaseSmallHour',
    'databaseMediumHour',
    'databaseLargeHour',
    'databaseXlargeHour',
    'databaseStorageGb',
    'vcpuHour',
    'memoryGbHour',
    'clusterHour',
    'nodeHour',
    'modelMachineHour',
    'objectsHotGb',
    'objectsArchiveGb',
    'objectWritesThousand',
    'natHour',
    'natGb',
    'endpointHour',
    'publicAddressHour',
    'balancerHour',
    'balancerUnitHour',
    'firewallMonth',
    'logsGb',
    'secretMonth',
    'keyMonth',
    'queryTb',
    'regionTransferGb',
  ],
  azure: [
    'hubS1Month',
    'hubS2Month',
    'hubS3Month',
    'throughputUnitHour',
    'eventsMillion',
    'blobWritesTenThousand',
    'databaseSmallHour',
    'databaseMediumHour',
    'databaseLargeHour',
    'databaseXlargeHour',
    'databaseStorageGb',
    'vcpuSecond',
    'memoryGbSecond',
    'clusterHour',
    'nodeHour',
    'balancerHour',
    'modelMachineHour',
    'objectsHotGb',
    'objectsHotZonesGb',
    'objectsColdGb',
    'objectsColdZonesGb',
    'natHour',
    'natGb',
    'endpointHour',
    'publicAddressHour',
    'appsEndpointHour',
    'frontDoorStandardMonth',
    'frontDoorPremiumMonth',
    'registryBasicMonth',
    'registryPremiumMonth',
    'logsGb',
    'queryTb',
    'regionTransferGb',
  ],
  gcp: [
    'throughputTib',
    'streamStorageGb',
    'kafkaUnitHour',
    'kafkaStorageGb',
    'brokerHour',
    'databaseVcpuHour',
    'databaseMemoryGb',
    'databaseStorageGb',
    'vcpuSecond',
    'memoryGbSecond',
    'clusterHour',
    'podVcpuHour',
    'podMemoryGbHour',
    'modelMachineHour',
    'objectsHotGb',
    'objectsArchiveGb',
    'objectWritesThousand',
    'natInstanceHour',
    'natGb',
    'publicAddressHour',
    'forwardingRuleHour',
    'firewallMonth',
    'logsGb',
    'secretMonth',
    'queryTb',
    'regionTransferGb',
  ],
} as const satisfies Readonly<Record<Cloud, readonly string[]>>;

/** What has a price at a cloud. */
export type PriceItem<Of extends Cloud = Cloud> = (typeof PRICE_ITEMS)[Of][number];

/** What is counted by use; everything else is by the hour or month that it is there. */
const METERED: readonly PriceItem[] = [
  'connectionMinutesMillion',
  'messagesMillion',
  'messagesNextMillion',
  'messagesMostMillion',
  'ruleTriggersMillion',
  'ruleActionsMillion',
  'putUnitsMillion',
  'tableWritesMillion',
  'eventsMillion',
  'blobWritesTenThousand',
  'throughputTib',
  'streamStorageGb',
  'objectsHotGb',
  'objectsHotZonesGb',
  'objectsColdGb',
  'objectsColdZonesGb',
  'objectsArchiveGb',
  'objectWritesThousand',
  'natGb',
  'logsGb',
  'queryTb',
  'regionTransferGb',
];

export function isMetered(item: PriceItem): boolean {
  return METERED.includes(item);
}

const price = z
  .strictObject({
    usd: z.number().min(0).describe('US dollars.'),
    per: z.string().min(2).describe('For what.'),
    asOf: z
      .string()
      .regex(/^20\d\d-(0[1-9]|1[0-2])$/, 'a year and month, such as 2026-11')
      .describe('When it was read or known.'),
    trust: z.enum(TRUST).describe('How far it can be relied on.'),
    source: z.string().min(8).describe('Where it is from, or where to check it.'),
    basis: z.string().min(8).optional().describe('How an estimate was made.'),
  })
  .refine(({ trust, basis }) => (trust === 'estimate') === (basis !== undefined), {
    path: ['basis'],
    message: 'must say how the price was estimated, and must be there for an estimate alone',
  });

/** What one unit costs, since when and says who. */
export type Price = z.infer<typeof price>;

/** The prices of a cloud. */
export interface PriceList<Of extends Cloud = Cloud> {
  readonly region: string;
  readonly items: Readonly<Record<PriceItem<Of>, Price>>;
}

/** Of all clouds. */
export type Prices = { readonly [Of in Cloud]: PriceList<Of> };

/** A file of `environments/prices/`. */
export function priceListSchema<Of extends Cloud>(cloud: Of) {
  const items = z.strictObject(Object.fromEntries(PRICE_ITEMS[cloud].map((item) => [item, price])));
  return z.strictObject({
    cloud: z.literal(cloud),
    region: z.string().describe('Of which these are the prices.'),
    items: items as unknown as z.ZodType<Readonly<Record<PriceItem<Of>, Price>>>,
  });
}

/** How many prices of a list are at each level of trust. */
export function trustCounts(prices: readonly Price[]): Readonly<Record<Trust, number>> {
  const count = (trust: Trust) => prices.filter((each) => each.trust === trust).length;
  return {
    list: count('list'),
    secondary: count('secondary'),
    unverified: count('unverified'),
    estimate: count('estimate'),
  };
}
