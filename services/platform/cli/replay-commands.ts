import { createHash } from 'node:crypto';
import { existsSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Option, type Command } from 'commander';
import type { AlarmView, JournalEntryView } from '#services/api-gateway/schemas/alarms.ts';
import { isPortError } from '#core/errors.ts';
import { REPLAY_FORMATS, type ReplayFormat } from '#services/edge-simulator/replay/formats.ts';
import type { ReplayProgress, ReplayResult } from '#services/edge-simulator/replay/replay-tally.ts';
import { replay } from '#services/edge-simulator/replay/replay.ts';
import { allItems } from './all-items.ts';
import { untilAnalysed, type Analysed } from './analysed.ts';
import type { ApiClient } from './api-client.ts';
import type { Action, CommandContext } from './main.ts';
import { CommandError, counted, table } from './output.ts';
import { putPlant } from './put-plant.ts';
import { replayProgress } from './replay-progress.ts';
import { replayReportTable, replayVerdicts, type ReplayedAlarm, type ReplayVerdict } from './replay-report.ts';

interface ReplayFlags {
  readonly format: ReplayFormat;
  readonly speed: string;
  readonly times: 'end' | 'start' | 'keep';
  readonly site?: string;
  readonly mapping?: string;
  readonly only?: string;
  readonly prefix?: string;
  readonly report?: boolean;
  readonly anew?: boolean;
}

/** What `tribo replay` tells. Rates are of items (readings and waveforms) from the first one sent. */
interface Replayed extends ReplayResult {
  readonly ledger: Analysed['ledger'];
  /** Until all was stored. */
  readonly storedPerS: number;
  /** Until all was judged too. */
  readonly judgedPerS: number;
  readonly alarms: readonly AlarmView[];
  readonly report?: readonly ReplayVerdict[];
}

const ALL_STATES =
  'normal,unacknowledged,acknowledged,rtn-unacknowledged,latched,shelved,suppressed-by-design,out-of-service';

/** `tribo replay`: recordings instead of devices. */
export function addReplayCommands(program: Command, action: Action): void {
  program
    .command('replay <folder>')
    .description(
      'send a recording through the platform, as if its machines were here; one that was interrupted goes on with the same command',
    )
    .addOption(
      new Option('--format <format>', 'what the folder holds').choices([...REPLAY_FORMATS]).makeOptionMandatory(),
    )
    .option('--speed <factor>', 'times as fast as it was recorded, or max', 'max')
    .addOption(
      new Option('--times <how>', 'end: the recording ends now; start: it begins now; keep: its own times, by import')
        .choices(['end', 'start', 'keep'])
        .default('end'),
    )
    .option('--site <site>', 'site of its machines (default: the format’s name)')
    .option('--mapping <file>', 'how to read the columns; for the format csv')
    .option('--only <text>', 'only recordings whose name holds this text')
    .option('--prefix <text>', 'put before each machine’s name')
    .option('--report', 'say for each machine when its alarm came: lead time before the end, alarms in the first half')
    .option('--anew', 'begin again, though an earlier replay of it was interrupted')
    .action(action(runReplay));
}

async function runReplay(context: CommandContext, folder: string, flags: ReplayFlags): Promise<void> {
  const { api, configuration, out } = context;
  const client = api();
  const { tenant, acceptAgeDays, dataDir } = configuration();
  const site = flags.site ?? flags.format;
  const journal = journalPath(dataDir, client.url, folder, site, flags);
  if (flags.anew) rmSync(journal, { force: true });
  const goesOn = existsSync(journal);
  if (goesOn && !out.json) process.stderr.write('Going on where it was interrupted (--anew begins again).\n');
  const progress = replayProgress({ isTerminal: process.stderr.isTTY, json: out.json });
  const interrupted = interruption();
  const result = await replay({
    format: flags.format,
    folder,
    tenant,
    site,
    speed: parseSpeed(flags.speed),
    shiftTimes: flags.times,
    acceptAgeDays,
    mapping: flags.mapping,
    only: flags.only,
    machinePrefix: flags.prefix,
    // Read anew each time: the platform renews it, also when it is started again in the middle.
    transport: { mode: 'http', url: client.url, token: () => currentToken(api, client.token) },
    journal,
    signal: interrupted.signal,
    onPlant: async (plant) => {
      await putPlant(client, plant);
    },
    onProgress: progress.update,
  })
    .catch((error: unknown) => {
      throw interrupted.signal.aborted ? interruptedError(progress.latest()) : replayError(error);
    })
    .finally(() => {
      progress.stop();
      interrupted.release();
    });
  const { ledger, settledAfterS, analysedAfterS } = await untilAnalysed(client);
  const alarms = await alarmsOf(client, site, result);
  const replayed: Replayed = {
    ...result,
    ledger,
    storedPerS: result.items / (result.seconds + settledAfterS),
    judgedPerS: result.items / (result.seconds + analysedAfterS),
    alarms,
    ...(flags.report && { report: replayVerdicts(result.recordings, await withJournals(client, alarms)) }),
  };
  out.result(replayed, describe);
  if (!ledger.exact) process.exitCode = 65;
}

/** A file for each replay that is told apart: interrupted, it is there until the same command ends it. */
function journalPath(dataDir: string, url: string, folder: string, site: string, flags: ReplayFlags): string {
  const { format, times, only, prefix, mapping } = flags;
  const same = [url, resolve(folder), site, format, times, only, prefix, mapping && resolve(mapping)];
  const name = createHash('sha256').update(JSON.stringify(same)).digest('hex').slice(0, 24);
  return join(dataDir, 'replays', `${name}.json`);
}

/** Ctrl-C once ends the replay so that it can go on; twice ends the process. */
function interruption(): { readonly signal: AbortSignal; readonly release: () => void } {
  const abort = new AbortController();
  const stop = (): void => abort.abort();
  process.once('SIGINT', stop).once('SIGTERM', stop);
  return { signal: abort.signal, release: () => void process.off('SIGINT', stop).off('SIGTERM', stop) };
}

function interruptedError(progress: ReplayProgress | undefined): CommandError {
  const done = progress ? `: ${progress.messages.toLocaleString('en')} messages were acknowledged by this run` : '';
  return new CommandError(
    'interrupted',
    `the replay was interrupted${done}`,
    'the same command goes on from there; --anew begins again',
  );
}

/** Its message says what, where and the remedy; only the exit code is missing. */
function replayError(error: unknown): unknown {
  if (!isPortError(error)) return error;
  if (error.code === 'invalid_argument' || error.code === 'data_loss') return new CommandError('data', error.message);
  if (error.code === 'not_found') return new CommandError('not-found', error.message);
  if (error.code === 'unavailable') {
    return new CommandError(
      'unreachable',
      error.message,
      'when the platform is back, the same command goes on from there',
    );
  }
  return error.code === 'permission_denied' ? new CommandError('refused', error.message) : error;
}

function currentToken(api: () => ApiClient, last: string): string {
  try {
    return api().token;
  } catch {
    // The platform is away, and its address with it.
    return last;
  }
}

function parseSpeed(text: string): number | 'max' {
  if (text === 'max') return 'max';
  const speed = Number(text);
  if (Number.isFinite(speed) && speed > 0) return speed;
  throw new CommandError('usage', `--speed must be max or a number above 0, got ${text}`);
}

/** Alarms of the machines of the replay, oldest first, that are of the time of their recordings or later. */
async function alarmsOf(client: ApiClient, site: string, { recordings }: ReplayResult): Promise<AlarmView[]> {
  const machines = new Set(recordings.flatMap((recording) => recording.machines));
  const from = new Date(Math.min(...recordings.map(({ beginMs }) => beginMs))).toISOString();
  const query = new URLSearchParams({ site, from, state: ALL_STATES });
  const alarms = await allItems<AlarmView>(client, `/v1/alarms?${query.toString()}`);
  return alarms.filter(({ machine }) => machines.has(machine)).toSorted((a, b) => a.raisedMs - b.raisedMs);
}

async function withJournals(client: ApiClient, alarms: readonly AlarmView[]): Promise<ReplayedAlarm[]> {
  const all: ReplayedAlarm[] = [];
  for (const alarm of alarms) {
    const journal = await allItems<JournalEntryView>(client, `/v1/alarms/${encodeURIComponent(alarm.id)}/journal`);
    all.push({ ...alarm, journal });
  }
  return all;
}

function describe(replayed: Replayed): string {
  const { ledger, report, alarms, ...result } = replayed;
  const per = (value: number) => Math.round(value).toLocaleString('en');
  return [
    `${per(result.messages)} messages (${per(result.items)} items) of ${counted(result.machines, 'machine')} in ${result.seconds.toFixed(1)} s${result.resumed ? ', the rest of an interrupted replay' : ''}`,
    `Items a second: ${per(result.itemsPerS)} acknowledged, ${per(result.storedPerS)} stored, ${per(result.judgedPerS)} judged`,
    ...(result.duplicateItems > 0
      ? [`${per(result.duplicateItems)} items were there already, and are stored once`]
      : []),
    ...(result.rejectedItems > 0
      ? [`${per(result.rejectedItems)} items were rejected; the first because ${result.firstRejection ?? 'unknown'}`]
      : []),
    ...(result.refusedMessages > 0
      ? [`${per(result.refusedMessages)} messages were refused; the first because ${result.firstRefusal ?? 'unknown'}`]
      : []),
    `Ledger: ${ledger.exact ? 'exact' : 'NOT EXACT'}, ${per(ledger.accepted)} accepted, ${per(ledger.stored)} stored, ${per(ledger.duplicate)} duplicate, ${per(ledger.rejected)} rejected, ${per(ledger.deadLettered)} dead-lettered, ${per(ledger.pending)} pending`,
    '',
    ...(report ? [replayReportTable(report)] : ['Alarms:', alarmTable(alarms)]),
  ].join('\n');
}

function alarmTable(alarms: readonly AlarmView[]): string {
  return table(
    ['machine', 'raised', 'priority', 'state', 'alarm'],
    alarms.map((alarm) => [
      alarm.machine,
      new Date(alarm.raisedMs).toISOString(),
      alarm.priority,
      alarm.state,
      alarm.title,
    ]),
  );
}
