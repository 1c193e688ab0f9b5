/**
 * Recordings of real machines through the platform as it runs, one after another on a fresh data folder: how fast, at what cost, whether the
 * ledger is exact, and what was found. Nothing is tuned for a recording.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { AlarmView } from '#services/api-gateway/schemas/alarms.ts';
import type { LedgerView } from '#services/api-gateway/schemas/ledger.ts';
import type { ReplayVerdict } from '#services/platform/cli/replay-report.ts';
import { DATASETS_FOLDER } from '#test/datasets/pronostia.ts';
import { PeakMemory } from './process-tree.ts';
import { startPlatform } from './running-platform.ts';

export const REPLAYED_FORMATS = ['pronostia', 'skab', 'nab', 'cwru', 'cmapss'] as const;
export type ReplayedFormat = (typeof REPLAYED_FORMATS)[number];

/** What `tribo --json replay --report` says; see services/platform/cli/replay-commands.ts. */
interface ReplayOutput {
  readonly machines: number;
  readonly messages: number;
  readonly waveforms: number;
  readonly items: number;
  readonly rejectedItems: number;
  readonly refusedMessages: number;
  readonly seconds: number;
  readonly messagesPerS: number;
  readonly itemsPerS: number;
  readonly storedPerS: number;
  readonly judgedPerS: number;
  readonly ledger: LedgerView;
  readonly alarms: readonly AlarmView[];
  readonly report: readonly ReplayVerdict[];
}

export interface ReplayRun extends ReplayOutput {
  readonly format: ReplayedFormat;
  /** Of the platform's processes, without the command that sends. */
  readonly cpuSeconds: number;
  readonly cpuUsPerItem: number;
  readonly peakAnonymousMiB: number;
}

const CLI = fileURLToPath(new URL('../services/platform/bin/tribo.js', import.meta.url));

/** @throws Error where the data set is absent, the command fails or the ledger is not exact. */
export async function runReplayBench(format: ReplayedFormat): Promise<ReplayRun> {
  const folder = join(DATASETS_FOLDER, format);
  if (!existsSync(folder)) throw new Error(`there is no ${folder}; set TRIBO_DATASETS to the folder of the data sets`);
  await using platform = await startPlatform();
  const memory = new PeakMemory(platform.tree);
  const cpuBefore = platform.tree.cpuSeconds();
  const output = await replayed(platform.dataDir, format, folder);
  const cpuSeconds = platform.tree.cpuSeconds() - cpuBefore;
  const peakAnonymousMiB = memory.stop();
  if (!output.ledger.exact) throw new Error(`the ledger is not exact: ${JSON.stringify(output.ledger)}`);
  return { format, ...output, cpuSeconds, cpuUsPerItem: (cpuSeconds / output.items) * 1e6, peakAnonymousMiB };
}

async function replayed(dataDir: string, format: ReplayedFormat, folder: string): Promise<ReplayOutput> {
  const given = ['--json', '--data-dir', dataDir, 'replay', '--format', format, '--speed', 'max', '--report', folder];
  const child = spawn(process.execPath, [CLI, ...given], { stdio: ['ignore', 'pipe', 'inherit'] });
  let stdout = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`tribo replay ended with code ${String(code)}`);
  return JSON.parse(stdout) as ReplayOutput;
}
