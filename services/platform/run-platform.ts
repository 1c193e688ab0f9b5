import { chmodSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { isatty } from 'node:tty';
import { systemClock } from '#core/clock.ts';
import { isPortError } from '#core/errors.ts';
import type { Configuration } from '#services/shared/config/settings.ts';
import { DataFolderError } from '#services/shared/process/data-format.ts';
import { ADDRESS_FILE, elsewhereText, type PlatformAddress } from './cli/api-client.ts';
import { CommandError, type Output } from './cli/output.ts';
import { composePlatform } from './composition.ts';
import { openDataFolder } from './data-folder.ts';
import type { Platform } from './platform.ts';
import { serveControl } from './platform-control.ts';
import { RunningRestores } from './running-restores.ts';
import { softwareVersion } from './software-version.ts';

/** How often the token for commands on this machine is made anew; it is valid for twice as long. */
const TOKEN_EVERY_MS = 3_600_000;
const TOKEN_CHECK_MS = 1000;

/**
 * Starts the platform, says where it is, and returns when it was asked to stop and has: also when that was asked while it started. A restore
 * starts it again on other data.
 */
export async function runPlatform(configuration: Configuration, out: Output): Promise<void> {
  const stopping = new AbortController();
  const restores = new RunningRestores(resolve(configuration.dataDir));
  const asked = untilAskedToStop().then(() => {
    if (!out.json)
      process.stderr.write('\nStopping: what was acknowledged is being finished (Ctrl-C again ends at once).\n');
    stopping.abort(new Error('it was asked to stop'));
  });
  do await restores.proven(() => runOnce(configuration, out, restores, { asked, signal: stopping.signal }));
  while (!stopping.signal.aborted && restores.swapIfRequested());
  if (!out.json) process.stderr.write('Stopped.\n');
  process.exit(0);
}

interface Stopping {
  /** Resolves when somebody asked for the end. */
  readonly asked: Promise<void>;
  /** Ends a start that is under way. */
  readonly signal: AbortSignal;
}

/** From one start to the next stop, asked for by a person or by a restore. */
async function runOnce(
  configuration: Configuration,
  out: Output,
  restores: RunningRestores,
  { asked, signal }: Stopping,
): Promise<void> {
  const began = performance.now();
  const release = takeFolder(configuration.dataDir);
  try {
    const platform = await composePlatform(configuration, signal);
    try {
      await serve(configuration, platform, out, restores, { asked, began });
    } finally {
      await platform.close();
    }
  } catch (error) {
    if (!signal.aborted) throw asCommandError(error);
  } finally {
    release();
  }
}

/** Says where the platform is, to people and to commands, until it is asked to stop. */
async function serve(
  configuration: Configuration,
  platform: Platform,
  out: Output,
  restores: RunningRestores,
  { asked, began }: { readonly asked: Promise<void>; readonly began: number },
): Promise<void> {
  const { dataDir } = configuration;
  const { addresses, mqttPort, caFile, elsewhere } = platform;
  const { url, mqttUrl } = addresses.everywhere;
  await using opened = new AsyncDisposableStack();
  const control = await serveControl(dataDir, restores);
  opened.defer(() => control.close());
  const onHangUp = (): void => platform.renewCertificates();
  process.on('SIGHUP', onHangUp);
  opened.defer(() => void process.off('SIGHUP', onHangUp));
  const addressFile = join(dataDir, ADDRESS_FILE);
  opened.defer(() => rmSync(addressFile, { force: true }));
  let issuedMs = 0;
  const writeAddress = async (): Promise<void> => {
    const nowMs = systemClock.nowMs();
    // Also after a jump of the clock, which a timer of an hour would not notice.
    if (Math.abs(nowMs - issuedMs) < TOKEN_EVERY_MS) return;
    const token = await platform.commandToken(2 * TOKEN_EVERY_MS);
    writeOwnerOnly(addressFile, { ...addresses.here, token, everywhere: addresses.everywhere, caFile, elsewhere });
    issuedMs = nowMs;
  };
  await writeAddress();
  const refresh = setInterval(() => void writeAddress().catch(() => undefined), TOKEN_CHECK_MS);
  opened.defer(() => clearInterval(refresh));
  const link = await platform.signInLink();
  const seconds = (performance.now() - began) / 1000;
  restores.runs(url);
  out.result({ url, signInLink: link, mqttUrl, mqttPort, dataDir, pid: process.pid }, () =>
    banner(configuration, platform, link, seconds),
  );
  await Promise.race([asked, restores.requested]);
}

function takeFolder(dataDir: string): () => void {
  try {
    return openDataFolder(dataDir, softwareVersion());
  } catch (error) {
    throw asCommandError(error);
  }
}

function writeOwnerOnly(path: string, address: PlatformAddress): void {
  // Written beside and renamed, so that a reader finds the old or the new one, also where the disk is full.
  const beside = `${path}.new`;
  rmSync(beside, { force: true });
  writeFileSync(beside, JSON.stringify(address), { mode: 0o600 });
  chmodSync(beside, 0o600);
  renameSync(beside, path);
}

function banner(
  { dataDir, demo }: Configuration,
  { addresses, elsewhere }: Platform,
  link: string,
  seconds: number,
): string {
  const { url, mqttUrl } = addresses.everywhere;
  const butFor = Object.keys(elsewhere).length === 0 ? '' : `, but for ${elsewhereText(elsewhere)}`;
  return [
    '',
    `Tribo is running (ready in ${seconds.toFixed(1)} s). Everything is kept in ${dataDir}${butFor}.`,
    '',
    `  Dashboard   ${link}`,
    '              (signs you in as admin, once; for another link: npx tribo token sign-in admin --role admin)',
    `  API         ${url}/openapi.json`,
    `  MQTT        ${mqttUrl}`,
    '',
    demo
      ? '  The demo plant is sending. Within two minutes the bearing of its pump gets worse and raises an alarm.'
      : '  No demo plant.',
    '  Connect a device of your own, in another terminal:  npx tribo device add press-7',
    '',
    'Ctrl-C stops it; the next start goes on where this one stopped.',
  ].join('\n');
}

function untilAskedToStop(): Promise<void> {
  const isInTerminal = isatty(0);
  return new Promise((resolve) => {
    const stop = (): void => {
      // A second Ctrl-C must not be swallowed: it ends the process as it would any other.
      process.off('SIGINT', stop).off('SIGTERM', stop);
      resolve();
    };
    process.on('SIGINT', stop).on('SIGTERM', stop);
    // A terminal that is closed says so by the same signal as whoever has renewed certificates.
    process.on('SIGHUP', () => {
      if (isInTerminal && !isatty(0)) stop();
    });
  });
}

function asCommandError(error: unknown): unknown {
  // A port that is taken, or an address that wants TLS: the message names the setting.
  const isConfiguration =
    error instanceof DataFolderError || (isPortError(error) && error.code === 'failed_precondition');
  return isConfiguration ? new CommandError('configuration', error.message) : error;
}
