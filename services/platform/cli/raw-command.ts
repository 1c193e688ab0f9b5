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

/** Nobody must take an archive that is switched off for a machine that sent nothing. */
const NOTHING =
  'None is archived of that time. Messages are kept while TRIBO_RAW_ARCHIVE=on, and can be read TRIBO_RAW_ARCHIVE_EVERY_S after they came.\n';

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
        const found = await firstItems<RawMessageView>(api(), `/v1/raw?${query}`, limit);
        if (found.length === 0) process.stderr.write(NOTHING);
        out.result(found, (messages) => messages.map((each) => JSON.stringify(each)).join('\n'));
      }),
    );
}
