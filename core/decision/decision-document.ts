import { CLOUDS, CLOUD_NAMES } from './cloud.ts';
import { boundProblems, MAX_USD_PER_THOUSAND_READINGS } from './cost-bounds.ts';
import { candidateOf, CRITERIA, type Candidate, type Decision } from './decide.ts';
import { demandOf } from './demand.ts';
import {
  NOT_PRICED,
  notMadeText,
  pricedRegionText,
  pricesAsOf,
  regionNames,
  regionsText,
  scoreText,
} from './decision-text.ts';
import type { Environment } from './environment.ts';
import { PARTS } from './plan.ts';
import { planAt } from './plan-at.ts';
import { trustCounts, type Prices } from './prices.ts';

/** From the folder of the document. */
const WHY_NOT_MADE = '../infra/README.md#what-is-not-there-yet';

/** What stands in the document about a site's choice. */
export interface RecordedDecision {
  readonly site: string;
  readonly provider: string;
  /** A day, `2026-11-22`. */
  readonly date: string;
  /** The whole section, from its heading on. */
  readonly section: string;
}

/** The part of the document that a site has, with tables that {@link recordedDecisions} reads back. */
export function decisionSection(
  decision: Decision,
  others: readonly Environment[],
  prices: Prices,
  date: string,
): string {
  const { environment, input, choice, changes } = decision;
  const notMade = notMadeText(environment);
  return [
    `## ${environment.site}`,
    '',
    table(
      ['Decision', ''],
      [
        ['provider', choice ?? 'none'],
        ['date', date],
        ['by', input.by],
        ['reason', input.reason],
        ['computed from', `environments/${environment.site}.${environment.stage}.yaml`],
      ],
    ),
    '',
    table(['Requirement', ''], requirementRows(environment)),
    '',
    table(['USD a month', ...CLOUDS.map((cloud) => CLOUD_NAMES[cloud])], costRows(decision)),
    '',
    `Not in it: ${NOT_PRICED}.`,
    '',
    ...(notMade === '' ? [] : [`${notMade}. [Why](${WHY_NOT_MADE}).`, '']),
    table(['Sized, in the first region', ...CLOUDS.map((cloud) => CLOUD_NAMES[cloud])], sizeRows(decision)),
    '',
    table(['Weighed', 'weight', ...CLOUDS.map((cloud) => CLOUD_NAMES[cloud])], scoreRows(decision)),
    '',
    table(
      ['USD a month (per 1,000 readings)', ...CLOUDS.map((cloud) => CLOUD_NAMES[cloud]), 'choice'],
      loadRows(decision),
    ),
    '',
    table(
      ['Environment', 'USD a month', 'budget', 'per 1,000 readings', 'within its bounds'],
      environmentRows(decision, others, prices),
    ),
    '',
    'What would change the choice:',
    '',
    ...(changes.length > 0 ? changes : ['nothing that was looked at']).map((change) => `- ${change}`),
    '',
  ].join('\n');
}

/** The document with a site's section in place of the one that it had, else as the last. */
export function withSection(document: string, site: string, section: string): string {
  const { before, sections } = parts(document);
  const at = sections.findIndex((each) => headingOf(each) === site);
  const then = at < 0 ? [...sections, section] : sections.with(at, section);
  return [before, ...then].map((each) => each.trimEnd()).join('\n\n') + '\n';
}

/** What the document says of each site. */
export function recordedDecisions(document: string): readonly RecordedDecision[] {
  return parts(document).sections.map((section) => ({
    site: headingOf(section),
    provider: rowOf(section, 'provider'),
    date: rowOf(section, 'date'),
    section: `${section.trimEnd()}\n`,
  }));
}

function parts(document: string): { readonly before: string; readonly sections: readonly string[] } {
  const [before = '', ...sections] = document.split(/^(?=## )/m);
  return { before, sections };
}

function headingOf(section: string): string {
  return /^## (.*)$/m.exec(section)?.[1] ?? '';
}

function rowOf(section: string, key: string): string {
  return new RegExp(`^\\| ${key} \\| (.*) \\|$`, 'm').exec(section)?.[1] ?? '';
}

function requirementRows(environment: Environment): readonly (readonly string[])[] {
  const { workload, retention, switches, residency, availabilityPercent, sizes } = environment;
  const { messagesPerS, readingsPerS, devices } = demandOf(environment);
  const { waveforms } = workload;
  const on = (['multiAz', 'secondRegion', 'warehouse', 'rawArchive'] as const).filter((key) => switches[key]);
  return [
    ['data stays in', residency.join(', ')],
    ['regions', CLOUDS.map((cloud) => `${cloud}: ${regionNames(environment, cloud)}`).join('; ')],
    ...(environment.regions.length > 1 ? [['after the first', regionsText(environment)]] : []),
    ['machines, devices', `${workload.machines}, ${devices}`],
    [
      'messages',
      `${figure(messagesPerS)}/s of ${workload.bytesPerMessage} bytes, ${workload.peakFactor} times that at the peak`,
    ],
    ['readings', `${figure(readingsPerS)}/s`],
    [
      'waveforms',
      waveforms ? `${figure(waveforms.perMachinePerDay)} a machine and day, ${waveforms.bytes} bytes each` : 'none',
    ],
    [
      'kept',
      `readings ${retention.readingsDays} days, minutes ${retention.rollupsDays}, waveforms ${retention.waveformsDays}`,
    ],
    ['availability', `${availabilityPercent} %`],
    ['sizes and switches', [sizes, switches.orchestrator, `${switches.eventStream} stream`, ...on].join(', ')],
  ];
}

function costRows({ candidates, environment }: Decision): readonly (readonly string[])[] {
  const row = (name: string, of: (candidate: Candidate) => string) => [
    name,
    ...CLOUDS.map((cloud) => of(candidateOf(candidates, cloud))),
  ];
  return [
    ...PARTS.filter((part) => candidates.some(({ plan }) => plan.usdByPart[part] !== 0)).map((part) =>
      row(part, ({ plan }) => plan.usdByPart[part].toFixed(2)),
    ),
    row('**together**', ({ plan }) => `**${plan.usdPerMonth.toFixed(2)}**`),
    ...(candidates.some(({ plan }) => plan.usdOfOtherRegions > 0)
      ? [row('of it made by no stack', ({ plan }) => plan.usdOfOtherRegions.toFixed(2))]
      : []),
    row('per 1,000 readings', ({ plan }) => plan.usdPerThousandReadings.toFixed(5)),
    row('per machine', ({ plan }) => plan.usdPerMachine.toFixed(2)),
    row('run by the site', ({ plan }) => plan.selfRun.join(', ') || 'nothing'),
    row('not possible', ({ obstacles }) => obstacles.join('; ') || '-'),
    row('prices of', ({ plan }) => pricedRegionText(environment, plan)),
    row('prices as of', ({ plan }) => pricesAsOf(plan)),
    row('prices: list, secondary, unverified, estimate', ({ plan }) => {
      const counts = trustCounts([...new Set(plan.lines.map(({ price }) => price))]);
      return `${counts.list}, ${counts.secondary}, ${counts.unverified}, ${counts.estimate}`;
    }),
  ];
}

function sizeRows({ candidates }: Decision): readonly (readonly string[])[] {
  return PARTS.filter((part) => candidates.some(({ plan }) => plan.sized[part] !== undefined)).map((part) => [
    part,
    ...CLOUDS.map((cloud) => candidateOf(candidates, cloud).plan.sized[part] ?? '-'),
  ]);
}

function scoreRows({ candidates, input }: Decision): readonly (readonly string[])[] {
  return [
    ...CRITERIA.map((criterion) => [
      criterion,
      String(input.weights[criterion]),
      ...CLOUDS.map((cloud) => scoreText(candidates, candidateOf(candidates, cloud), criterion)),
    ]),
    [
      '**score**',
      '',
      ...CLOUDS.map((cloud) => candidateOf(candidates, cloud)).map(({ obstacles, score }) =>
        obstacles.length > 0 ? '-' : `**${score.toFixed(3)}**`,
      ),
    ],
  ];
}

function loadRows({ sensitivity }: Decision): readonly (readonly string[])[] {
  return sensitivity.map(({ name, usdPerMonth, usdPerThousandReadings, choice }) => [
    name,
    ...CLOUDS.map((cloud) => `${usdPerMonth[cloud].toFixed(2)} (${usdPerThousandReadings[cloud].toFixed(5)})`),
    choice ?? 'none',
  ]);
}

function environmentRows(
  { environment, choice }: Decision,
  others: readonly Environment[],
  prices: Prices,
): readonly (readonly string[])[] {
  return [...others, environment].map((each) => {
    const at = { ...each, provider: choice ?? each.provider };
    const plan = planAt(at.provider, at, prices);
    const perThousand = plan.usdPerThousandReadings.toFixed(5);
    return [
      `${each.site}.${each.stage}`,
      plan.usdPerMonth.toFixed(2),
      String(each.budget.usdPerMonth),
      each.stage === 'dev' ? `${perThousand} (no bound)` : `${perThousand} of ${MAX_USD_PER_THOUSAND_READINGS}`,
      boundProblems(at, prices).length === 0 ? 'yes' : 'no',
    ];
  });
}

/** Three digits, as a person would say it. */
export function figure(value: number): string {
  return String(Number(value.toPrecision(3)));
}

function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map(cellText).join(' | ')} |`;
  return [line(header), `|${'---|'.repeat(header.length)}`, ...rows.map(line)].join('\n');
}

/** A cell is on one line, whatever a person wrote. */
function cellText(text: string): string {
  return text
    .trim()
    .replaceAll(/\s*\n\s*/g, ' ')
    .replaceAll('|', '\\|');
}
