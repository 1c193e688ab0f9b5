import { mkdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { App } from 'cdktf';
import { CLOUDS, CLOUD_NAMES, type Cloud } from '../core/decision/cloud.ts';
import { environmentRemarks } from '../core/decision/environment-rules.ts';
import type { Prices } from '../core/decision/prices.ts';
import type { DescribedEnvironment } from '../services/shared/environments/environment-files.ts';
import { notMadeLines, obstaclesToProvision, readDecisions } from '../services/shared/environments/decisions.ts';
import { loadPrices, loadSites } from '../services/shared/environments/environment-files.ts';
import { awsStacks } from './aws/aws-stacks.ts';
import { azureStacks } from './azure/azure-stacks.ts';
import { gcpStacks } from './gcp/gcp-stacks.ts';
import type { CloudStacks, SiteStacks } from './platform.ts';
import { siteApp } from './site-app.ts';
import { siteAt } from './site.ts';

/** The clouds whose stacks there are. */
export const STACKS: Readonly<Partial<Record<Cloud, CloudStacks>>> = {
  aws: awsStacks,
  azure: azureStacks,
  gcp: gcpStacks,
};

/** Of each site: by what may be destroyed (platform.ts). */
export const STACK_NAMES = ['foundation', 'data', 'platform'] as const;
/** In the order in which they are applied; `services` where there is a cluster, `pipeline`, by people alone, where the cloud's own deploys. */
export const ALL_STACK_NAMES = [...STACK_NAMES, 'services', 'pipeline'] as const;
export type StackName = (typeof ALL_STACK_NAMES)[number];

/** What stacks are made by, beside the environment. */
export interface Grounds {
  /** The document of decisions. */
  readonly decisions: string;
  readonly prices: Prices;
}

/** The stacks of an environment at a cloud with what to know of them, or why there are none: a line each. */
export type Synthesized =
  | { readonly app: App; readonly stacks: SiteStacks; readonly remarks: readonly string[] }
  | { readonly refused: readonly string[]; readonly isError: boolean };

/**
 * Builds the stacks of an environment at a cloud, its own or another to compare with, to be written to `folder`. Refused without a decision, above
 * its budget, and where it asks for what is not made yet. The first two are asked of the environment's own cloud alone, where all three are errors.
 */
export function buildStacks(
  described: DescribedEnvironment,
  cloud: Cloud,
  { decisions, prices }: Grounds,
  folder: string,
): Synthesized {
  const { environment, path, lineOf } = described;
  const isOwn = environment.provider === cloud;
  const obstacles = isOwn ? obstaclesToProvision(described, decisions, prices) : [];
  if (obstacles.length > 0) return { refused: obstacles, isError: true };
  const maker = STACKS[cloud];
  if (!maker) return { refused: [`${path}: there are no stacks for ${CLOUD_NAMES[cloud]} yet`], isError: false };
  const site = siteAt(cloud, environment, prices);
  if (!site) return { refused: [`${path}: names no region of ${CLOUD_NAMES[cloud]}`], isError: false };
  const missing = notMadeLines(described, cloud);
  if (missing.length > 0) return { refused: missing, isError: false };
  mkdirSync(folder, { recursive: true });
  const app = siteApp(folder);
  const remarks = isOwn
    ? environmentRemarks(environment).map(({ at, problem }) => `${path}:${lineOf(at)}: ${at.join('.')} ${problem}`)
    : [];
  return { app, stacks: maker.build(app, site), remarks };
}

/** An environment at a cloud whose stacks are written: `akron.dev`, and the folder that has them in `stacks/`. */
export interface Written {
  readonly environment: string;
  readonly cloud: Cloud;
  readonly folder: string;
  readonly stacks: readonly StackName[];
}

/**
 * Writes the stacks of every environment at every cloud, or at these, to `<out>/<site>.<stage>/<cloud>`; says what to know of them, and why others are
 * not written: a line each.
 */
export function synthesizeAll(
  out: string,
  clouds: readonly Cloud[] = CLOUDS,
): {
  readonly written: readonly Written[];
  readonly remarks: readonly string[];
  readonly refused: readonly { readonly line: string; readonly isError: boolean }[];
} {
  const root = join(import.meta.dirname, '..');
  // As whoever reads a line of what is wrong would name it.
  const environments = relative(process.cwd(), join(root, 'environments'));
  const grounds = {
    decisions: readDecisions(join(root, 'docs/cloud_decision.md')),
    prices: loadPrices(join(environments, 'prices')),
  };
  const written: Written[] = [];
  const remarks: string[] = [];
  const refused: { readonly line: string; readonly isError: boolean }[] = [];
  for (const described of loadSites(environments).flatMap((site) => site.environments))
    for (const cloud of clouds) {
      const environment = `${described.environment.site}.${described.environment.stage}`;
      const folder = join(out, environment, cloud);
      const result = buildStacks(described, cloud, grounds, folder);
      if ('refused' in result) {
        refused.push(...result.refused.map((line) => ({ line, isError: result.isError })));
        continue;
      }
      result.app.synth();
      remarks.push(...result.remarks);
      const stacks = ALL_STACK_NAMES.filter((name) => result.stacks[name] !== undefined);
      written.push({ environment, cloud, folder, stacks });
    }
  return { written, remarks, refused };
}
