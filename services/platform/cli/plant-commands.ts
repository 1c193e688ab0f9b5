import type { Command } from 'commander';
import { stringify } from 'yaml';
import type { FleetMachine } from '#services/api-gateway/schemas/machines.ts';
import { allItems } from './all-items.ts';
import { readDescription, sendDescription } from './described-file.ts';
import type { Action } from './main.ts';
import { counted, instant, table } from './output.ts';
import { putPlant } from './put-plant.ts';

/** `tribo plant ...`: machines as a file describes them, and how they are. */
export function addPlantCommands(program: Command, action: Action): void {
  const plant = program.command('plant').description('the machines: describe them by a file, list them');

  plant
    .command('apply <file>')
    .description('create or replace the machines that a plant file describes (environments/example-plant.yaml is one)')
    .action(
      action(async ({ api, out }, file: string) => {
        const client = api();
        const applied = await sendDescription(readDescription(file), (plant) => putPlant(client, plant));
        out.result(applied, () => `site ${applied.site}: ${counted(applied.machines.length, 'machine')} described`);
      }),
    );

  plant
    .command('show <site>')
    .description('the machines of a site as YAML, which "plant apply" takes back')
    .action(
      action(async ({ api, out }, site: string) => {
        out.result(await api().request<object>('GET', `/v1/plant?site=${encodeURIComponent(site)}`), (described) =>
          stringify(described).trimEnd(),
        );
      }),
    );

  plant
    .command('list')
    .description('the fleet, worst first')
    .action(
      action(async ({ api, out }) => {
        out.result(await allItems<FleetMachine>(api(), '/v1/machines'), (machines) =>
          table(
            ['site/machine', 'class', 'health', 'state', 'last seen', 'open alarms', 'why'],
            machines.map((each) => [
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
