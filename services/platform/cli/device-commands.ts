import { Option, type Command } from 'commander';
import { machineSchema } from '#core/domain/plant.ts';
import { messageOf } from '#core/errors.ts';
import type { SentCommand } from '#services/api-gateway/schemas/commands.ts';
import type { AddedDevice, DeviceView } from '#services/api-gateway/schemas/devices.ts';
import type { QuarantinedMachineView } from '#services/api-gateway/schemas/machines.ts';
import { allItems } from './all-items.ts';
import { count } from './arguments.ts';
import type { ApiClient } from './api-client.ts';
import { brokerOf } from './broker-of.ts';
import { deviceUsage, type Reached } from './device-usage.ts';
import type { Action } from './main.ts';
import { CommandError, instant, table } from './output.ts';

const MACHINE_CLASSES = machineSchema.shape.class.options;

/** `tribo device ...`: credentials of devices and the machines they may speak for. */
export function addDeviceCommands(program: Command, action: Action): void {
  const device = program.command('device').description('devices, their credentials and their machines');

  device
    .command('add <machine...>')
    .description(
      'make a device (and its machine, where it is new) and print ready lines to send with; several machines make a gateway',
    )
    .option('--id <device>', 'id of the device (default: the machine’s)')
    .option('--site <site>', 'site of the machines (default: the configured one)')
    .action(
      action(async ({ api, configuration, out }, machines: string[], options: { id?: string; site?: string }) => {
        const client = api();
        const site = options.site ?? configuration().site;
        const id = options.id ?? machines[0] ?? '';
        const added = await addDevice(client, id, site, machines);
        out.result(added, () => deviceUsage(added, reached(client, configuration())));
      }),
    );

  device
    .command('secret <device>')
    .description('replace a lost secret and print the lines to send with anew; the former is refused from now on')
    .action(
      action(async ({ api, configuration, out }, id: string) => {
        const client = api();
        const renewed = await client.request<AddedDevice>('POST', `/v1/devices/${encodeURIComponent(id)}/secret`);
        out.result(renewed, () => deviceUsage(renewed, reached(client, configuration())));
      }),
    );

  device
    .command('list')
    .description('all devices of the tenant')
    .action(
      action(async ({ api, out }) => {
        const items = await allItems<DeviceView>(api(), '/v1/devices');
        out.result(items, () =>
          table(
            ['device', 'machines', 'enabled', 'online', 'since', 'added'],
            items.map((each) => [
              each.id,
              each.machines.map((at) => `${at.site}/${at.machine}`).join(' '),
              String(each.enabled),
              String(each.online ?? 'unknown'),
              each.sinceMs === undefined ? '' : instant(each.sinceMs),
              instant(each.createdMs),
            ]),
          ),
        );
      }),
    );

  device
    .command('bind <device> <machine...>')
    .description('replace the machines that a device may speak for')
    .option('--site <site>', 'site of the machines (default: the configured one)')
    .action(
      action(async ({ api, configuration, out }, id: string, machines: string[], options: { site?: string }) => {
        const site = options.site ?? configuration().site;
        const bound = await api().request<DeviceView>('PUT', `/v1/devices/${encodeURIComponent(id)}/machines`, {
          machines: machines.map((machine) => ({ site, machine })),
        });
        out.result(
          bound,
          () => `${bound.id} now speaks for ${bound.machines.map((at) => `${at.site}/${at.machine}`).join(', ')}`,
        );
      }),
    );

  device
    .command('command <device> <json>')
    .description('send a command, a JSON object, to a device; one that is away gets it when it comes back in time')
    .option('--machine <machine>', 'for which of its machines (default: the only one)')
    .option('--site <site>', 'site of that machine, where several have one of its name')
    .option('--expires-in <seconds>', 'how long it may wait for the device', count, 300)
    .action(
      action(async ({ api, out }, id: string, json: string, options: CommandOptions) => {
        const sent = await sendCommand(api(), id, parsedCommand(json), options);
        out.result(
          sent,
          () =>
            `command ${sent.id} for ${sent.site}/${sent.machine} is kept until the device takes it or ${instant(sent.expiresMs)}`,
        );
      }),
    );

  for (const [verb, enabled] of [
    ['enable', true],
    ['disable', false],
  ] as const) {
    device
      .command(`${verb} <device>`)
      .description(enabled ? 'let it connect again' : 'refuse it from now on')
      .action(
        action(async ({ api, out }, id: string) => {
          await api().request('POST', `/v1/devices/${encodeURIComponent(id)}/${verb}`);
          out.result({ id, enabled }, () => `${id} is ${verb}d`);
        }),
      );
  }

  device
    .command('quarantine')
    .description('unknown machines that sent something, with how to adopt them')
    .action(
      action(async ({ api, out }) => {
        out.result(await allItems<QuarantinedMachineView>(api(), '/v1/quarantine'), (items) =>
          table(
            ['site/machine', 'device', 'messages', 'last', 'adopt it with'],
            items.map((each) => [
              `${each.site}/${each.machine}`,
              each.device,
              String(each.messages),
              instant(each.lastMs),
              `npx tribo device adopt ${each.site} ${each.machine}`,
            ]),
          ),
        );
      }),
    );

  device
    .command('adopt <site> <machine>')
    .description('make a machine of what was quarantined')
    .addOption(new Option('--class <class>', 'what it is').choices(MACHINE_CLASSES).default('other'))
    .action(
      action(async ({ api, out }, site: string, machine: string, options: { class: string }) => {
        const adopted = await api().request(
          'POST',
          `/v1/quarantine/${encodeURIComponent(site)}/${encodeURIComponent(machine)}/adopt`,
          { class: options.class },
        );
        out.result(adopted, () => `${site}/${machine} is a machine now; what it sends from here on is stored`);
      }),
    );
}

interface CommandOptions {
  readonly machine?: string;
  readonly site?: string;
  readonly expiresIn: number;
}

function parsedCommand(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch (error) {
    throw new CommandError(
      'data',
      `the command is not JSON: ${messageOf(error)}`,
      `an example: '{"action":"restart"}'`,
    );
  }
}

async function sendCommand(
  client: ApiClient,
  id: string,
  command: unknown,
  options: CommandOptions,
): Promise<SentCommand> {
  const { machines } = await client.request<DeviceView>('GET', `/v1/devices/${encodeURIComponent(id)}`);
  const { machine, site } = options;
  const meant = machines.filter(
    (each) => (machine === undefined || each.machine === machine) && (site === undefined || each.site === site),
  );
  const [at] = meant;
  if (at === undefined || meant.length > 1) {
    const bound = machines.map((each) => `${each.site}/${each.machine}`).join(', ');
    throw new CommandError('usage', `${id} speaks for ${bound}`, 'say for which by --machine and --site');
  }
  const path = `/v1/machines/${encodeURIComponent(at.machine)}/commands?site=${encodeURIComponent(at.site)}`;
  return client.request<SentCommand>('POST', path, { command, expiresInS: options.expiresIn });
}

/** The device first: what is wrong with an id, or taken, is refused before a machine is made. */
async function addDevice(client: ApiClient, id: string, site: string, machines: readonly string[]) {
  const added = await client
    .request<AddedDevice>('POST', '/v1/devices', { id, machines: machines.map((machine) => ({ site, machine })) })
    .catch((error: unknown) => {
      if (!(error instanceof CommandError && error.kind === 'conflict')) throw error;
      const remedy = `npx tribo device secret ${id} replaces its secret, npx tribo device bind ${id} ... its machines`;
      throw new CommandError('conflict', `there is a device ${id} already`, remedy, error.problem);
    });
  try {
    for (const machine of machines) await createIfAbsent(client, site, machine);
  } catch (error) {
    await client.request('DELETE', `/v1/devices/${encodeURIComponent(id)}`).catch(() => undefined);
    throw error;
  }
  return added;
}

async function createIfAbsent(client: ApiClient, site: string, machine: string): Promise<void> {
  const path = `/v1/machines/${encodeURIComponent(machine)}?site=${encodeURIComponent(site)}`;
  await client
    .request('PUT', path, { id: machine, class: 'other' }, { 'if-none-match': '*' })
    .catch((error: unknown) => {
      const isThere = error instanceof CommandError && error.problem?.type === 'urn:tribo:problem:precondition-failed';
      if (!isThere) throw error;
    });
}

function reached(client: ApiClient, settings: Parameters<typeof brokerOf>[1]): Reached {
  return {
    apiUrl: client.everywhere?.url ?? client.url,
    broker: new URL(brokerOf(client, settings)),
    caFile: client.caFile,
  };
}
