import { readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { environmentSchema, STAGES, type DecisionInput, type Environment } from '#core/decision/environment.ts';
import { environmentProblems } from '#core/decision/environment-rules.ts';
import { CLOUDS, type Cloud } from '#core/decision/cloud.ts';
import { priceListSchema, type PriceList, type Prices } from '#core/decision/prices.ts';
import { messageOf } from '#core/errors.ts';
import { ConfigurationError } from '../config/configuration-error.ts';
import { CheckedFile } from './checked-file.ts';

const FILE_NAME = /^([^.]+)\.([^.]+)\.ya?ml$/;

/** An environment with the file that describes it. */
export interface DescribedEnvironment {
  readonly path: string;
  readonly environment: Environment;
  /** The line of a part of it, for what is found wrong later. */
  readonly lineOf: (at: readonly (string | number)[]) => number;
}

/** The environments of one site. */
export interface Site {
  readonly name: string;
  readonly environments: readonly DescribedEnvironment[];
  /** The one that the choice of the cloud rests on, and what was weighed. */
  readonly decided: DescribedEnvironment;
  readonly input: DecisionInput;
}

/** Reads one environment. @throws ConfigurationError that lists everything that is wrong with it: file, line, value, what is allowed. */
export function loadEnvironment(path: string): DescribedEnvironment {
  const file = new CheckedFile(path);
  const environment = file.as(environmentSchema);
  const named = `${environment.site}.${environment.stage}`;
  if (basename(path).replace(/\.ya?ml$/, '') !== named)
    file.say(['site'], `and stage are ${named}: the file must be named ${named}.yaml`);
  for (const { at, problem } of environmentProblems(environment)) file.say(at, problem);
  file.throwProblems();
  return { path, environment, lineOf: (at) => file.lineOf(at) };
}

/**
 * Reads all environments of a folder, `<site>.<stage>.yaml`; other files are left alone.
 * @throws ConfigurationError that lists what is wrong in any of them, and sites of which none or several say what was weighed.
 */
export function loadSites(folder: string): readonly Site[] {
  const problems: string[] = [];
  const environments = filesOf(folder).flatMap(({ path, stage }) => {
    try {
      if (!STAGES.some((known) => known === stage))
        throw new ConfigurationError([`${path}: its second part must be one of ${STAGES.join(', ')}, got ${stage}`]);
      return [loadEnvironment(path)];
    } catch (error) {
      if (!(error instanceof ConfigurationError)) throw error;
      problems.push(...error.problems);
      return [];
    }
  });
  for (const [index, { path, environment }] of environments.entries()) {
    const first = environments.findIndex(
      (each) => each.environment.site === environment.site && each.environment.stage === environment.stage,
    );
    if (first < index)
      problems.push(`${path}: is described by ${environments[first]?.path} already: remove one of them`);
  }
  if (problems.length > 0) throw new ConfigurationError(problems);
  const names = [...new Set(environments.map(({ environment }) => environment.site))];
  const sites = names.map((name) =>
    siteOf(
      name,
      environments.filter(({ environment }) => environment.site === name),
    ),
  );
  const wrong = sites.filter((site) => typeof site === 'string');
  if (wrong.length > 0) throw new ConfigurationError(wrong);
  return sites.filter((site) => typeof site !== 'string');
}

/** Reads the prices of every cloud, `<cloud>.yaml`. @throws ConfigurationError that lists what is wrong with any of them. */
export function loadPrices(folder: string): Prices {
  const problems: string[] = [];
  const read = <Of extends Cloud>(cloud: Of): PriceList<Of> | undefined => {
    try {
      return new CheckedFile(join(folder, `${cloud}.yaml`)).as(priceListSchema(cloud));
    } catch (error) {
      if (!(error instanceof ConfigurationError)) throw error;
      problems.push(...error.problems);
      return undefined;
    }
  };
  const [aws, azure, gcp] = [read(CLOUDS[0]), read(CLOUDS[1]), read(CLOUDS[2])];
  if (!aws || !azure || !gcp) throw new ConfigurationError(problems);
  return { aws, azure, gcp };
}

function filesOf(folder: string): readonly { readonly path: string; readonly stage: string }[] {
  let names: readonly string[];
  try {
    names = readdirSync(folder).toSorted();
  } catch (error) {
    throw new ConfigurationError([`${folder} cannot be read: ${messageOf(error)}; name the folder of environments`]);
  }
  return names.flatMap((name) => {
    const stage = FILE_NAME.exec(name)?.[2];
    return stage === undefined ? [] : [{ path: join(folder, name), stage }];
  });
}

/** The site, or what is wrong with it. */
function siteOf(name: string, environments: readonly DescribedEnvironment[]): Site | string {
  const [decided, second] = environments.filter(({ environment }) => environment.decision !== undefined);
  if (!decided?.environment.decision)
    return `${environments.map(({ path }) => path).join(', ')}: none has a section decision, which says what was weighed; add it to the most demanding stage, as docs/environments.md shows`;
  if (second)
    return `${second.path}:${second.lineOf(['decision'])}: decision is in ${decided.path} already: keep one of them`;
  return { name, environments, decided, input: decided.environment.decision };
}
