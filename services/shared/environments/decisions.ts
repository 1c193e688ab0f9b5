import { readFileSync } from 'node:fs';
import { boundProblems } from '#core/decision/cost-bounds.ts';
import { CLOUD_NAMES, type Cloud } from '#core/decision/cloud.ts';
import { decide, type Decision } from '#core/decision/decide.ts';
import { decisionSection, recordedDecisions, type RecordedDecision } from '#core/decision/decision-document.ts';
import { notMadeAt } from '#core/decision/not-made.ts';
import type { Prices } from '#core/decision/prices.ts';
import { ConfigurationError } from '../config/configuration-error.ts';
import type { DescribedEnvironment, Site } from './environment-files.ts';

/** What is computed of a site, by the environment that its decision rests on. */
export function decisionOf({ decided, input }: Site, prices: Prices): Decision {
  return decide(decided.environment, input, prices);
}

/** The section of a site as it has to stand in the document. */
export function sectionOf(site: Site, prices: Prices, date: string): string {
  const others = site.environments.filter((each) => each !== site.decided).map(({ environment }) => environment);
  return decisionSection(decisionOf(site, prices), others, prices, date);
}

/** The document of decisions; empty where there is none yet. */
export function readDecisions(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}

/**
 * What stands in the way of provisioning an environment, a line each: no decision of its site, what it asks for and its cloud's stacks do not make, a
 * budget or a bound that its plan does not keep. Empty where nothing does. Which cloud was decided is not compared: an environment may be looked at elsewhere, and {@link disagreements} tells.
 */
export function obstaclesToProvision(
  described: DescribedEnvironment,
  document: string,
  prices: Prices,
): readonly string[] {
  const { path, environment, lineOf } = described;
  const undecided = recordOf(document, environment.site)
    ? []
    : [`${path}:1: there is no decision of ${environment.site}: run npx tribo decide ${environment.site} --write`];
  const bounds = boundProblems(environment, prices).map(({ at, problem }) => {
    const where = at.length === 0 ? '' : `${at.join('.')} `;
    return `${path}:${lineOf(at)}: ${where}${problem}`;
  });
  return [...undecided, ...notMadeLines(described, environment.provider), ...bounds];
}

/** What an environment asks for and the stacks of a cloud do not make, were it there: a line each. */
export function notMadeLines({ path, environment, lineOf }: DescribedEnvironment, cloud: Cloud): readonly string[] {
  return notMadeAt(cloud, environment).map(
    ({ at, what }) => `${path}:${lineOf(at)}: ${what} is not made at ${CLOUD_NAMES[cloud]} yet`,
  );
}

/** Where environments and the document say different things, a line each: what `tribo decide --write` would mend. Empty where they agree. */
export function disagreements(sites: readonly Site[], document: string, prices: Prices): readonly string[] {
  const known = new Set(sites.map(({ name }) => name));
  return [
    ...sites.flatMap((site) => disagreementsOf(site, document, prices)),
    ...recordedDecisions(document)
      .filter(({ site }) => !known.has(site))
      .map(({ site }) => `the document has a section ${site}, and there is no environment of it: remove one of them`),
  ];
}

function disagreementsOf(site: Site, document: string, prices: Prices): readonly string[] {
  const remedy = `run npx tribo decide ${site.name} --write`;
  const record = recordOf(document, site.name);
  if (!record) return [`the document has no section ${site.name}: ${remedy}`];
  const elsewhere = site.environments.filter(({ environment }) => environment.provider !== record.provider);
  return [
    ...elsewhere.map(
      ({ path, environment, lineOf }) =>
        `${path}:${lineOf(['provider'])}: provider is ${environment.provider}, and ${record.provider} was decided: ${remedy}`,
    ),
    ...(record.section === sectionOf(site, prices, record.date)
      ? []
      : [`the section ${site.name} is not what its environments and the prices give: ${remedy}`]),
  ];
}

function recordOf(document: string, name: string): RecordedDecision | undefined {
  return recordedDecisions(document).find(({ site }) => site === name);
}

/** The site of that name. @throws ConfigurationError with those that there are. */
export function siteNamed(sites: readonly Site[], name: string): Site {
  const site = sites.find((each) => each.name === name);
  if (site) return site;
  throw new ConfigurationError([
    `there is no site ${name}; there are ${sites.map((each) => each.name).join(', ') || 'none'}`,
  ]);
}
