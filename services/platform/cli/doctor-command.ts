import { accessSync, constants, existsSync, statfsSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { totalmem } from 'node:os';
import type { Command } from 'commander';
import type { LedgerView } from '#services/api-gateway/schemas/ledger.ts';
import type { Readiness } from '#services/api-gateway/schemas/operation.ts';
import type { Configuration } from '#services/shared/config/settings.ts';
import { DATA_FORMAT, formatOf, refuseNewerFormat } from '#services/shared/process/data-format.ts';
import { ADDRESS_FILE, elsewhereText, READINESS, type ApiClient } from './api-client.ts';
import { certificateChecks, servedCertificateChecks } from './certificate-checks.ts';
import { checkText, isWell, type Check } from './doctor-check.ts';
import type { Action } from './main.ts';
import { CommandError, EXIT_CODES } from './output.ts';
import { unitsCheck } from './unit-checks.ts';
import { dirname, join, resolve } from 'node:path';

/** The ledger is read from the store, which may be what hangs. */
const LEDGER_WITHIN_MS = 10_000;

/** `tribo doctor`: whether this machine can run the platform, and whether the one that runs is well. */
export function addDoctorCommand(program: Command, action: Action): void {
  program
    .command('doctor')
    .description(
      'check this machine and the running platform; exits with 70 when something is wrong or needs attention',
    )
    .action(
      action(async ({ configuration, api, out }) => {
        const settings = configuration();
        const running = existsSync(join(settings.dataDir, ADDRESS_FILE));
        const checks = [
          nodeCheck(),
          memoryCheck(),
          folderCheck(settings.dataDir),
          formatCheck(settings.dataDir),
          diskCheck(settings.dataDir),
          ...certificateChecks(settings, Date.now()),
        ];
        if (running) checks.push(...(await platformChecks(settings, api)));
        else checks.push(...(await portChecks(settings)));
        out.result(checks, () => checks.map(checkText).join('\n'));
        if (!checks.every(isWell)) process.exitCode = EXIT_CODES.failed;
      }),
    );
}

function nodeCheck(): Check {
  return {
    name: 'Node.js',
    ok: process.versions.node.startsWith('24.'),
    detail: process.version,
    remedy: 'run "npm ci": it installs the pinned one',
  };
}

function memoryCheck(): Check {
  const gib = totalmem() / 2 ** 30;
  return { name: 'memory', ok: gib >= 2, detail: `${gib.toFixed(1)} GiB`, remedy: 'give it 2 GiB or more' };
}

function folderCheck(folder: string): Check {
  try {
    const present = nearestPresent(resolve(folder));
    if (!statSync(present).isDirectory()) throw new Error(`${present} is no folder`);
    accessSync(present, constants.W_OK | constants.X_OK);
    const detail = present === resolve(folder) ? `${folder} is writable` : `${folder} can be made in ${present}`;
    return { name: 'data folder', ok: true, detail };
  } catch (error) {
    return {
      name: 'data folder',
      ok: false,
      detail: `${folder}: ${(error as Error).message}`,
      remedy: 'set TRIBO_DATA_DIR to a folder that you may write to',
    };
  }
}

/** The folder, or what is there of the way to it: to check must not make it. */
function nearestPresent(folder: string): string {
  return existsSync(folder) || dirname(folder) === folder ? folder : nearestPresent(dirname(folder));
}

function formatCheck(folder: string): Check {
  const name = 'data format';
  try {
    const format = formatOf(folder);
    if (format === undefined) return { name, ok: true, detail: `none yet; it will be ${DATA_FORMAT}` };
    refuseNewerFormat(folder, format);
    const next = format < DATA_FORMAT ? `; the next start migrates it to ${DATA_FORMAT}: take a backup before` : '';
    return { name, ok: true, detail: `${format}${next}` };
  } catch (error) {
    return { name, ok: false, detail: (error as Error).message };
  }
}

function diskCheck(folder: string): Check {
  const { bavail, bsize } = statfsSync(nearestPresent(resolve(folder)));
  const gib = (bavail * bsize) / 2 ** 30;
  return {
    name: 'free disk',
    ok: gib >= 1,
    detail: `${gib.toFixed(1)} GiB`,
    remedy: 'free some space, or lower TRIBO_STREAM_MAX_BYTES and the retention days',
  };
}

async function portChecks(settings: Configuration): Promise<Check[]> {
  const check = async (name: string, port: number, variable: string): Promise<Check> => {
    const free = await isFree(settings.host, port);
    return {
      name,
      ok: free,
      detail: `${settings.host}:${port} is ${free ? 'free' : 'taken'}`,
      remedy: `stop what listens there, or set ${variable}`,
    };
  };
  return [
    await check('MQTT port', settings.mqttPort, 'TRIBO_MQTT_PORT'),
    await check('HTTP port', settings.httpPort, 'TRIBO_HTTP_PORT'),
  ];
}

function isFree(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, host, () => server.close(() => resolve(true)));
  });
}

/** Why it is not ready, where it is not; the ledger cannot always be read then, which keeps nothing else from being told. */
async function platformChecks(settings: Configuration, api: () => ApiClient): Promise<Check[]> {
  try {
    const client = api();
    const { checks } = await client.request<Readiness>('GET', READINESS);
    return [
      { name: 'platform', ok: true, detail: `answers at ${client.url}` },
      ...elsewhereCheck(client),
      ...(await servedCertificateChecks(settings, client)),
      ...checks.map(platformCheck),
      await ledgerCheck(client).catch((error: unknown) => failed('ledger', error)),
      await unitsCheck(client).catch((error: unknown) => failed('units', error)),
    ];
  } catch (error) {
    return [failed('platform', error)];
  }
}

function elsewhereCheck({ elsewhere = {} }: ApiClient): Check[] {
  if (Object.keys(elsewhere).length === 0) return [];
  return [{ name: 'ports', ok: true, detail: `elsewhere are ${elsewhereText(elsewhere)}; the others embedded` }];
}

/** What gives a reason although it is ok calls for attention. */
export function platformCheck({ name, ok, reason }: Readiness['checks'][number]): Check {
  return { name, ok, ...(ok && reason !== undefined && { attention: true as const }), detail: reason ?? 'ready' };
}

async function ledgerCheck(client: ApiClient): Promise<Check> {
  const path = '/v1/ledger';
  const { exact, pending, lost } = await client.request<LedgerView>('GET', path, undefined, {}, LEDGER_WITHIN_MS);
  return {
    name: 'ledger',
    ok: exact,
    detail: `${exact ? 'exact' : 'NOT exact'}, ${pending} items pending, ${lost} events lost`,
    remedy: 'this is a defect of Tribo: please report it',
  };
}

function failed(name: string, error: unknown): Check {
  const remedy = error instanceof CommandError ? error.remedy : undefined;
  return { name, ok: false, detail: (error as Error).message, ...(remedy !== undefined && { remedy }) };
}
