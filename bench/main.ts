/** `npm run bench -- <name> [options]`: prints what it measured as a table and as one line of JSON. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { runChartBench } from './chart.ts';
import { runDetectionBench } from './detection.ts';
import { runPipelineBench, shortcomings, type PipelineResult } from './pipeline.ts';
import { profileTable, runProfile } from './profile.ts';
import {
  chartMarkdown,
  detectionMarkdown,
  machineState,
  pipelineMarkdown,
  profileMarkdown,
  replayMarkdown,
  scaleMarkdown,
  soakMarkdown,
  writeSection,
} from './report.ts';
import { REPLAYED_FORMATS, runReplayBench, type ReplayedFormat, type ReplayRun } from './replay.ts';
import { runScaleBench } from './scale.ts';
import { runSoakBench } from './soak.ts';

const USAGE = `npm run bench -- <name>:
  pipeline [--short]       rates, latencies, ledger, memory and floors; --short in under a minute
  chart [--machines 10]    24 hours of one metric with a day's data in the store
  scale                    CPU a reading with more machines, and with a day's data
  soak [--minutes 10]      memory at half the peak rate
  profile [--rate 5000]    where the main threads' time goes; without a rate as fast as it takes
  report                   pipeline, chart, scale, soak, profiles and features into docs/performance.md; about 25 minutes
  replay [format...]       recordings through the platform: pronostia, skab, nab, cwru, cmapss; --write puts the table into docs/performance.md
  pronostia                the same, of PRONOSTIA alone: an alarm before the end of life of each bearing
  detection [--short]      each simulated fault of each demo machine to the detector, and healthy machines; --write as above
  adapters [name...]       adapters of other providers against their peers, next to bare clients; --short; needs \`npm run sdks\`
  features, ingestion, rules, store, waveforms   parts on their own`;

const PLANT = { machines: 200, connections: 20, maxInFlight: 100 } as const;
const SHORT = { seconds: 8, floorSeconds: 3, warmUpSeconds: 1.5, steadyRates: [5000] };
const FULL = { seconds: 60, floorSeconds: 15, warmUpSeconds: 5, steadyRates: [5000, 20_000] };
const SCALE = { machines: [200, 2000, 20_000], ratePerS: 10_000, seconds: 20, machinesWithDaysData: 10 };
const PROFILE_S = 15;
const SHORT_TURNS = { seconds: 8, rounds: 1 };
const FULL_TURNS = { seconds: 60, rounds: 3 };
const LIVES = { healthyRecordings: 200, growthRecordings: 200, seedsPerFault: 3, healthySeeds: 20 };
const SHORT_LIVES = {
  ...{ healthyRecordings: 140, growthRecordings: 60, seedsPerFault: 1, healthySeeds: 1 },
  faultyMachines: ['pump-1', 'press-1'],
};

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    short: { type: 'boolean', default: false },
    minutes: { type: 'string', default: '10' },
    machines: { type: 'string', default: '10' },
    rate: { type: 'string' },
    write: { type: 'boolean', default: false },
  },
});

const benches: Readonly<Record<string, () => Promise<void> | void>> = {
  pipeline: async () => {
    const options = { ...PLANT, ...(flags.short ? SHORT : FULL) };
    const result = await runPipelineBench(options);
    print('pipeline', pipelineMarkdown(result), { options, ...result });
    refuseShortcomings(result);
  },
  chart: async () => {
    const result = await runChartBench({ machines: Number(flags.machines), charts: 100 });
    print('chart', chartMarkdown(result), result);
  },
  scale: async () => {
    const result = await runScaleBench(SCALE);
    print('scale', scaleMarkdown(result), result);
  },
  soak: async () => {
    const result = await runSoakBench({ ...PLANT, minutes: Number(flags.minutes), ...rate() });
    print('soak', soakMarkdown(result), result);
  },
  profile: async () => {
    const result = await runProfile({ ...PLANT, seconds: PROFILE_S, ...rate() });
    print('profile', profileTable(result), result);
  },
  report,
  replay: () => replays(positionals.length > 1 ? positionals.slice(1).map(formatOf) : REPLAYED_FORMATS),
  pronostia: () => replays(['pronostia']),
  detection: () => {
    const result = runDetectionBench(flags.short ? SHORT_LIVES : LIVES);
    print('detection', detectionMarkdown(result), result);
    if (flags.write) writeSection('detection', detectionMarkdown(result));
  },
  features: async () => {
    const { featuresBenchTable, runFeaturesBench } = await import('./features.ts');
    const result = await runFeaturesBench();
    print('features', featuresBenchTable(result), result);
  },
  adapters: async () => {
    const { adaptersMarkdown, runAdaptersBench } = await import('./adapters.ts');
    const rows = await runAdaptersBench(positionals.slice(1), flags.short ? SHORT_TURNS : FULL_TURNS);
    print('adapters', adaptersMarkdown(rows), { rows });
  },
  ...Object.fromEntries(['ingestion', 'rules', 'store', 'waveforms'].map((name) => [name, () => runAlone(name)])),
};

const bench = benches[positionals[0] ?? ''];
if (bench) await bench();
else {
  console.error(`There is no bench ${JSON.stringify(positionals[0])}.\n${USAGE}`);
  process.exitCode = 64;
}

/** Everything that docs/performance.md shows of the platform. Takes its time; the machine should do nothing else. */
async function report(): Promise<void> {
  const section = (name: string, markdown: string) => {
    console.log(`\n## ${name}\n\n${markdown}`);
    writeSection(name, markdown);
  };
  const pipeline = await runPipelineBench({ ...PLANT, ...FULL });
  section('pipeline', pipelineMarkdown(pipeline));
  section('chart', chartMarkdown(await runChartBench({ machines: Number(flags.machines), charts: 100 })));
  section('scale', scaleMarkdown(await runScaleBench(SCALE)));
  const peak = await runProfile({ ...PLANT, seconds: PROFILE_S });
  const low = await runProfile({ ...PLANT, seconds: PROFILE_S, ratePerS: 5000 });
  section('profile', `${profileMarkdown('At the peak', peak)}\n\n${profileMarkdown('At 5,000 messages/s', low)}`);
  const { featuresBenchTable, runFeaturesBench } = await import('./features.ts');
  section('features', `\`\`\`\n${featuresBenchTable(await runFeaturesBench())}\n\`\`\``);
  section('soak', soakMarkdown(await runSoakBench({ ...PLANT, minutes: Number(flags.minutes), ...rate() })));
  refuseShortcomings(pipeline);
}

function refuseShortcomings({ runs }: PipelineResult): void {
  const failures = runs.flatMap(shortcomings);
  if (failures.length > 0) throw new Error(failures.join('\n'));
}

async function replays(formats: readonly ReplayedFormat[]): Promise<void> {
  const runs: ReplayRun[] = [];
  for (const format of formats) runs.push(await runReplayBench(format));
  print('replay', replayMarkdown(runs), {
    runs: runs.map(({ alarms, ...run }) => ({ ...run, alarms: alarms.length })),
  });
  if (flags.write) writeSection('replay', replayMarkdown(runs));
}

function formatOf(name: string): ReplayedFormat {
  const format = REPLAYED_FORMATS.find((each) => each === name);
  if (format) return format;
  throw new Error(`there is no recording ${JSON.stringify(name)}: ${REPLAYED_FORMATS.join(', ')}`);
}

function rate(): { readonly ratePerS?: number } {
  return flags.rate === undefined ? {} : { ratePerS: Number(flags.rate) };
}

function print(name: string, table: string, result: object): void {
  console.log(`${machineState()}\n\n${table}\n\n${JSON.stringify({ bench: name, ...result })}`);
}

function runAlone(name: string): void {
  const entry = fileURLToPath(new URL(`./${name}.ts`, import.meta.url));
  process.exitCode = spawnSync(process.execPath, [entry], { stdio: 'inherit' }).status ?? 1;
}
