/** `npm run bench -- <name>`: prints the figures as a table and as one line of JSON. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { runPipelineBench, type PipelineRun } from './pipeline.ts';

const [name, ...flags] = process.argv.slice(2);
const short = flags.includes('--short');

switch (name) {
  case 'pipeline': {
    const options = {
      seconds: short ? 10 : 60,
      machines: 200,
      connections: 20,
      maxInFlight: 100,
      steadyRates: short ? [5000] : [5000, 20_000],
    };
    const runs = await runPipelineBench(options);
    console.table(runs.map(rowOf));
    console.log(JSON.stringify({ bench: 'pipeline', options, runs }));
    const floorB = runs[1]?.messagesPerS ?? Number.NaN;
    console.log(`ratio to floor B: ${((runs[2]?.messagesPerS ?? 0) / floorB).toFixed(2)}`);
    if (runs.some((run) => run.ledgerExact === false)) throw new Error('the ledger is not exact');
    break;
  }
  case 'features': {
    const { featuresBenchTable, runFeaturesBench } = await import('./features.ts');
    const result = await runFeaturesBench();
    console.log(featuresBenchTable(result));
    console.log(JSON.stringify({ bench: 'features', ...result }));
    break;
  }
  case 'alarms':
  case 'ingestion':
  case 'rules':
  case 'store':
    process.exitCode =
      spawnSync(process.execPath, [fileURLToPath(new URL(`./${name}.ts`, import.meta.url))], { stdio: 'inherit' })
        .status ?? 1;
    break;
  default:
    console.error(
      `There is no bench ${JSON.stringify(name)}: pipeline [--short], features, alarms, ingestion, rules, store`,
    );
    process.exitCode = 64;
}

function rowOf(run: PipelineRun): Record<string, unknown> {
  const round = (value: number | undefined) => (value === undefined ? '' : Math.round(value * 10) / 10);
  return {
    run: run.name,
    'acked msg/s': Math.round(run.messagesPerS),
    'readings/s': Math.round(run.messagesPerS * 10),
    'PUBACK p50 ms': round(run.load.latencyMs.p50),
    'p95 ms': round(run.load.latencyMs.p95),
    'p99 ms': round(run.load.latencyMs.p99),
    'pending items at end': run.pendingAtEnd ?? '',
    'settled after s': round(run.settledAfterS),
    'API p95 ms': round(run.apiP95Ms),
    'stored p95 ms': round(run.storedP95Ms),
    'anon MiB': round(run.anonymousMiB),
    'CPU s': round(run.cpuSeconds),
    'load CPU s': round(run.load.cpuSeconds),
    exact: run.ledgerExact ?? '',
  };
}
