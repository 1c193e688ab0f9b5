import type { Command } from 'commander';
import type { AuditEntryView } from '#services/api-gateway/schemas/audit.ts';
import { firstItems } from './all-items.ts';
import { count } from './arguments.ts';
import type { Action } from './main.ts';
import { instant, table } from './output.ts';

interface AuditOptions {
  readonly actor?: string;
  readonly action?: string;
  readonly target?: string;
  readonly from?: string;
  readonly to?: string;
  readonly limit: number;
}

/** `tribo audit`: who changed what. */
export function addAuditCommand(program: Command, action: Action): void {
  program
    .command('audit')
    .description('who changed what: devices, tokens, machines, rules, models, alarms; newest first')
    .option('--actor <name>', 'only what this person or client did')
    .option('--action <action>', 'only this, such as device.disable')
    .option('--target <name>', 'only what was done to this device, rule, alarm, ...')
    .option('--from <time>', 'not before (RFC 3339)')
    .option('--to <time>', 'before (RFC 3339)')
    .option('--limit <count>', 'at most this many', count, 100)
    .action(
      action(async ({ api, out }, { limit, ...wanted }: AuditOptions) => {
        const query = new URLSearchParams(wanted as Record<string, string>).toString();
        out.result(await firstItems<AuditEntryView>(api(), `/v1/audit?${query}`, limit), (entries) =>
          table(
            ['when', 'who', 'what', 'which', 'outcome', 'before', 'after'],
            entries.map((each) => [
              instant(each.atMs),
              each.actor,
              each.action,
              each.target,
              each.reason === undefined ? each.outcome : `${each.outcome}: ${each.reason}`,
              each.before === undefined ? '' : JSON.stringify(each.before),
              each.after === undefined ? '' : JSON.stringify(each.after),
            ]),
          ),
        );
      }),
    );
}
