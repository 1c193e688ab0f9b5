import type { Command } from 'commander';
import type { AlarmFiguresView, AlarmView, JournalEntryView } from '#services/api-gateway/schemas/alarms.ts';
import { ALARM_STATES } from '#core/domain/alarm.ts';
import { allItems, firstItems } from './all-items.ts';
import { count, listOf, numberUpTo, words } from './arguments.ts';
import type { Action } from './main.ts';
import { counted, instant, table } from './output.ts';

/** `tribo alarm ...`: what is wrong, why, and what people did about it. */
export function addAlarmCommands(program: Command, action: Action): void {
  const alarm = program.command('alarm').description('alarms: list, explain, acknowledge, shelve');

  alarm
    .command('list')
    .description('alarms, newest first; by default those that are not normal')
    .option('--machine <machine>', 'of this machine alone')
    .option('--state <states>', `${ALARM_STATES.join(', ')}; several with commas`, listOf(ALARM_STATES))
    .option('--limit <count>', 'at most this many', count, 50)
    .action(
      action(async ({ api, out }, options: { machine?: string; state?: string; limit: number }) => {
        const query = new URLSearchParams({
          ...(options.machine ? { machine: options.machine } : {}),
          ...(options.state ? { state: options.state } : {}),
        });
        const path = `/v1/alarms?${query.toString()}`;
        out.result(await firstItems<AlarmView>(api(), path, options.limit), (items) =>
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
        const client = api();
        const [one, journal] = await Promise.all([
          client.request<AlarmView>('GET', path),
          allItems<JournalEntryView>(client, `${path}/journal`),
        ]);
        out.result({ ...one, journal }, () => explain(one, journal, (client.everywhere ?? client).url));
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

  const acknowledge = alarm
    .command('acknowledge <id>')
    .description('say that it was seen')
    .requiredOption('--comment <text>', 'what was seen; kept in the journal with your name', words);
  const shelve = alarm
    .command('shelve <id>')
    .description('put it aside for a time, or until it returns to normal')
    .option('--comment <text>', 'why; kept in the journal', '')
    .option(
      '--minutes <minutes>',
      'for how long, at most a week; without it until it returns to normal',
      numberUpTo(10_080),
    );
  const unshelve = alarm
    .command('unshelve <id>')
    .description('take it back from the shelf')
    .option('--comment <text>', 'why; kept in the journal', '');
  for (const command of [acknowledge, shelve, unshelve]) {
    const verb = command.name();
    command.action(
      action(async ({ api, out }, id: string, { comment, minutes }: { comment: string; minutes?: number }) => {
        const body = { comment, ...(minutes !== undefined && { forMinutes: minutes }) };
        const changed = await api().request<AlarmView>('POST', `/v1/alarms/${encodeURIComponent(id)}/${verb}`, body);
        out.result(changed, () => `${changed.title} on ${changed.site}/${changed.machine}: ${changed.state}`);
      }),
    );
  }
}

function explain(alarm: AlarmView, journal: readonly JournalEntryView[], url: string): string {
  return [
    `${alarm.title} (${alarm.priority}, ${alarm.state}) on ${alarm.site}/${alarm.machine}, raised ${instant(alarm.raisedMs)}`,
    ...alarm.parts.flatMap(({ message, source, fromMs, toMs, waveformId }) => [
      `  because ${message} [${source.kind} ${source.id} version ${source.version}]`,
      `    ${fromMs === toMs ? `at ${instant(toMs)}` : `from ${instant(fromMs)} to ${instant(toMs)}`}`,
      ...(waveformId === undefined ? [] : [`    spectrum ${url}/v1/waveforms/${waveformId}/spectrum`]),
    ]),
    `  it means: ${alarm.consequence}`,
    `  what to do: ${alarm.response}`,
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
    `Alarm figures from ${instant(figures.fromMs)} to ${instant(figures.toMs)}, ${counted(figures.calls, 'call')}`,
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
