import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Configuration } from '#services/shared/config/settings.ts';
import { ADDRESS_FILE, type PlatformAddress } from './cli/api-client.ts';
import { CommandError, type Output } from './cli/output.ts';
import { composePlatform, type Platform } from './composition.ts';
import { DataFolderError, openDataFolder } from './data-folder.ts';
import { serveControl } from './platform-control.ts';
import { RunningRestores } from './running-restores.ts';

/** How often the token for commands on this machine is made anew; it is valid for twice as long. */
const TOKEN_EVERY_MS = 3_600_000;

/** Starts the platform, says where it is, and returns when it was asked to stop and has. A restore starts it again on other data. */
export async function runPlatform(configuration: Configuration, out: Output): Promise<void> {
  if (configuration.split)
    throw new CommandError(
      'configuration',
      'running each service as a process of its own is not available yet',
      'leave out --split (TRIBO_SPLIT); a service can be started alone by its main.ts',
    );
  const restores = new RunningRestores(resolve(configuration.dataDir));
  do await restores.proven(() => runOnce(configuration, out, restores));
  while (restores.swapIfRequested());
  if (!out.json) process.stderr.write('Stopped.\n');
  process.exit(0);
}

/** From one start to the next stop, asked for by a person or by a restore. */
async function runOnce(configuration: Configuration, out: Output, restores: RunningRestores): Promise<void> {
  const { dataDir } = configuration;
  const began = performance.now();
  const release = takeFolder(dataDir);
  const addressFile = join(dataDir, ADDRESS_FILE);
  let platform: Platform | undefined;
  let control: { close(): Promise<void> } | undefined;
  let refresh: NodeJS.Timeout | undefined;
  try {
    platform = await composePlatform(configuration);
    const { url } = platform;
    control = await serveControl(dataDir, restores);
    const writeAddress = async (from: Platform) =>
      writeOwnerOnly(addressFile, { url, token: await from.commandToken(2 * TOKEN_EVERY_MS) });
    await writeAddress(platform);
    refresh = setInterval(() => platform && void writeAddress(platform).catch(() => undefined), TOKEN_EVERY_MS);
    const link = platform.signInLink();
    const seconds = (performance.now() - began) / 1000;
    restores.runs(url);
    out.result({ url, signInLink: link, mqttPort: platform.mqttPort, dataDir, pid: process.pid }, () =>
      banner(configuration, platform, link, seconds),
    );
    await Promise.race([untilAskedToStop(), restores.requested]);
    if (!out.json)
      process.stderr.write('\nStopping: what was acknowledged is being finished (Ctrl-C again ends at once).\n');
  } catch (error) {
    throw asCommandError(error);
  } finally {
    clearInterval(refresh);
    rmSync(addressFile, { force: true });
    await control?.close();
    await platform?.close();
    release();
  }
}

function takeFolder(dataDir: string): () => void {
  try {
    return openDataFolder(dataDir, softwareVersion());
  } catch (error) {
    throw asCommandError(error);
  }
}

export function softwareVersion(): string {
  return (JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string })
    .version;
}

function writeOwnerOnly(path: string, address: PlatformAddress): void {
  rmSync(path, { force: true });
  writeFileSync(path, JSON.stringify(address), { mode: 0o600 });
  chmodSync(path, 0o600);
}

function banner(
  { host, dataDir, demo }: Configuration,
  platform: Platform | undefined,
  link: string,
  seconds: number,
): string {
  return [
    '',
    `Tribo is running (ready in ${seconds.toFixed(1)} s). Everything is kept in ${dataDir}.`,
    '',
    `  Dashboard   ${link}`,
    '              (signs you in as admin, once; for another link: npx tribo token sign-in admin --role admin)',
    `  API         ${platform?.url ?? ''}/openapi.json`,
    `  MQTT        ${host}:${String(platform?.mqttPort)}`,
    '',
    demo
      ? '  The demo plant is sending. Within two minutes the bearing of its pump gets worse and raises an alarm.'
      : '  No demo plant.',
    '  Connect a device of your own, in another terminal:  npx tribo device add press-7',
    '',
    'Ctrl-C stops it; the next start goes on where this one stopped.',
  ].join('\n');
}

let askedToStop: Promise<void> | undefined;

/** Once the platform has started for the first time, a signal lets it finish its work; before, it ends the process at once. */
function untilAskedToStop(): Promise<void> {
  return (askedToStop ??= new Promise((resolve) => {
    const stop = (): void => {
      // A second Ctrl-C must not be swallowed: it ends the process as it would any other.
      process.off('SIGINT', stop).off('SIGTERM', stop);
      resolve();
    };
    process.on('SIGINT', stop).on('SIGTERM', stop);
  }));
}

function asCommandError(error: unknown): unknown {
  if (error instanceof DataFolderError) return new CommandError('configuration', error.message);
  return error;
}
