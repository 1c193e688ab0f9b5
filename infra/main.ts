import { rmSync } from 'node:fs';
import { join, relative } from 'node:path';
import { CLOUDS } from '../core/decision/cloud.ts';
import { readDecisions } from '../services/shared/environments/decisions.ts';
import { loadPrices, loadSites } from '../services/shared/environments/environment-files.ts';
import { buildStacks } from './synthesize.ts';

/** Writes the stacks of every environment at every cloud to infra/out/<site>.<stage>/<cloud>/stacks/. */
const root = join(import.meta.dirname, '..');
const out = join(import.meta.dirname, 'out');
// As whoever reads a line of what is wrong would name it.
const environments = relative(process.cwd(), join(root, 'environments'));
const grounds = {
  decisions: readDecisions(join(root, 'docs/cloud_decision.md')),
  prices: loadPrices(join(environments, 'prices')),
};

rmSync(out, { recursive: true, force: true });
let written = 0;
for (const described of loadSites(environments).flatMap((site) => site.environments))
  for (const cloud of CLOUDS) {
    const { site, stage } = described.environment;
    const result = buildStacks(described, cloud, grounds, join(out, `${site}.${stage}`, cloud));
    if ('refused' in result) {
      for (const line of result.refused) console.error(line);
      if (result.isError) process.exitCode = 1;
      continue;
    }
    result.app.synth();
    written += 1;
  }
console.log(`${written} sites at a cloud are in infra/out`);
