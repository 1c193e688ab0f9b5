import type { Command } from 'commander';
import type { AlarmFiguresView, AlarmView, JournalEntryView } from '#services/api-gateway/schemas/alarms.ts';
import { allItems } from './all-items.ts';
import type { Action } from './main.ts';
import { instant, table } from './output.ts';

/** `tribo alarm ...`: what is wrong, why, and what people did about it. */
export function addAlarmCommands(program: Command, action: Action): void {
  const alarm = program.command('alarm').description('alarms: list, explain, acknowledge, shelve');

  alarm
    .command('list')
    .description('alarms, newest first; by default those that are not normal')
    .option('--machine <machine>', 'of this machine alone')
    .option(
      '--state <states>',
      'unacknowledged,acknowledged,rtn-unacknowledged,latched,shelved,suppressed-by-design,out-of-service,normal',
    )
    .option('--limit <count>', 'at most this many', '50')
    .action(
      action(async ({ api, out }, options: { machine?: string; state?: string; limit: string }) => {
        const query = new URLSearchParams({
          ...(options.machine ? { machine: options.machine } : {}),
          ...(options.state ? { state: options.state } : {}),
        });
        const path = `/v1/alarms?${query.toString()}`;
        out.result(await allItems<AlarmView>(api(), path, Number(options.limit)), (items) =>
          table(
            ['raised', 'machine', 'priority', 'state', 'alarm', 'id'],
            items.map((each) => [
              instant(each.raisedMs),
              `${each.site}/${each.machine}`,
              each.priority,
              each.state,
              each.title,
              each.id,
            ]),
          ),
        );
      }),
    );

  alarm
    .command('show <id>')
    .description('one alarm: why it was raised, and its journal')
    .action(
      action(async ({ api, out }, id: string) => {
        const path = `/v1/alarms/${encodeURIComponent(id)}`;
        const [one, journal] = await Promise.all([
          api().request<AlarmView>('GET', path),
          allItems<JournalEntryView>(api(), `${path}/journal`),
        ]);
        out.result({ ...one, journal }, () => explain(one, journal));
      }),
    );

  alarm
    .command('figures')
    .description('how good the alarm system is, by ISA-18.2: rates, floods, chattering and stale alarms')
    .option('--from <time>', 'RFC 3339 or epoch milliseconds, at most 31 days ago (default: a day before --to)')
    .option('--to <time>', 'RFC 3339 or epoch milliseconds (default: now)')
    .option('--site <site>', 'of this site alone')
    .action(
      action(async ({ api, out }, options: { from?: string; to?: string; site?: string }) => {
        const query = new URLSearchParams(Object.entries(options));
        out.result(await api().request<AlarmFiguresView>('GET', `/v1/alarms/figures?${query.toString()}`), figuresText);
      }),
    );

  for (const [verb, what] of [
    ['acknowledge', 'say that it was seen'],
    ['shelve', 'put it aside for a time, or until it returns to normal'],
    ['unshelve', 'take it back from the shelf'],
  ] as const) {
    const command = alarm
      .command(`${verb} <id>`)
      .description(what)
      .option('--comment <text>', 'why; kept in the journal', '');
    if (verb === 'shelve') command.option('--minutes <minutes>', 'for how long; without it until it returns to normal');
    command.action(
      action(async ({ api, out }, id: string, options: { comment: string; minutes?: string }) => {
        const body = {
          comment: options.comment,
          ...(options.minutes === undefined ? {} : { forMinutes: Number(options.minutes) }),
        };
        const changed = await api().request<AlarmView>('POST', `/v1/alarms/${encodeURIComponent(id)}/${verb}`, body);
        out.result(changed, () => `${changed.title} on ${changed.site}/${changed.machine}: ${changed.state}`);
      }),
    );
  }
}

function explain(alarm: AlarmView, journal: readonly JournalEntryView[]): string {
  return [
    `${alarm.title} (${alarm.priority}, ${alarm.state}) on ${alarm.site}/${alarm.machine}, raised ${instant(alarm.raisedMs)}`,
    ...alarm.parts.map(
      (part) =>
        `  because ${part.message} [${part.source.kind} ${part.source.id} version ${part.source.version}]${part.waveformId === undefined ? '' : ` waveform ${part.waveformId}`}`,
    ),
    ...journal.map(
      (entry) =>
        `  ${instant(entry.atMs)} ${entry.action} by ${entry.by}${entry.comment ? `: ${entry.comment}` : ''} -> ${entry.stateAfter}`,
    ),
  ].join('\n');
}

function figuresText(figures: AlarmFiguresView): string {
  const share = (part: number) => `${(100 * part).toFixed(1)} %`;
  const rate = (value: number) => String(Number(value.toFixed(2)));
  const { low, medium, high, critical } = figures.shares;
  return [
    `Alarm figures from ${instant(figures.fromMs)} to ${instant(figures.toMs)} UTC, ${figures.calls} calls`,
    table(
      ['figure', 'is', 'should be (ISA-18.2)'],
      [
        ['calls a day', rate(figures.callsPerDay), 'about 150, at most 300'],
        ['calls an hour', rate(figures.callsPerHour), 'about 6, at most 12'],
        ['calls in 10 min', rate(figures.callsPerTenMinutes), 'about 1, at most 2'],
        ['most in 10 min', String(figures.mostInTenMinutes), 'at most 10'],
        ['time in flood', share(figures.floodShare), 'under 1 %'],
        ['chattering', String(figures.chattering.length), '0'],
        ['stale (over 24 h)', String(figures.stale), 'under 5'],
        ['low and medium', share(low + medium), 'about 80 %'],
        ['high', share(high), 'about 15 %'],
        ['critical', share(critical), 'about 5 %'],
      ],
    ),
    ...figures.chattering.map(
      ({ site, machine, condition, times }) =>
        `  chatters: ${site}/${machine} ${condition}, ${times} times in a minute`,
    ),
  ].join('\n');
}
