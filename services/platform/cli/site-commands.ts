import { randomUUID } from 'node:crypto';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { isPortError } from '#core/errors.ts';
import type { Configuration } from '#services/shared/config/settings.ts';
import { beginImport, DataFolderError, endImport } from '#services/shared/process/data-format.ts';
import { lockDataFolder } from '#services/shared/process/folder-locks.ts';
import { openDataFolder } from '../data-folder.ts';
import type { StoppedSite } from '../moving/composition.ts';
import {
  checkSite,
  readSite,
  SiteFolderError,
  SiteWriter,
  type MoveOptions,
  type SiteSize,
} from '../moving/site-folder.ts';
import { exportKinds, importKinds, type KindSize } from '../moving/site-kinds.ts';
import { softwareVersion } from '../software-version.ts';
import { elsewhereText } from './api-client.ts';
import { numberUpTo } from './arguments.ts';
import { refuseUnderServices } from './lone-services.ts';
import type { Action } from './main.ts';
import { dataFolderToCopy } from './data-folder-to-copy.ts';
import { CommandError, counted, table, type Output } from './output.ts';
import { mebibytes, progressBar, untilInterrupted } from './progress.ts';

const GB = 1e9;
const DEAREST_GB = 100;
const NOT_MOVED =
  'Not in it: the keys that tokens and sessions are signed with (make new tokens), queued commands of devices, and the streams, which are settled.';

interface ExportFlags {
  readonly dryRun?: boolean;
  readonly egressPerGb?: number;
}

interface ImportFlags {
  readonly check?: boolean;
}

interface DryRun {
  readonly kinds: readonly ({ readonly kind: string } & KindSize)[];
  readonly parts: number;
  readonly bytes: number;
  readonly seconds: number;
  /** In the currency of the price; absent without one. */
  readonly egressCost?: number;
}

/** `tribo site export` and `tribo site import`: for whoever owns the data folder, while no service of the site runs. */
export function addSiteCommands(program: Command, action: Action): void {
  const site = program
    .command('site')
    .description('move this site to another provider, or back; see docs/moving-a-site.md');
  site
    .command('export <folder>')
    .description(
      'write all that the stopped site takes along into a folder; the same command again goes on after an interruption',
    )
    .option('--dry-run', 'only say how much it is and about how long it takes; about the cost with --egress-per-gb')
    .option('--egress-per-gb <price>', 'what the provider takes for 10^9 bytes that leave it', numberUpTo(DEAREST_GB))
    .action(
      action(async ({ configuration, out }, given: string, { dryRun = false, egressPerGb }: ExportFlags) => {
        const settings = configuration();
        const folder = resolve(given);
        await using source = await inWords('export', () => openSource(settings, folder));
        if (dryRun) {
          const measured = await inWords('export', () => measure(source, folder, egressPerGb));
          out.result(measured, dryRunText);
          return;
        }
        const size = await inWords('export', () => exportSite(settings, source, folder, out));
        const notExact = source.ledgers.filter(({ exact }) => !exact).map(({ tenant }) => tenant);
        out.result({ folder, ...size, notExact }, () =>
          [
            `${folder}: ${counted(size.parts, 'part')}, ${counted(size.rows, 'row')}, ${mebibytes(size.bytes)}.`,
            ...notExact.map(
              (tenant) => `The ledger of ${tenant} was not exact here (npx tribo ledger): what was lost stays lost.`,
            ),
            NOT_MOVED,
            'It holds digests of device secrets and is readable by you alone: keep it so.',
            `Next: npx tribo site import ${given}   with the data folder and TRIBO_PORTS_FILE of the new site. This one stays as it is: do not start it again.`,
          ].join('\n'),
        );
      }),
    );

  site
    .command('import <folder>')
    .description(
      'take an export into a new site, which its settings describe; the same command again goes on after an interruption',
    )
    .option('--check', 'only compare the export with its checksums')
    .action(
      action(async ({ configuration, out }, given: string, { check = false }: ImportFlags) => {
        const folder = resolve(given);
        if (check) {
          const size = await inWords('import', () => withProgress(out, (options) => checkSite(folder, options)));
          out.result(
            { folder, ...size },
            () =>
              `${folder} is whole: ${counted(size.parts, 'part')}, ${counted(size.rows, 'row')}, ${mebibytes(size.bytes)}.`,
          );
          return;
        }
        const settings = configuration();
        const { elsewhere, ...size } = await inWords('import', () => importSite(settings, folder, out));
        const dataDir = resolve(settings.dataDir);
        const provider = Object.keys(elsewhere).length === 0 ? '' : `, but for ${elsewhereText(elsewhere)}`;
        out.result({ folder, dataDir, elsewhere, ...size }, () =>
          [
            `${counted(size.parts, 'part')} of ${folder} are in ${dataDir}${provider}.`,
            'Next:',
            `  1. Start it with the same settings: npm start -- --data-dir ${dataDir}`,
            '  2. Compare: npx tribo ledger   (exact, with the sums of the old site)',
            '  3. Point the devices to its broker; their names and secrets are the same. What they send again is recognised.',
            '  4. Make new tokens for programs (npx tribo token create); people sign in anew.',
            'The old site stays as it is, and is the way back until devices send here: never let them send to both.',
          ].join('\n'),
        );
      }),
    );
}

/** The site with its data folder held: nothing of it runs, and all that it took in is settled. */
async function openSource(configuration: Configuration, folder: string): Promise<StoppedSite> {
  const dataDir = dataFolderToCopy(configuration, folder);
  const source = await openHeld(configuration, () => lockDataFolder(dataDir));
  if (source.unsettled.length === 0) return source;
  await source[Symbol.asyncDispose]();
  throw new CommandError(
    'conflict',
    `not all that the site took in is settled: ${source.unsettled.join(', ')}`,
    'start it where no device reaches it (npm start -- --no-demo --mqtt-port 0), wait until npx tribo ledger has nothing pending and npx tribo doctor no backlog, and stop it',
  );
}

async function openHeld(configuration: Configuration, hold: () => () => void): Promise<StoppedSite> {
  await using opened = new AsyncDisposableStack();
  opened.defer(hold());
  refuseUnderServices(resolve(configuration.dataDir), 'move the site');
  const { openStoppedSite } = await import('../moving/composition.ts');
  const site = opened.use(await openStoppedSite(configuration));
  const parts = opened.move();
  return { ...site, [Symbol.asyncDispose]: () => parts.disposeAsync() };
}

async function exportSite(
  { tenant, site }: Configuration,
  source: StoppedSite,
  folder: string,
  out: Output,
): Promise<SiteSize> {
  await using writer = await SiteWriter.begin(folder, {
    id: randomUUID(),
    createdBy: softwareVersion(),
    beganAt: new Date().toISOString(),
    ...{ tenant, site, state: source.state },
  });
  await withProgress(out, (options) => exportKinds(writer, source.kinds, options));
  return await writer.finish(new Date().toISOString());
}

async function importSite(
  configuration: Configuration,
  folder: string,
  out: Output,
): Promise<SiteSize & Pick<StoppedSite, 'elsewhere'>> {
  const { tenant, site, size } = await readSite(folder);
  if (tenant !== configuration.tenant || site !== configuration.site)
    throw new CommandError(
      'configuration',
      `${folder} is of the site ${tenant}/${site}, and the settings name ${configuration.tenant}/${configuration.site}`,
      `set TRIBO_TENANT=${tenant} and TRIBO_SITE=${site}: machines and devices are named under them`,
    );
  const dataDir = resolve(configuration.dataDir);
  await using target = await openHeld(configuration, () =>
    openDataFolder(dataDir, softwareVersion(), { toImport: true }),
  );
  if (target.ledgers.some(({ stages }) => stages.some(({ accepted }) => accepted > 0)))
    throw new CommandError(
      'conflict',
      'the event stream of the new site has taken in something already',
      'import into a site that never ran: name another data folder with --data-dir, and other streams',
    );
  const onBegin = () => beginImport(dataDir, folder);
  await withProgress(out, (options) => importKinds(folder, target.kinds, { ...options, onBegin }));
  endImport(dataDir);
  return { ...size, elsewhere: target.elsewhere };
}

async function measure({ kinds }: StoppedSite, folder: string, pricePerGb: number | undefined): Promise<DryRun> {
  const signal = untilInterrupted();
  const sizes: ({ readonly kind: string } & KindSize)[] = [];
  for (const kind of kinds) sizes.push({ kind: kind.name, ...(await kind.measure({ folder, signal })) });
  const sum = (of: (size: KindSize) => number) => sizes.reduce((total, size) => total + of(size), 0);
  const bytes = Math.round(sum((size) => size.bytes));
  return {
    kinds: sizes.map((size) => ({ ...size, bytes: Math.round(size.bytes), ms: Math.round(size.ms) })),
    parts: sum(({ parts }) => parts),
    bytes,
    seconds: Math.ceil(sum(({ ms }) => ms) / 1000),
    ...(pricePerGb !== undefined && { egressCost: (bytes / GB) * pricePerGb }),
  };
}

function dryRunText({ kinds, parts, bytes, seconds, egressCost }: DryRun): string {
  const line = (name: string, size: KindSize) => [
    name,
    size.parts.toLocaleString('en'),
    mebibytes(size.bytes),
    duration(Math.ceil(size.ms / 1000)),
  ];
  return [
    table(
      ['KIND', 'PARTS', 'ABOUT', 'TAKES ABOUT'],
      [...kinds.map((size) => line(size.kind, size)), line('all', { parts, bytes, ms: seconds * 1000 })],
    ),
    'Times are by the rate at which a first part was read; writing the folder comes to it.',
    ...(egressCost === undefined
      ? []
      : [`Egress: ${(bytes / GB).toFixed(3)} GB, ${egressCost.toFixed(2)} at the given price.`]),
  ].join('\n');
}

function duration(seconds: number): string {
  if (seconds < 120) return `${seconds} s`;
  return seconds < 7200 ? `${Math.ceil(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

async function withProgress<Result>(out: Output, work: (options: MoveOptions) => Promise<Result>): Promise<Result> {
  const signal = untilInterrupted();
  const bar = progressBar(out);
  const onProgress: MoveOptions['onProgress'] = ({ kind, done, total }) =>
    bar.at(done / Math.max(total, 1), `${kind} ${done.toLocaleString('en')} of ${total.toLocaleString('en')}`);
  try {
    return await work({ signal, onProgress });
  } catch (error) {
    if (!signal.aborted) throw error;
    throw new CommandError('interrupted', 'it was interrupted', 'the same command again goes on with it');
  } finally {
    bar.stop();
  }
}

/** What is wrong with a folder or a site ends the command with its own exit code. */
async function inWords<Result>(what: 'export' | 'import', work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof SiteFolderError) throw new CommandError('data', error.message);
    if (error instanceof DataFolderError) throw new CommandError('configuration', error.message);
    if (!isPortError(error)) throw error;
    if (error.code === 'invalid_argument') throw new CommandError('data', error.message);
    if (error.code === 'failed_precondition') throw new CommandError('configuration', error.message);
    if (error.code === 'already_exists')
      throw new CommandError('conflict', error.message, 'docs/moving-a-site.md says how to begin anew');
    if (error.code === 'unavailable' || error.code === 'deadline_exceeded')
      throw new CommandError('unreachable', error.message, `the same command again goes on with the ${what}`);
    throw error;
  }
}
