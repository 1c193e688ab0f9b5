import type { Cloud } from './cloud.ts';
import { type Candidate, type Criterion } from './decide.ts';
import { regionsAt } from './environment-rules.ts';
import type { Environment } from './environment.ts';
import type { Plan } from './plan.ts';
import { trustCounts } from './prices.ts';

/** What is in no price, for whoever reads one. */
export const NOT_PRICED =
  'traffic out to the internet, logs that are kept for longer than is free, backups of the database, alarms and measurements, trails of who did what, promises of how soon objects are copied, discounts, support, taxes';

/** Of a candidate by a criterion; nothing to compare where it, or every other, cannot be. */
export function scoreText(candidates: readonly Candidate[], candidate: Candidate, criterion: Criterion): string {
  const possible = candidates.filter(({ obstacles }) => obstacles.length === 0);
  if (!possible.includes(candidate) || (criterion === 'cost' && possible.length === 1)) return '-';
  return candidate.scores[criterion].toFixed(2);
}

/** `us-east-1, not us-east-2`: the regions of which the prices are, and those of the site that are others. */
export function pricedRegionText(environment: Environment, { cloud, pricesOfRegions }: Plan): string {
  const own = regionsAt(environment, cloud)
    .filter(({ answers }) => answers)
    .flatMap(({ name }) => (name === undefined || pricesOfRegions.includes(name) ? [] : [name]));
  const of = pricesOfRegions.join(' and ');
  return own.length === 0 ? of : `${of}, not ${own.join(' and ')}`;
}

/** `2026-11`, or from when to when the prices of a plan were read. */
export function pricesAsOf({ lines }: Plan): string {
  const months = lines.map(({ price }) => price.asOf).toSorted();
  const [first, last] = [months[0] ?? '', months.at(-1) ?? ''];
  return first === last ? first : `${first} to ${last}`;
}

/** `13 of 25`: how many prices of a plan nobody has looked up at the vendor or elsewhere. */
export function unverifiedText({ lines }: Plan): string {
  const prices = [...new Set(lines.map(({ price }) => price))];
  const { unverified, estimate } = trustCounts(prices);
  return `${unverified + estimate} of ${prices.length}`;
}

/** What is in each region after the first, and so priced; empty where there is one only. */
export function regionsText(environment: Environment): string {
  const [, ...others] = regionsAt(environment, environment.provider);
  const each = others.map(({ answers, hasData }, index) => {
    const named = `regions[${index + 1}]`;
    if (answers) return `${named} services and ${hasData ? 'a' : 'no'} copy of the data`;
    return hasData ? `${named} a copy of the data` : `${named} nothing`;
  });
  return each.join(', ');
}

/** Which regions after the first are priced as if they answered, while no stack makes what would; empty where none is. */
export function notMadeText(environment: Environment): string {
  const named = regionsAt(environment, environment.provider).flatMap(({ answers }, index) =>
    index > 0 && answers ? [`regions[${index}]`] : [],
  );
  return named.length === 0
    ? ''
    : `Priced, and made by no stack: what would answer in ${named.join(' and ')}, by the hour or month (services, network, gateways, streams)`;
}

/** The names of an environment's regions, were it at that cloud. */
export function regionNames(environment: Environment, cloud: Cloud): string {
  const regions = regionsAt(environment, cloud);
  return regions.map(({ cloud: own, name }) => (own === cloud ? (name ?? 'none') : `${name} (${own})`)).join(' and ');
}
