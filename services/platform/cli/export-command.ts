import { existsSync, readdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { Option, type Command } from 'commander';
import {
  machineKey,
  parseName,
  type MachineId,
  type MachineKey,
  type SiteId,
  type TenantId,
} from '#core/domain/ids.ts';
import type { TimeSeriesStore } from '#core/ports/time-series-store.ts';
import { holderOf, lockDataFolder } from '#services/shared/process/folder-locks.ts';
import type { ApiClient } from './api-client.ts';
import type { Action } from './main.ts';
import { CommandError, counted } from './output.ts';
import { progressBar, untilInterrupted } from './progress.ts';

const DAY_MS = 86_400_000;
/** One call a day, so that this bounds how long it may go on. */
const LONGEST_RANGE_DAYS = 36_500;

interface ExportFlags {
  readonly machine?: readonly string[];
  readonly site?: string;
  readonly from?: string;
  readonly to?: string;
}

interface ExportedFile {
  readonly path: string;
  readonly rows: number;
}

/** `tribo export`: readings as Parquet files, one a day, written by the process that owns the store. */
export function addExportCommand(program: Command, action: Action): void {
  program
    .command('export <folder>')
    .description('write readings as Parquet files, one a UTC day, while the platform runs or not')
    .addOption(new Option('--format <format>', 'what to write').choices(['parquet']).default('parquet'))
    .option('--machine <machine...>', 'only these machines (default: all of all tenants)')
    .option('--site <site>', 'site of the machines (default: the configured one)')
    .option(
      '--from <instant>',
      'RFC 3339, a date, or epoch milliseconds (default: as long ago as raw readings are kept)',
    )
    .option('--to <instant>', 'first instant that is left out (default: now)')
    .action(
      action(async ({ api, configuration, out }, given: string, flags: ExportFlags) => {
        const settings = configuration();
        const folder = resolve(given);
        const nowMs = Date.now();
        const toMs = instant('--to', flags.to) ?? nowMs;
        const fromMs = instant('--from', flags.from) ?? nowMs - settings.rawDays * DAY_MS;
        requireRange(fromMs, toMs);
        requireNoExport(folder);
        const machines = flags.machine?.map((machine) => keyOf(settings.tenant, flags.site ?? settings.site, machine));
        const dataDir = resolve(settings.dataDir);
        const isRunning = holderOf(dataDir) !== undefined;
        const release = isRunning ? () => undefined : lockExisting(dataDir);
        const bar = progressBar(out);
        try {
          const { openTimeSeriesStore } = await import('../backup/composition.ts');
          const store = await openTimeSeriesStore(settings, isRunning);
          const files = await exportDays(store, { fromMs, toMs, ...(machines && { machines }) }, folder, (done, rows) =>
            bar.at(done, `${rows.toLocaleString('en')} readings`),
          ).finally(() => store.close());
          bar.stop();
          const rows = sum(files);
          if (rows === 0 && isRunning) await requireMachines(api(), flags.site ?? settings.site, flags.machine);
          if (rows === 0)
            throw new CommandError(
              'not-found',
              `there are no readings from ${new Date(fromMs).toISOString()} to ${new Date(toMs).toISOString()}${machines ? ` of ${machines.join(', ')}` : ''}`,
            );
          out.result({ folder, rows, files }, () =>
            [`${counted(rows, 'reading')} in ${counted(files.length, 'file')}:`, ...files.map(({ path }) => path)].join(
              '\n',
            ),
          );
        } finally {
          bar.stop();
          release();
        }
      }),
    );
}

/** A call a day: each is bounded, and the work between can be seen and ended. */
async function exportDays(
  store: Pick<TimeSeriesStore, 'exportParquet'>,
  query: { readonly fromMs: number; readonly toMs: number; readonly machines?: readonly MachineKey[] },
  folder: string,
  onProgress: (fraction: number, rows: number) => void,
): Promise<ExportedFile[]> {
  const signal = untilInterrupted();
  const files: ExportedFile[] = [];
  for (let fromMs = query.fromMs; fromMs < query.toMs;) {
    const toMs = Math.min(query.toMs, (Math.floor(fromMs / DAY_MS) + 1) * DAY_MS);
    files.push(...(await store.exportParquet({ ...query, fromMs, toMs }, folder, { signal })));
    fromMs = toMs;
    onProgress((toMs - query.fromMs) / (query.toMs - query.fromMs), sum(files));
  }
  return files;
}

function instant(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const ms = /^-?\d+$/.test(text) ? Number(text) : Date.parse(text);
  if (Number.isFinite(ms)) return ms;
  throw new CommandError(
    'usage',
    `${option} must be RFC 3339, a date, or epoch milliseconds, got ${text}`,
    'for instance 2026-11-21 or 2026-11-21T06:00:00Z',
  );
}

function requireRange(fromMs: number, toMs: number): void {
  const shown = `--from ${new Date(fromMs).toISOString()} and --to ${new Date(toMs).toISOString()}`;
  if (fromMs >= toMs) throw new CommandError('usage', `${shown}: the first must be earlier`);
  if (toMs - fromMs > LONGEST_RANGE_DAYS * DAY_MS)
    throw new CommandError('usage', `${shown}: at most ${LONGEST_RANGE_DAYS} days at a time`);
}

function requireNoExport(folder: string): void {
  if (!existsSync(folder)) return;
  const found = readdirSync(folder).find((name) => name.endsWith('.parquet'));
  if (found !== undefined)
    throw new CommandError('conflict', `${folder} holds an export already (${found})`, 'name another folder');
}

/** @throws CommandError not-found for a machine that the platform does not have. */
async function requireMachines(client: ApiClient, site: string, machines: readonly string[] = []): Promise<void> {
  for (const machine of machines) await client.request('GET', `/v1/machines/${machine}?site=${site}`);
}

function keyOf(tenant: string, site: string, machine: string): MachineKey {
  try {
    return machineKey(
      parseName<TenantId>('tenant', tenant),
      parseName<SiteId>('site', site),
      parseName<MachineId>('machine', machine),
    );
  } catch (error) {
    throw new CommandError('usage', (error as Error).message);
  }
}

function lockExisting(dataDir: string): () => void {
  if (existsSync(dataDir)) return lockDataFolder(dataDir);
  throw new CommandError('not-found', `${dataDir} is no data folder of Tribo`, 'name it with --data-dir');
}

function sum(files: readonly ExportedFile[]): number {
  return files.reduce((rows, file) => rows + file.rows, 0);
}
