import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { InvalidArgumentError, type Command } from 'commander';
import { CLOUDS, CLOUD_NAMES, type Cloud } from '#core/decision/cloud.ts';
import { boundProblems, savingsOf, type Saving } from '#core/decision/cost-bounds.ts';
import { candidateOf, CRITERIA, type Candidate, type Decision } from '#core/decision/decide.ts';
import { figure, recordedDecisions, withSection } from '#core/decision/decision-document.ts';
import {
  NOT_PRICED,
  notMadeText,
  pricedRegionText,
  pricesAsOf,
  regionsText,
  scoreText,
  unverifiedText,
} from '#core/decision/decision-text.ts';
import { demandOf } from '#core/decision/demand.ts';
import type { Environment } from '#core/decision/environment.ts';
import { environmentProblems, environmentRemarks, type RuleProblem } from '#core/decision/environment-rules.ts';
import { PARTS } from '#core/decision/plan.ts';
import { planAt } from '#core/decision/plan-at.ts';
import type { Prices } from '#core/decision/prices.ts';
import { ConfigurationError } from '#services/shared/config/configuration-error.ts';
import { nameOf } from '#services/shared/environments/checked-file.ts';
import {
  decisionOf,
  notMadeLines,
  readDecisions,
  sectionOf,
  siteNamed,
} from '#services/shared/environments/decisions.ts';
import { loadPrices, loadSites, type Site } from '#services/shared/environments/environment-files.ts';
import type { Action, CommandContext } from './main.ts';
import { CommandError, table } from './output.ts';

interface DecideFlags {
  readonly environments: string;
  readonly document: string;
  readonly write?: true;
  readonly date?: string;
}

/** What `--json` prints. */
interface Decided {
  readonly decision: Decision;
  /** What would make the chosen cloud's plan cheaper. */
  readonly savings: readonly Saving[];
  /** What each environment of the site costs at the chosen cloud. */
  readonly costs: readonly {
    readonly environment: string;
    readonly usdPerMonth: number;
    readonly budgetUsdPerMonth: number;
  }[];
  /** Why environments of the site would be refused at the chosen cloud, and the bounds that they do not keep there. */
  readonly problems: readonly string[];
  /** What to know of environments at the chosen cloud, which is allowed. */
  readonly remarks: readonly string[];
  /** Files that were changed; empty without `--write`, or where they said the same. */
  readonly written: readonly string[];
}

const SHOWN_SAVINGS = 3;
const NO_DECISIONS = '# Which cloud each site is at\n';

/** `tribo decide`: sizes, prices and weighs a site on each cloud. Reaches nothing: environments and prices are files. */
export function addDecideCommand(program: Command, action: Action): void {
  program
    .command('decide <site>')
    .description(
      'size and price a site on each cloud, from environments/<site>.<stage>.yaml, and weigh them (docs/environments.md)',
    )
    .option('--write', 'put the decision into its document, and the chosen provider into the environments')
    .option('--environments <folder>', 'where the environments and prices are', 'environments')
    .option('--document <file>', 'of the decisions', 'docs/cloud_decision.md')
    .option('--date <day>', 'of the decision, such as 2026-11-22 (default: today)', day)
    .action(action(run));
}

async function run({ out }: CommandContext, name: string, flags: DecideFlags): Promise<void> {
  const prices = loadPrices(join(flags.environments, 'prices'));
  const site = siteNamed(loadSites(flags.environments), name);
  const decision = decisionOf(site, prices);
  const { choice } = decision;
  if (choice === undefined)
    throw new CommandError(
      'data',
      `no cloud will do for ${name}: ${decision.candidates.flatMap(({ obstacles }) => obstacles).join('; ')}`,
      'name other regions, change what it needs, or divide it into several sites',
    );
  const at = site.environments.map(({ path, environment }) => ({
    path,
    environment: { ...environment, provider: choice },
  }));
  const refused = saidOf(site, choice, environmentProblems);
  // Nothing is written then.
  if (flags.write && refused.length > 0) throw new ConfigurationError(refused);
  const bounds = at.flatMap(({ path, environment }) =>
    boundProblems(environment, prices).map(
      ({ at: key, problem }) => `${path}: ${[...key, ''].join('.').replace(/\.$/, ' ')}${problem}`,
    ),
  );
  const notMade = site.environments.flatMap((described) => notMadeLines(described, choice));
  const costs = at.map(({ environment }) => ({
    environment: `${environment.site}.${environment.stage}`,
    usdPerMonth: planAt(choice, environment, prices).usdPerMonth,
    budgetUsdPerMonth: environment.budget.usdPerMonth,
  }));
  const savings = savingsOf({ ...decision.environment, provider: choice }, prices);
  const written = flags.write ? write(site, choice, prices, flags) : [];
  const remarks = saidOf(site, choice, environmentRemarks);
  out.result(
    { decision, costs, savings, problems: [...refused, ...notMade, ...bounds], remarks, written },
    decidedText,
  );
}

/** What rules say of environments with that provider, a line each. */
function saidOf(
  site: Site,
  choice: Cloud,
  rules: (environment: Environment) => readonly RuleProblem[],
): readonly string[] {
  return site.environments.flatMap(({ path, environment, lineOf }) =>
    rules({ ...environment, provider: choice }).map(
      ({ at, problem }) => `${path}:${lineOf(at)}: with provider ${choice}, ${nameOf(at)} ${problem}`,
    ),
  );
}

/** Changes the provider of each environment, and the site's section. A section that says the same keeps its date. */
function write(site: Site, choice: Cloud, prices: Prices, { document: path, date }: DecideFlags): readonly string[] {
  const changed = site.environments.filter(({ environment }) => environment.provider !== choice);
  for (const { path: file } of changed) {
    const text = readFileSync(file, 'utf8');
    writeFileSync(file, text.replace(/^provider:[ \t]*["']?[a-z]+["']?/m, `provider: ${choice}`));
  }
  const document = readDecisions(path) || NO_DECISIONS;
  const before = recordedDecisions(document).find((record) => record.site === site.name);
  if (before && before.section === sectionOf(site, prices, before.date)) return changed.map((each) => each.path);
  const section = sectionOf(site, prices, date ?? new Date().toISOString().slice(0, 10));
  writeFileSync(path, withSection(document, site.name, section));
  return [...changed.map((each) => each.path), path];
}

function day(text: string): string {
  const date = new Date(`${text}T00:00:00Z`);
  if (!Number.isNaN(date.getTime()) && date.toISOString().startsWith(text)) return text;
  throw new InvalidArgumentError('It must be a day, such as 2026-11-22.');
}

function decidedText({ decision, costs, savings, problems, remarks, written }: Decided): string {
  const { environment, input, candidates, choice, sensitivity, changes } = decision;
  const { readingsPerS, messagesPerS } = demandOf(environment);
  const by = (of: (candidate: Candidate) => string) => CLOUDS.map((cloud) => of(candidateOf(candidates, cloud)));
  const rows = [
    ...PARTS.filter((part) => candidates.some(({ plan }) => plan.usdByPart[part] !== 0)).map((part) => [
      part,
      ...by(({ plan }) => `${plan.usdByPart[part].toFixed(2)}${sizeText(plan.sized[part])}`),
    ]),
    ['USD a month', ...by(({ plan }) => plan.usdPerMonth.toFixed(2))],
    ['USD for 1,000 readings', ...by(({ plan }) => plan.usdPerThousandReadings.toFixed(5))],
    ['USD a machine', ...by(({ plan }) => plan.usdPerMachine.toFixed(2))],
    ...CRITERIA.map((criterion) => [
      `${criterion}, counts ${input.weights[criterion]}`,
      ...by((candidate) => scoreText(candidates, candidate, criterion)),
    ]),
    ['score', ...by(({ obstacles, score }) => (obstacles.length > 0 ? '-' : score.toFixed(3))), choice ?? 'none'],
    ...sensitivity
      .slice(1)
      .map(({ name, usdPerMonth, choice: then }) => [
        `USD, ${name}`,
        ...CLOUDS.map((cloud) => usdPerMonth[cloud].toFixed(2)),
        then ?? 'none',
      ]),
  ];
  const regions = regionsText(environment);
  const notMade = notMadeText(environment);
  const budgets = costs.map(
    (each) => `${each.environment} ${each.usdPerMonth.toFixed(2)} of ${each.budgetUsdPerMonth.toFixed(2)}`,
  );
  const priced = by(({ plan }) => `${pricedRegionText(environment, plan)} (${unverifiedText(plan)}`).map(
    (each, index) => `${each}${index === 0 ? ' unverified or estimated' : ''})`,
  );
  const dates = [...new Set(by(({ plan }) => pricesAsOf(plan)))].join(', ');
  return [
    `${environment.site}.${environment.stage}: ${environment.workload.machines} machines, ${figure(messagesPerS)} messages/s, ${figure(readingsPerS)} readings/s; data stays in ${environment.residency.join(', ')}`,
    '',
    table(['USD a month (size)', ...CLOUDS.map((cloud) => CLOUD_NAMES[cloud]), 'choice'], rows),
    '',
    `Choice: ${choice ?? 'none'}. ${input.reason.trim().replaceAll(/\s+/g, ' ')} (${input.by})`,
    `Budgets, USD a month: ${budgets.join('; ')}.`,
    `Prices, USD of ${dates}: ${priced.join('; ')}. Not in them: ${NOT_PRICED}.`,
    ...(regions === '' ? [] : [`After the first region: ${regions}.`]),
    ...(notMade === ''
      ? []
      : [`${notMade}: USD ${by(({ plan }) => plan.usdOfOtherRegions.toFixed(2)).join(', ')} of a month's.`]),
    ...listed(
      'Not possible',
      candidates.flatMap(({ obstacles }) => obstacles),
    ),
    ...listed(
      'It would change',
      changes.filter((change) => !change.endsWith('weighed again')),
    ),
    ...listed(
      'Cheaper',
      savings.slice(0, SHOWN_SAVINGS).map(({ change, savedUsd }) => `$${savedUsd.toFixed(2)} by ${change}`),
    ),
    ...problems.map((problem) => `In the way: ${problem}.`),
    ...remarks.map((remark) => `To know: ${remark}.`),
    ...written.map((path) => `Written: ${path}.`),
  ].join('\n');
}

function listed(name: string, each: readonly string[]): readonly string[] {
  return each.length === 0 ? [] : [`${name}: ${each.join('; ')}.`];
}

function sizeText(size: string | undefined): string {
  return size === undefined ? '' : ` (${size})`;
}
