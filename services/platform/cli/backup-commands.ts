import { existsSync, readdirSync, rmSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { PortError } from '#core/errors.ts';
import { DataFolderError } from '#services/shared/process/data-format.ts';
import type { Configuration } from '#services/shared/config/settings.ts';
import { BackupError, type BackupContent } from '../backup/manifest.ts';
import { checkBackup, stageRestore } from '../backup/stage-restore.ts';
import { takeBackup, type TakenBackup } from '../backup/take-backup.ts';
import { holderOf, LOCK_FILE, lockDataFolder } from '#services/shared/process/folder-locks.ts';
import { restoredFolder, swapFolder } from '../folder-swap.ts';
import { connectControl, type RestoreOutcome } from '../platform-control.ts';
import { softwareVersion } from '../software-version.ts';
import { elsewhereText } from './api-client.ts';
import { refuseUnderServices } from './lone-services.ts';
import type { Action } from './main.ts';
import { dataFolderToCopy } from './data-folder-to-copy.ts';
import { CommandError, type Output } from './output.ts';
import { mebibytes, progressBar, untilInterrupted } from './progress.ts';

/** A platform may take so long to finish what it acknowledged and to start again on other data. */
const RESTORED_WITHIN_MS = 120_000;

interface RestoreFlags {
  readonly into?: string;
  readonly force?: boolean;
  readonly check?: boolean;
}

interface Restored extends BackupContent {
  readonly folder: string;
  /** Where the former data is. */
  readonly aside?: string;
  /** Of the platform that runs on it again. */
  readonly url?: string;
}

/** `tribo backup` and `tribo restore`: for whoever owns the data folder, with the platform running or not. */
export function addBackupCommands(program: Command, action: Action): void {
  program
    .command('backup <folder>')
    .description('copy everything that the platform keeps into a new folder, secrets included, while it runs or not')
    .action(
      action(async ({ configuration, out }, folder: string) => {
        const taken = await inWords(() => backUp(configuration(), resolve(folder), out));
        out.result(taken, () =>
          [
            `${taken.folder}: ${taken.files.toLocaleString('en')} files, ${mebibytes(taken.bytes)}.`,
            ...notInIt(taken),
            'It holds the secrets of the platform (signing keys, digests of device secrets) and is readable by you alone: keep it so.',
            `Check it with: npx tribo restore --check ${taken.folder}`,
          ].join('\n'),
        );
      }),
    );

  program
    .command('restore <backup>')
    .description('put a backup in the place of the data folder; a running platform is stopped for it and started again')
    .option('--into <folder>', 'the data folder to restore (default: the configured one)')
    .option('--force', 'also where the folder has data, which is kept beside it, or a platform runs on it')
    .option('--check', 'only compare the backup with its checksums')
    .action(
      action(async ({ configuration, out }, given: string, flags: RestoreFlags) => {
        const backup = resolve(given);
        if (flags.check) {
          const size = await inWords(() => check(backup, out));
          out.result({ backup, ...size }, () =>
            [`${backup} is whole: ${size.files} files, ${mebibytes(size.bytes)}.`, ...notInIt(size)].join('\n'),
          );
          return;
        }
        const dataDir = resolve(flags.into ?? configuration().dataDir);
        const restored = await inWords(() => restore(backup, dataDir, flags.force === true, out));
        out.result(restored, () =>
          [
            `${restored.folder} holds the backup: ${restored.files.toLocaleString('en')} files, ${mebibytes(restored.bytes)}.`,
            ...notInIt(restored),
            ...(restored.aside === undefined ? [] : [`What it held before is in ${restored.aside}`]),
            restored.url === undefined
              ? `Start it with: npm start${flags.into === undefined ? '' : ` -- --data-dir ${dataDir}`}`
              : `The platform runs on it at ${restored.url}`,
          ].join('\n'),
        );
      }),
    );
}

/** Said of what is taken and of what is restored: they go together only with what the provider keeps of the same time. */
function notInIt({ elsewhere }: Pick<BackupContent, 'elsewhere'>): readonly string[] {
  if (Object.keys(elsewhere).length === 0) return [];
  return [
    `NOT in it, as the site has it elsewhere: ${elsewhereText(elsewhere)}. Back that up, and bring it back to the same time, where it is kept (docs/providers.md).`,
  ];
}

async function backUp(configuration: Configuration, folder: string, out: Output): Promise<TakenBackup> {
  const dataDir = dataFolderToCopy(configuration, folder);
  const isRunning = holderOf(dataDir) !== undefined;
  // What does not run now must not be started while it is copied.
  const release = isRunning ? () => undefined : lockDataFolder(dataDir);
  const bar = progressBar(out);
  const signal = untilInterrupted();
  try {
    const { backupParts, elsewhereOf, openTimeSeriesStore } = await import('../backup/composition.ts');
    const elsewhere = elsewhereOf(configuration);
    const hasStore = elsewhere['timeSeriesStore'] === undefined;
    const store = hasStore ? await openTimeSeriesStore(configuration, isRunning) : undefined;
    try {
      return await takeBackup(folder, {
        ...{ dataDir, elsewhere },
        parts: backupParts(dataDir, store),
        createdBy: softwareVersion(),
        now: () => new Date(),
        onProgress: ({ doing, doneBytes, totalBytes }) => bar.at(doneBytes / Math.max(totalBytes, 1), doing),
        signal,
      });
    } finally {
      await store?.close();
    }
  } finally {
    bar.stop();
    release();
  }
}

async function check(backup: string, out: Output): Promise<BackupContent> {
  const bar = progressBar(out);
  const onProgress = ({ doneBytes, totalBytes }: { doneBytes: number; totalBytes: number }) =>
    bar.at(doneBytes / Math.max(totalBytes, 1), 'comparing');
  return checkBackup(backup, { onProgress, signal: untilInterrupted() }).finally(() => bar.stop());
}

async function restore(backup: string, dataDir: string, isForced: boolean, out: Output): Promise<Restored> {
  const holder = holderOf(dataDir);
  if (!isForced) refuseOverwriting(dataDir, holder);
  if (holder === undefined) refuseUnderServices(dataDir, 'restore');
  const bar = progressBar(out);
  const staged = await stageRestore(backup, dataDir, {
    onProgress: ({ doneBytes, totalBytes }) => bar.at(doneBytes / Math.max(totalBytes, 1), 'copying'),
    signal: untilInterrupted(),
  }).finally(() => bar.stop());
  if (holder === undefined) return { folder: dataDir, ...staged, ...swapStopped(dataDir) };
  if (!out.json) process.stderr.write(`The platform (process ${holder}) stops and starts again on the backup.\n`);
  return { folder: dataDir, ...staged, ...(await swapRunning(dataDir, holder)) };
}

function refuseOverwriting(dataDir: string, holder: number | undefined): void {
  if (holder !== undefined)
    throw new CommandError(
      'conflict',
      `a platform (process ${holder}) runs on ${dataDir}`,
      'with --force it is stopped, restored and started again; what it has now is kept beside the folder',
    );
  if (existsSync(dataDir) && readdirSync(dataDir).length > 0)
    throw new CommandError(
      'conflict',
      `${dataDir} is not empty`,
      'with --force it is replaced, and what it holds is kept beside it; or name another folder with --into',
    );
}

function swapStopped(dataDir: string): { aside?: string } {
  refuseUnderServices(dataDir, 'restore');
  if (existsSync(dataDir) && readdirSync(dataDir).length > 0) lockDataFolder(dataDir);
  const { aside } = swapFolder(dataDir, Date.now());
  if (aside === undefined) return {};
  rmSync(join(aside, LOCK_FILE), { force: true });
  return { aside };
}

async function swapRunning(dataDir: string, holder: number): Promise<{ aside?: string; url: string }> {
  const control = connectControl(dataDir);
  try {
    await control.restore().catch(async (error: unknown) => {
      await rm(restoredFolder(dataDir), { recursive: true, force: true });
      if (!isAway(error)) throw error;
      throw new CommandError(
        'unreachable',
        `the platform (process ${holder}) does not answer`,
        'it is starting or stopping: try again when it has',
      );
    });
    const last = performance.now() + RESTORED_WITHIN_MS;
    for (;;) {
      await sleep(200);
      const outcome = await control.restoreOutcome().catch(whileAway);
      if (outcome?.state === 'done')
        return { url: outcome.url, ...(outcome.aside !== undefined && { aside: outcome.aside }) };
      if (outcome?.state === 'failed') throw failed(outcome);
      if (!isAlive(holder)) throw new CommandError('failed', 'the platform ended', 'its own messages say why');
      if (performance.now() > last)
        throw new CommandError('failed', `the platform did not start again within ${RESTORED_WITHIN_MS / 1000} s`);
    }
  } finally {
    control.disconnect();
  }
}

function whileAway(error: unknown): undefined {
  if (!isAway(error)) throw error;
}

function isAway(error: unknown): boolean {
  return error instanceof PortError && error.code === 'unavailable';
}

function failed(outcome: Extract<RestoreOutcome, { state: 'failed' }>): CommandError {
  const where = outcome.restored === undefined ? '' : `; the restored data is in ${outcome.restored}`;
  return new CommandError(
    'failed',
    `the platform could not use the backup and runs on the former data: ${outcome.error}`,
    `Nothing was lost${where}`,
  );
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** What is wrong with a backup or a folder ends the command with its own exit code. */
async function inWords<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof BackupError) throw new CommandError('data', error.message);
    if (error instanceof DataFolderError) throw new CommandError('configuration', error.message);
    throw error;
  }
}
