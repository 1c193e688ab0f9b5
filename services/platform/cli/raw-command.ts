import type { Command } from 'commander';
import type { RawMessageView } from '#services/api-gateway/schemas/raw.ts';
import { firstItems } from './all-items.ts';
import { count } from './arguments.ts';
import type { Action } from './main.ts';

interface RawOptions {
  readonly site?: string;
  readonly from?: string;
  readonly to?: string;
  readonly limit: number;
}

/** `tribo raw`: accepted messages, one a line. */
export function addRawCommand(program: Command, action: Action): void {
  program
    .command('raw <machine>')
    .description('accepted messages of a machine, one a line, from the raw archive (TRIBO_RAW_ARCHIVE)')
    .option('--site <site>', 'its site, where several have a machine of that name')
    .option('--from <time>', 'accepted at this time or later (RFC 3339; default: a day ago)')
    .option('--to <time>', 'accepted before this time (default: now)')
    .option('--limit <count>', 'at most this many', count, 100)
    .action(
      action(async ({ api, out }, machine: string, { limit, ...wanted }: RawOptions) => {
        const query = new URLSearchParams({ machine, ...wanted }).toString();
        out.result(await firstItems<RawMessageView>(api(), `/v1/raw?${query}`, limit), (messages) =>
          messages.map((each) => JSON.stringify(each)).join('\n'),
        );
      }),
    );
}
