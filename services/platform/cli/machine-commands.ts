import { Argument, type Command } from 'commander';
import { MACHINE_EVENT_KINDS } from '#core/domain/machine-history.ts';
import type { LearningView, MachineDetail, MachineEventView } from '#services/api-gateway/schemas/machines.ts';
import { learningText } from '#services/api-gateway/schemas/learning-text.ts';
import { allItems } from './all-items.ts';
import { count } from './arguments.ts';
import type { Action } from './main.ts';
import { counted, instant, table } from './output.ts';

/** `tribo machine ...`: how one machine is, and what was done to it. */
export function addMachineCommands(program: Command, action: Action): void {
  const machine = program.command('machine').description('one machine: how it is, its history');

  machine
    .command('show <machine>')
    .description('health, operating state, newest values')
    .option('--site <site>', 'where several sites have one of that name')
    .action(
      action(async ({ api, out }, name: string, options: { site?: string }) => {
        out.result(await api().request<MachineDetail>('GET', path(name, '', options)), describe);
      }),
    );

  machine
    .command('history <machine>')
    .description('what was done to it: repairs, bearing changes, maintenance, notes')
    .option('--site <site>', 'where several sites have one of that name')
    .action(
      action(async ({ api, out }, name: string, options: { site?: string }) => {
        const items = await allItems<MachineEventView>(api(), path(name, '/events', options));
        out.result(items, () =>
          table(
            ['when', 'what', 'by', 'details'],
            items.map((each) => [
              instant(each.atMs),
              each.kind,
              each.by,
              [each.text, each.remark].filter(Boolean).join(' '),
            ]),
          ),
        );
      }),
    );

  machine
    .command('note <machine>')
    .addArgument(new Argument('<kind>').choices(MACHINE_EVENT_KINDS))
    .description(
      `add to its history: ${MACHINE_EVENT_KINDS.join(', ')}; after a repair or bearing change baselines are learnt anew, during maintenance nothing is judged`,
    )
    .option('--text <text>', 'what exactly', '')
    .option('--at <milliseconds>', 'when, in epoch milliseconds, also ahead (default: now)', count)
    .option('--site <site>', 'where several sites have one of that name')
    .action(
      action(
        async ({ api, out }, name: string, kind: string, options: { text: string; at?: number; site?: string }) => {
          const body = { kind, text: options.text, ...(options.at !== undefined && { atMs: options.at }) };
          const noted = await api().request<MachineEventView>('POST', path(name, '/events', options), body);
          out.result(noted, () =>
            [`${name}: ${noted.kind} at ${instant(noted.atMs)} by ${noted.by} is in its history`, noted.remark ?? []]
              .flat()
              .join('\n'),
          );
        },
      ),
    );
}

function path(machine: string, rest: string, { site }: { readonly site?: string }): string {
  const query = site === undefined ? '' : `?site=${encodeURIComponent(site)}`;
  return `/v1/machines/${encodeURIComponent(machine)}${rest}${query}`;
}

/** More than any sensor tells apart; `--json` has all there are. */
const SHOWN_DIGITS = 6;

function describe(machine: MachineDetail): string {
  const { health, openAlarms, maintenance } = machine;
  return [
    `${machine.site}/${machine.machine} (${machine.class}): ${health.status}, ${machine.operatingState}${machine.stale ? ', silent' : ''}, last seen ${instant(machine.lastSeenMs) || 'never'}`,
    ...(maintenance
      ? [
          `  under maintenance since ${instant(maintenance.fromMs)}, noted by ${maintenance.by}; until ${instant(maintenance.untilMs)}${maintenance.endNoted ? '' : ', when it ends by itself'}`,
        ]
      : []),
    ...health.reasons.map((reason) => `  because ${reason}`),
    ...(machine.learning ?? []).map((each) => `  ${learningText(each)}${since(each)}`),
    `  ${counted(openAlarms.total, 'open alarm')}, ${openAlarms.unacknowledged} not acknowledged`,
    table(
      ['metric', 'value', 'unit', 'quality', 'at'],
      machine.latest.map((each) => [
        each.metric,
        String(Number(each.value.toPrecision(SHOWN_DIGITS))),
        each.unit ?? '',
        each.quality,
        instant(each.tsMs),
      ]),
    ),
  ].join('\n');
}

function since({ sinceMs }: LearningView): string {
  return sinceMs === undefined ? '' : `, since ${instant(sinceMs)}`;
}
