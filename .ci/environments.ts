/**
 * Prints the environments of a stage that the workflows deploy as the matrix of one, `node .ci/environments.ts prod`; without a stage all
 * environments, also those that CodePipeline deploys.
 */
import { join } from 'node:path';
import { STAGES } from '../core/decision/environment.ts';
import { loadSites } from '../services/shared/environments/environment-files.ts';

const [stage] = process.argv.slice(2);
if (stage !== undefined && !STAGES.some((known) => known === stage)) {
  console.error(`The stage must be one of ${STAGES.join(', ')}, got ${stage}`);
  process.exit(64);
}
const environments = loadSites(join(import.meta.dirname, '../environments'))
  .flatMap((site) => site.environments)
  .filter(
    ({ environment }) =>
      stage === undefined || (environment.stage === stage && environment.switches.pipeline === 'github'),
  )
  .map(({ environment }) => {
    const { site, stage, provider: cloud, regions, domain } = environment;
    return { name: `${site}.${stage}`, site, stage, cloud, region: regions[0]![cloud], domain };
  });
console.log(JSON.stringify({ include: environments }));
