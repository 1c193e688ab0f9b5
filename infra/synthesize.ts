import { mkdirSync } from 'node:fs';
import { App } from 'cdktf';
import { CLOUD_NAMES, type Cloud } from '../core/decision/cloud.ts';
import type { Prices } from '../core/decision/prices.ts';
import type { DescribedEnvironment } from '../services/shared/environments/environment-files.ts';
import { obstaclesToProvision } from '../services/shared/environments/decisions.ts';
import { awsStacks } from './aws/aws-stacks.ts';
import type { CloudStacks, SiteStacks } from './platform.ts';
import { siteAt } from './site.ts';

/** The clouds whose stacks there are. */
export const STACKS: Readonly<Partial<Record<Cloud, CloudStacks>>> = { aws: awsStacks };

/** What stacks are made by, beside the environment. */
export interface Grounds {
  /** The document of decisions. */
  readonly decisions: string;
  readonly prices: Prices;
}

/** The stacks of an environment at a cloud, or why there are none: a line each. */
export type Synthesized =
  | { readonly app: App; readonly stacks: SiteStacks }
  | { readonly refused: readonly string[]; readonly isError: boolean };

/**
 * Builds the stacks of an environment at a cloud, its own or another to compare with, to be written to `folder`. Refused without a decision, above
 * its budget, and where it asks for what is not made yet. The first two are errors, and asked of the environment's own cloud alone.
 */
export function buildStacks(
  described: DescribedEnvironment,
  cloud: Cloud,
  { decisions, prices }: Grounds,
  folder: string,
): Synthesized {
  const { environment, path } = described;
  const isOwn = environment.provider === cloud;
  const obstacles = isOwn ? obstaclesToProvision(described, decisions, prices) : [];
  if (obstacles.length > 0) return { refused: obstacles, isError: true };
  const maker = STACKS[cloud];
  if (!maker) return { refused: [`${path}: there are no stacks for ${CLOUD_NAMES[cloud]} yet`], isError: false };
  const site = siteAt(cloud, environment);
  if (!site) return { refused: [`${path}: names no region of ${CLOUD_NAMES[cloud]}`], isError: false };
  const missing = maker.notYet(environment);
  if (missing.length > 0)
    return {
      refused: missing.map((what) => `${path}: ${what} is not made at ${CLOUD_NAMES[cloud]} yet`),
      isError: false,
    };
  mkdirSync(folder, { recursive: true });
  const app = new App({ outdir: folder, stackTraces: false });
  return { app, stacks: maker.build(app, site) };
}
