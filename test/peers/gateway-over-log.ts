import { describe, expect, it } from '@jest/globals';
import { systemClock } from '#core/clock.ts';
import type { Waiver } from '#core/contracts/contract.ts';
import type { ContractDevice } from '#core/contracts/device-gateway.contract.ts';
import { RecordingIntake } from '#core/contracts/recording-intake.ts';
import {
  machineKey,
  type DeviceId,
  type MachineId,
  type MachineKey,
  type SiteId,
  type TenantId,
} from '#core/domain/ids.ts';
import { PortError } from '#core/errors.ts';
import type { DeviceGateway } from '#core/ports/device-gateway.ts';
import type { DeviceRegistry } from '#core/ports/device-registry.ts';

const [ACME, OTHER] = ['acme' as TenantId, 'other' as TenantId];

/** The tenants and machines of the contract of gateways. */
export const CONTRACT_PLACES = {
  tenants: [ACME, ACME, OTHER],
  machines: [keyOf(ACME, 'press-7'), keyOf(ACME, 'pump-2'), keyOf(OTHER, 'press-7')],
} as const;

/** A site whose devices connect to a cloud, and whose gateway reads the log into which that puts what they send. */
export interface GatewayWorld<Device = unknown> extends AsyncDisposable {
  readonly gateway: DeviceGateway;
  /** Another gateway, whose clients open once `when` resolves. */
  readonly reopen: (when?: Promise<unknown>) => DeviceGateway;
  /** Clients of the cloud that gateways have opened and not closed. */
  readonly openClients: ReadonlySet<object>;
  readonly devices: DeviceRegistry;
  readonly tenants: readonly [TenantId, TenantId, TenantId];
  readonly machines: readonly [MachineKey, MachineKey, MachineKey];
  readonly connect: (id: string, secret: string, as?: string) => Promise<Device>;
  readonly addDevice: (id: string, tenant: TenantId, machines: readonly MachineKey[]) => Promise<string>;
}

/** The world with its gateway started, and a device for its first machine. */
export async function startWorld<World extends GatewayWorld>(world: World) {
  const intake = new RecordingIntake();
  await world.gateway.start(intake, intake);
  const [machine] = world.machines;
  const secret = await world.addDevice('gauge-1', world.tenants[0], [machine]);
  return { ...world, intake, machine, secret };
}

/** Those of the clients that are to be closed are in the set until they are. */
export function watchOpen<Clients extends object>(clients: Clients, open: Set<object>): Clients {
  for (const client of Object.values(clients) as readonly { close?: () => unknown }[]) {
    if (client.close === undefined) continue;
    const close = client.close.bind(client);
    open.add(client);
    client.close = () => {
      open.delete(client);
      return close();
    };
  }
  return clients;
}

/** The contract's harness of a world. */
export function contractHarness<World extends GatewayWorld<ContractDevice>>(world: World) {
  return {
    ...world,
    setEnabled: (id: string, enabled: boolean) => world.devices.setEnabled(id as DeviceId, enabled),
    bindMachines: async (id: string, bound: readonly MachineKey[]) => {
      await world.devices.bindMachines(id as DeviceId, bound);
    },
    nowMs: () => systemClock.nowMs(),
  };
}

/** What a service that devices connect to does instead, whose log `log` keeps what they sent. */
export function waiversOf(service: string, log: string): readonly Waiver[] {
  return [
    {
      case: 'acknowledges a message only after intake has made it durable',
      reason: `${service} acknowledges devices itself, once it has the message (ackMeans: provider-accepted)`,
    },
    {
      case: 'leaves what a device sends unacknowledged while intake is not ready, or refuses messages of that kind',
      reason: `${service} acknowledges devices itself; what intake does not take waits in ${log}`,
    },
    {
      case: 'lets no device connect once it is closed',
      reason: `devices connect to ${service}, which goes on; what they send waits in ${log} for the next gateway`,
    },
  ];
}

/** What the contract of gateways has no case of: the log, and the clients of the cloud. */
export function describeGatewayOverLog(service: string, openWorld: () => Promise<GatewayWorld<ContractDevice>>): void {
  describe(`a gateway of ${service}`, () => {
    it('is offered again what intake did not make durable for the one before it, and nothing else', async () => {
      await using world = await startWorld(await openWorld());
      const { intake, machine, gateway, reopen } = world;
      const device = await world.connect('gauge-1', world.secret);
      await device.publish(machine, Buffer.from('1'));
      await intake.received(1);
      intake.held = Promise.withResolvers();
      await device.publish(machine, Buffer.from('2'));
      await intake.received(2);
      const closed = gateway.close();
      intake.held.reject(new PortError('unavailable', 'the log is full'));
      await closed;
      await device.publish(machine, Buffer.from('3'));
      const next = new RecordingIntake();
      await reopen().start(next, next);
      await next.received(2);
      expect(next.payloads()).toEqual(['2', '3']);
      await device.disconnect();
    });

    it('that is closed while it starts leaves no client of the cloud open, and says so', async () => {
      await using world = await openWorld();
      const opening = Promise.withResolvers<undefined>();
      const gateway = world.reopen(opening.promise);
      const intake = new RecordingIntake();
      const starting = gateway.start(intake, intake);
      const closed = gateway.close();
      opening.resolve(undefined);
      await expect(starting).rejects.toMatchObject({ name: 'PortError', code: 'cancelled' });
      await closed;
      expect(world.openClients.size).toBe(0);
    });

    it('that is closed leaves no client of the cloud open', async () => {
      await using world = await startWorld(await openWorld());
      expect(world.openClients.size).toBeGreaterThan(0);
      await world.gateway.close();
      expect(world.openClients.size).toBe(0);
    });
  });
}

function keyOf(tenant: TenantId, machine: string): MachineKey {
  return machineKey(tenant, 'akron' as SiteId, machine as MachineId);
}
