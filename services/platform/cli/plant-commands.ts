import type { Command } from 'commander';
import type { Fleet } from '#services/api-gateway/schemas/machines.ts';
import { readDescription, sendDescription } from './described-file.ts';
import type { Action } from './main.ts';
import { instant, table } from './output.ts';

/** `tribo plant ...`: machines as a file describes them, and how they are. */
export function addPlantCommands(program: Command, action: Action): void {
  const plant = program.command('plant').description('the machines: describe them by a file, list them');

  plant
    .command('apply <file>')
    .description('create or replace the machines that a plant file describes (environments/example-plant.yaml is one)')
    .action(
      action(async ({ api, out }, file: string) => {
        const client = api();
        const applied = await sendDescription(readDescription(file), (plant) =>
          client.request<{ site: string; machines: { machine: string; revision: number }[] }>(
            'PUT',
            '/v1/plant',
            plant,
          ),
        );
        out.result(applied, () => `site ${applied.site}: ${applied.machines.length} machines described`);
      }),
    );

  plant
    .command('list')
    .description('the fleet, worst first')
    .action(
      action(async ({ api, out }) => {
        const fleet = await api().request<Fleet>('GET', '/v1/machines?limit=500');
        out.result(fleet, () =>
          table(
            ['site/machine', 'class', 'health', 'state', 'last seen', 'open alarms', 'why'],
            fleet.items.map((each) => [
              `${each.site}/${each.machine}`,
              each.class,
              each.stale ? `${each.health.status} (stale)` : each.health.status,
              each.operatingState,
              instant(each.lastSeenMs),
              String(each.openAlarms.total),
              each.health.reasons[0] ?? '',
            ]),
          ),
        );
      }),
    );
}
