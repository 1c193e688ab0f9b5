import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { ChartResult } from './chart.ts';
import { FAULTS, type DetectionResult } from './detection.ts';
import type { PipelineResult } from './pipeline.ts';
import type { ProfileResult } from './profile.ts';
import type { ReplayRun } from './replay.ts';
import type { ScaleResult } from './scale.ts';
import type { SoakResult } from './soak.ts';
import type { Percentiles } from './statistics.ts';

/** Where measured tables go: between `<!-- bench:<name> -->` and `<!-- /bench:<name> -->`. */
const DOCUMENT = fileURLToPath(new URL('../docs/performance.md', import.meta.url));

/** Replaces the section's table in docs/performance.md. */
export function writeSection(name: string, markdown: string): void {
  const text = readFileSync(DOCUMENT, 'utf8');
  const [from, to] = [`<!-- bench:${name} -->`, `<!-- /bench:${name} -->`];
  const begin = text.indexOf(from);
  const end = text.indexOf(to);
  if (begin < 0 || end < begin) throw new Error(`docs/performance.md has no section between ${from} and ${to}`);
  const measured = `\n\n${machineState()}\n\n${markdown.trim()}\n\n`;
  writeFileSync(DOCUMENT, text.slice(0, begin + from.length) + measured + text.slice(end));
}

/** What the figures were measured on, and how busy that was with other work just before. */
export function machineState(): string {
  const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim();
  const gib = (totalmem() / 2 ** 30).toFixed(0);
  const load = loadavg().map((value) => value.toFixed(1));
  return `_${new Date().toISOString().slice(0, 16)}Z, commit ${commit}: ${cpus().length} cores (${cpus()[0]?.model.trim() ?? 'unknown'}), ${gib} GiB, Linux ${release()}, Node.js ${process.versions.node}; load over the last 1, 5 and 15 minutes ${load.join(', ')}._`;
}

export function pipelineMarkdown({ floors, runs, ratioToFloorB }: PipelineResult): string {
  const a = floors[0]!;
  const generatorUs = (a.load.cpuSeconds / a.load.acknowledged) * 1e6;
  return [
    table(
      ['Run', 'Messages/s acknowledged', 'PUBACK p50 / p95 / p99 / max, ms', 'Generator CPU, us a message'],
      [...floors, ...runs].map(({ name, messagesPerS, load }) => [
        name,
        count(messagesPerS),
        spread(load.latencyMs),
        ((load.cpuSeconds / load.acknowledged) * 1e6).toFixed(1),
      ]),
    ),
    `Ratio to floor B: **${ratioToFloorB.toFixed(2)}**. The generator's own ceiling: ${count(a.messagesPerS)} messages/s against the bare broker, at ${generatorUs.toFixed(1)} us a message.`,
    table(
      [
        'Run',
        'Readings/s acknowledged',
        'stored',
        'Queryable of acknowledged',
        'Ledger',
        'Pending at the end, s',
        'Settled after, s',
      ],
      runs.map((run) => [
        run.name,
        count(run.messagesPerS * 10),
        count(run.storedReadingsPerS),
        `${run.queryableReadings} of ${run.acknowledgedReadings}`,
        run.ledgerExact ? 'exact' : '**not exact**',
        (run.pendingAtEnd / (run.messagesPerS * 10)).toFixed(2),
        run.settledAfterS.toFixed(2),
      ]),
    ),
    table(
      ['p50 / p95 / p99 / max, ms', ...runs.map(({ name }) => name)],
      [
        ['publish to stored (seen by the API)', ...runs.map(({ probes }) => spread(probes.storedMs))],
        ['publish to alarm journalled', ...runs.map(({ probes }) => spread(probes.alarmJournalledMs))],
        ['publish to alarm on the stream', ...runs.map(({ probes }) => spread(probes.alarmOnStreamMs))],
        ['publish to alarm by Server-Sent Events', ...runs.map(({ probes }) => spread(probes.alarmBySseMs))],
        [
          'alarm changes seen, missing',
          ...runs.map(({ probes }) => `${probes.alarmOnStreamMs.samples}, ${probes.alarmsMissing}`),
        ],
        ['API', ...runs.map(({ probes }) => spread(probes.apiMs))],
      ],
    ),
    table(
      ['Run', 'Peak anonymous memory of the tree, MiB', 'CPU, s', 'CPU, us a message'],
      runs.map((run) => [
        run.name,
        count(run.peakAnonymousMiB),
        run.cpuSeconds.toFixed(1),
        run.cpuUsPerMessage.toFixed(1),
      ]),
    ),
  ].join('\n\n');
}

export function chartMarkdown({ data, points, source, firstMs, chartMs, rawMinuteMs }: ChartResult): string {
  return [
    `${count(data.readings)} readings of ${data.machines} machines in the store, sent in ${data.seconds.toFixed(0)} s.`,
    table(
      ['Through the API', 'p50 / p95 / p99 / max, ms'],
      [
        [`24 hours of one metric, ${points} points from ${source}`, spread(chartMs)],
        ['the first chart', firstMs.toFixed(1)],
        ["a minute's raw points", spread(rawMinuteMs)],
      ],
    ),
  ].join('\n\n');
}

export function scaleMarkdown({ runs, data }: ScaleResult): string {
  return [
    table(
      [
        'Plant',
        'Messages/s',
        'CPU, us a reading',
        'Ratio to the first',
        'PUBACK p95, ms',
        'Peak anonymous memory, MiB',
        'Ledger',
      ],
      runs.map((run) => [
        run.name,
        count(run.messagesPerS),
        run.cpuUsPerReading.toFixed(2),
        run.ratio.toFixed(2),
        run.pubackP95Ms.toFixed(1),
        count(run.peakAnonymousMiB),
        run.ledgerExact ? 'exact' : '**not exact**',
      ]),
    ),
    `A day's data: ${count(data.readings)} readings, sent in ${data.seconds.toFixed(0)} s.`,
  ].join('\n\n');
}

export function soakMarkdown(result: SoakResult): string {
  return table(
    [
      'Minutes',
      'Messages/s',
      'Ledger',
      'PUBACK p50 / p95 / p99 / max, ms',
      'Anonymous memory after the first third, MiB',
      'Slope, MiB a minute',
      'CPU, us a message',
    ],
    [
      [
        result.minutes.toFixed(1),
        count(result.messagesPerS),
        result.ledgerExact ? 'exact' : '**not exact**',
        spread(result.pubackMs),
        `${count(result.leastMiB)} to ${count(result.mostMiB)}`,
        result.slopeMiBPerMinute.toFixed(1),
        result.cpuUsPerMessage.toFixed(1),
      ],
    ],
  );
}

const PROFILED_PARTS = 14;

export function profileMarkdown(name: string, { messagesPerS, processes }: ProfileResult): string {
  return [
    `**${name}: ${count(messagesPerS)} messages/s under the profiler.** Sampled time of the main threads by part, in us a message; a loaded machine makes it longer than the processor time.`,
    ...processes.map(({ process, mainUs, otherThreadsUs, parts }) =>
      table(
        [
          `${process}: CPU of the main thread ${mainUs.toFixed(1)}, of other threads ${otherThreadsUs.toFixed(1)}`,
          'us a message',
        ],
        parts.slice(0, PROFILED_PARTS).map((part) => [part.name, part.us.toFixed(2)]),
      ),
    ),
  ].join('\n\n');
}

export function replayMarkdown(runs: readonly ReplayRun[]): string {
  const rates = table(
    [
      'Recordings',
      'Machines',
      'Messages',
      'Readings and waveforms',
      'Messages/s acknowledged',
      'Items/s acknowledged / stored / judged',
      'CPU of the platform, us an item',
      'Peak anonymous memory, MiB',
      'Ledger',
      'Rejected',
      'Alarms',
    ],
    runs.map((run) => [
      run.format,
      count(run.machines),
      count(run.messages),
      count(run.items),
      count(run.messagesPerS),
      [run.itemsPerS, run.storedPerS, run.judgedPerS].map(count).join(' / '),
      count(run.cpuUsPerItem),
      count(run.peakAnonymousMiB),
      run.ledger.exact ? 'exact' : '**not exact**',
      count(run.ledger.rejected),
      count(run.alarms.length),
    ]),
  );
  const lives = runs.find(({ format }) => format === 'pronostia');
  return lives ? `${rates}\n\n${livesMarkdown(lives)}` : rates;
}

function livesMarkdown({ report }: ReplayRun): string {
  return table(
    ['Bearing', 'Life, s', 'Alarm after, s', 'Lead before end of life, s', 'Alarms in the first half', 'What it said'],
    report.map(({ recording, lifeS, leadS, raisedInFirstHalf, reasons }) => [
      recording.replace(/\.i16$/, ''),
      count(lifeS),
      leadS === undefined ? '**none**' : count(lifeS - leadS),
      leadS === undefined ? '' : count(leadS),
      String(raisedInFirstHalf),
      reasons.join('; '),
    ]),
  );
}

const MODEL_RULE = 'model-anomaly';

export function detectionMarkdown({ faults, healthy, ...life }: DetectionResult): string {
  const { healthyRecordings, growthRecordings, intervalS } = life;
  const hours = ((healthyRecordings + growthRecordings) * intervalS) / 3600;
  const recordings = `${healthyRecordings} healthy recordings and ${growthRecordings} in which the fault grows, one each ${intervalS} s (${count(hours)} h)`;
  return [
    `A life: ${recordings}. Severity is 0 as new and 1 at the end of life; the lead is a part of the time of growth. Middle of the lives, and their worst in brackets.`,
    table(
      ['Fault', 'Machine', 'Detected', 'At severity', 'Lead', 'First by', 'Health model alone, at severity', 'False'],
      faults.map(({ fault, machine, lives }) => {
        const firsts = lives.flatMap(({ detections }) => detections[0] ?? []);
        const ofModel = lives.flatMap(({ detections }) => detections.find(({ rule }) => rule === MODEL_RULE) ?? []);
        const worst = lives.length === firsts.length ? '' : '**';
        const severities = firsts.map(({ severity }) => severity);
        const leads = firsts.map(({ leadOfGrowth }) => leadOfGrowth);
        return [
          FAULTS[fault],
          machine,
          `${worst}${firsts.length} of ${lives.length}${worst}`,
          middleAndWorst(severities, Math.max(...severities)),
          middleAndWorst(leads, Math.min(...leads)),
          [...new Set(firsts.map(({ rule }) => rule))].join(', '),
          ofModel.length === 0 ? 'no' : middle(ofModel.map(({ severity }) => severity)).toFixed(2),
          String(lives.flatMap(({ falseAlarms }) => falseAlarms).length),
        ];
      }),
    ),
    table(
      ['Healthy machine', 'Lives', 'Recordings', 'False alarms'],
      healthy.map(({ machine, lives }) => [
        machine,
        String(lives.length),
        count(lives.length * (healthyRecordings + growthRecordings)),
        String(lives.flatMap(({ falseAlarms }) => falseAlarms).length),
      ]),
    ),
  ].join('\n\n');
}

function middleAndWorst(values: readonly number[], worst: number): string {
  return values.length === 0 ? '' : `${middle(values).toFixed(2)} (${worst.toFixed(2)})`;
}

function middle(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}

function spread({ p50, p95, p99, max }: Pick<Percentiles, 'p50' | 'p95' | 'p99' | 'max'>): string {
  return [p50, p95, p99, max].map((ms) => (ms >= 100 ? ms.toFixed(0) : ms.toFixed(1))).join(' / ');
}

function count(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map((_, i) => (i === 0 ? '---' : '---:'))), ...rows.map(line)].join('\n');
}
