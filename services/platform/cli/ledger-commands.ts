import type { Command } from 'commander';
import type { DeadLetterView, LedgerView, ReplayResult } from '#services/api-gateway/schemas/ledger.ts';
import type { Action } from './main.ts';
import { instant, table } from './output.ts';

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
    .command('dead-letters')
    .description('events that could not be processed')
    .action(
      action(async ({ api, out }) => {
        const { items } = await api().request<{ items: DeadLetterView[] }>('GET', '/v1/dead-letters');
        out.result(items, () =>
          table(
            ['id', 'when', 'machine', 'items', 'code', 'detail'],
            items.map((each) => [
              each.id,
              instant(each.atMs),
              `${each.site}/${each.machine}`,
              String(each.items),
              each.code,
              each.detail,
            ]),
          ),
        );
      }),
    );

  ledger
    .command('replay <id>')
    .description('process a dead letter again, keeping its id')
    .action(
      action(async ({ api, out }, id: string) => {
        const replayed = await api().request<ReplayResult>('POST', `/v1/dead-letters/${encodeURIComponent(id)}/replay`);
        out.result(
          replayed,
          () => `${replayed.id}: ${replayed.outcome}${replayed.detail === undefined ? '' : ` (${replayed.detail})`}`,
        );
      }),
    );
}

function render(sum: LedgerView): string {
  const line = (name: string, items: number) => `  ${name.padEnd(14)}${items.toLocaleString('en').padStart(16)}`;
  return [
    `Ledger of ${sum.tenant}, in items`,
    line('accepted', sum.accepted),
    line('= stored', sum.stored),
    line('+ duplicate', sum.duplicate),
    line('+ rejected', sum.rejected),
    line('+ dead-lettered', sum.deadLettered),
    line('+ pending', sum.pending),
    sum.exact ? 'The sum is exact.' : 'THE SUM IS NOT EXACT: this is a defect, please report it.',
    `Outside the sum: ${sum.refused.toLocaleString('en')} refused (never acknowledged), ${sum.conflicts.toLocaleString('en')} conflicts (same metric and time, another value).`,
  ].join('\n');
}
