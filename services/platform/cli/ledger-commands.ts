import type { Command } from 'commander';
import type {
  DeadLetterDetail,
  DeadLetterView,
  LedgerView,
  RejectionView,
  ReplayResult,
} from '#services/api-gateway/schemas/ledger.ts';
import { allItems, firstItems } from './all-items.ts';
import { count } from './arguments.ts';
import type { Action } from './main.ts';
import { CommandError, instant, table } from './output.ts';

const DEAD_LETTERS = '/v1/dead-letters';

/** `tribo ledger`: what became of every item that was acknowledged. Exits with 65 when the sum is not exact. */
export function addLedgerCommands(program: Command, action: Action): void {
  const ledger = program.command('ledger').description('what became of every acknowledged item');

  ledger
    .command('show', { isDefault: true })
    .description('the sum, by outcome')
    .action(
      action(async ({ api, out }) => {
        const sum = await api().request<LedgerView>('GET', '/v1/ledger');
        out.result(sum, render);
        if (!sum.exact) process.exitCode = 65;
      }),
    );

  ledger
    .command('rejections')
    .description('what was wrong in messages that were acknowledged, and why; newest first')
    .option('--limit <count>', 'at most this many', count, 100)
    .action(
      action(async ({ api, out }, options: { limit: number }) => {
        out.result(await firstItems<RejectionView>(api(), '/v1/rejections', options.limit), (items) =>
          table(
            ['when', 'machine', 'event', 'where', 'code', 'detail'],
            items.map((each) => [
              instant(each.atMs),
              `${each.site}/${each.machine}`,
              each.eventId,
              each.pointer,
              each.code,
              each.detail,
            ]),
          ),
        );
      }),
    );

  const letters = ledger
    .command('dead-letters')
    .description('what no stage could process, and notifications that nobody could be told');

  letters
    .command('list', { isDefault: true })
    .description('all of them: settlement, features, inference, alerting, notifications')
    .option('--limit <count>', 'at most this many', count, 100)
    .action(
      action(async ({ api, out }, options: { limit: number }) => {
        out.result(await firstItems<DeadLetterView>(api(), DEAD_LETTERS, options.limit), (items) =>
          table(
            ['id', 'when', 'stage', 'machine', 'items', 'code', 'detail'],
            items.map((each) => [
              each.id,
              instant(each.atMs),
              each.stage,
              `${each.site}/${each.machine}`,
              String(each.items),
              each.code,
              each.detail,
            ]),
          ),
        );
      }),
    );

  letters
    .command('show <id>')
    .description('one of them with its payload')
    .action(
      action(async ({ api, out }, id: string) => {
        const letter = await api().request<DeadLetterDetail>('GET', `/v1/dead-letters/${encodeURIComponent(id)}`);
        out.result(letter, describe);
      }),
    );

  letters
    .command('replay [ids...]')
    .description('process them again, keeping their event ids; exits with 65 when one is dead as before')
    .option('--all', 'all there are now', false)
    .action(
      action(async ({ api, out }, ids: string[], options: { all: boolean }) => {
        const client = api();
        if (options.all === ids.length > 0) {
          throw new CommandError('usage', 'name the dead letters to replay, or say --all', 'tribo ledger dead-letters');
        }
        const chosen = options.all ? (await allItems<DeadLetterView>(client, DEAD_LETTERS)).map(({ id }) => id) : ids;
        const replayed: ReplayResult[] = [];
        for (const id of chosen) {
          replayed.push(await client.request('POST', `/v1/dead-letters/${encodeURIComponent(id)}/replay`));
        }
        out.result(replayed, (results) =>
          results.length === 0 ? '(none)' : results.map((each) => `${each.id}: ${outcomeText(each)}`).join('\n'),
        );
        if (replayed.some(({ outcome }) => outcome === 'deadLettered')) process.exitCode = 65;
      }),
    );
}

function describe({ payload, payloadBytes, ...letter }: DeadLetterDetail): string {
  return [
    `${letter.stage} could not process ${letter.kind} ${letter.eventId} of ${letter.site}/${letter.machine} (stream ${letter.stream})`,
    `  accepted ${instant(letter.acceptedAtMs)}, given up ${instant(letter.atMs)}, ${letter.items} items`,
    `  ${letter.code}: ${letter.detail}`,
    `  payload of ${payloadBytes} bytes:`,
    payload,
  ].join('\n');
}

function outcomeText({ outcome, stream, detail }: ReplayResult): string {
  if (outcome === 'published') return `published on ${stream}`;
  if (outcome === 'judged' && detail !== undefined) return `judged: ${detail}`;
  if (outcome === 'queued') return 'the notifier tries again';
  return outcome === 'deadLettered' ? `dead as before: ${detail}` : outcome;
}

function render(sum: LedgerView): string {
  const line = (name: string, items: number) => `  ${name.padEnd(16)}${items.toLocaleString('en').padStart(16)}`;
  return [
    `Ledger of ${sum.tenant}, in items`,
    line('accepted', sum.accepted),
    line('= stored', sum.stored),
    line('+ duplicate', sum.duplicate),
    line('+ rejected', sum.rejected),
    line('+ dead-lettered', sum.deadLettered),
    line('+ pending', sum.pending),
    sum.exact ? 'The sum is exact.' : 'THE SUM IS NOT EXACT: this is a defect, please report it.',
    ...(sum.lost > 0
      ? [`${sum.lost.toLocaleString('en')} EVENTS ARE LOST: they are missing between others that were settled.`]
      : []),
    `Outside the sum: ${sum.refused.toLocaleString('en')} refused (never acknowledged), ${sum.conflicts.toLocaleString('en')} conflicts (same metric and time, another value).`,
  ].join('\n');
}
