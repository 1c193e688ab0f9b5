import {
  machineKey,
  type DeviceId,
  type MachineId,
  type MachineKey,
  type SiteId,
  type TenantId,
} from '#core/domain/ids.ts';
import type { Device } from '#core/ports/device-registry.ts';
import { HttpProblem } from '../../shared/http/problem.ts';
import { decodeCursor, pageOf } from '../http/cursor.ts';
import { route, type Route } from '../http/route.ts';
import {
  addDeviceRequestSchema,
  addedDeviceSchema,
  bindDeviceRequestSchema,
  deviceAddressSchema,
  deviceListQuerySchema,
  deviceSchema,
  devicesSchema,
  type AddedDevice,
  type DeviceView,
} from '../schemas/devices.ts';
import type { GatewayServices } from '../services.ts';
import { placeOf } from '../views.ts';

const TAG = 'Devices';

export function deviceRoutes(limits: { readonly jsonBytes: number }): readonly Route[] {
  return [
    route({
      method: 'GET',
      path: '/v1/devices',
      tag: TAG,
      summary: 'The devices of the tenant and the machines they speak for.',
      access: 'viewer',
      query: deviceListQuerySchema,
      response: { status: 200, description: 'In order of id', schema: devicesSchema },
      handle: async ({ query, principal, signal }, services) => {
        const [after = ''] = query.cursor === undefined ? [] : decodeCursor('devices', query.cursor, ['string']);
        const all = await services.devices.listDevices(principal.tenant, { signal });
        const found = all.filter(({ id }) => id > after);
        const view = (device: Device) => deviceView(device, services);
        return { json: pageOf('devices', found, query.limit, { view, positionOf: ({ id }) => [id] }) };
      },
    }),
    route({
      method: 'POST',
      path: '/v1/devices',
      tag: TAG,
      summary: 'Registers a device. Its secret is shown in this answer and never again.',
      access: 'engineer',
      body: { kind: 'json', schema: addDeviceRequestSchema, maxBytes: limits.jsonBytes },
      response: { status: 201, description: 'The device and its secret', schema: addedDeviceSchema },
      handle: async ({ body, principal: { tenant } }, services) => {
        const machines = keysOf(tenant, body.machines);
        const { device, secret } = await services.devices.addDevice({ id: body.id as DeviceId, tenant, machines });
        return { json: withSecret(device, secret, services) };
      },
    }),
    route({
      method: 'GET',
      path: '/v1/devices/{device}',
      tag: TAG,
      summary: 'One device.',
      access: 'viewer',
      params: deviceAddressSchema,
      response: { status: 200, description: 'The device', schema: deviceSchema },
      handle: async ({ params, principal }, services) => {
        return { json: deviceView(await ownDevice(principal.tenant, params.device, services), services) };
      },
    }),
    route({
      method: 'PUT',
      path: '/v1/devices/{device}/machines',
      tag: TAG,
      summary: 'Replaces the machines that a device may speak for.',
      access: 'engineer',
      params: deviceAddressSchema,
      body: { kind: 'json', schema: bindDeviceRequestSchema, maxBytes: limits.jsonBytes },
      response: { status: 200, description: 'The device', schema: deviceSchema },
      handle: async ({ params, body, principal: { tenant } }, services) => {
        const { id } = await ownDevice(tenant, params.device, services);
        const bound = await services.devices.bindMachines(id, keysOf(tenant, body.machines));
        return { json: deviceView(bound, services) };
      },
    }),
    route({
      method: 'POST',
      path: '/v1/devices/{device}/secret',
      tag: TAG,
      summary: 'Gives a device a new secret, for one that was lost. The former is refused from now on.',
      access: 'engineer',
      params: deviceAddressSchema,
      response: { status: 200, description: 'The device and its new secret', schema: addedDeviceSchema },
      handle: async ({ params, principal }, services) => {
        const device = await ownDevice(principal.tenant, params.device, services);
        const secret = await services.devices.replaceSecret(device.id);
        return { json: withSecret(device, secret, services) };
      },
    }),
    ...([true, false] as const).map((enabled) =>
      route({
        method: 'POST',
        path: `/v1/devices/{device}/${enabled ? 'enable' : 'disable'}`,
        tag: TAG,
        summary: enabled ? 'Lets a device connect again.' : 'Refuses a device from now on.',
        access: 'engineer',
        params: deviceAddressSchema,
        response: { status: 200, description: 'The device', schema: deviceSchema },
        handle: async ({ params, principal }, services) => {
          const device = await ownDevice(principal.tenant, params.device, services);
          await services.devices.setEnabled(device.id, enabled);
          return { json: deviceView({ ...device, enabled }, services) };
        },
      }),
    ),
    route({
      method: 'DELETE',
      path: '/v1/devices/{device}',
      tag: TAG,
      summary: 'Forgets a device and its secret.',
      access: 'engineer',
      params: deviceAddressSchema,
      response: { status: 204, description: 'It is gone' },
      handle: async ({ params, principal }, services) => {
        const { id } = await ownDevice(principal.tenant, params.device, services);
        await services.devices.removeDevice(id);
        return { empty: true };
      },
    }),
  ];
}

/** Device ids are unique over all tenants; one of another tenant answers as one that does not exist. */
async function ownDevice(tenant: TenantId, id: string, { devices }: GatewayServices): Promise<Device> {
  const device = await devices.getDevice(id as DeviceId);
  if (device?.tenant === tenant) return device;
  throw new HttpProblem('not-found', {
    detail: `There is no device ${id}.`,
    remedy: 'GET /v1/devices lists those there are.',
  });
}

function keysOf(tenant: TenantId, machines: readonly { site: string; machine: string }[]): readonly MachineKey[] {
  return machines.map(({ site, machine }) => machineKey(tenant, site as SiteId, machine as MachineId));
}

function withSecret(device: Device, secret: string, services: GatewayServices): AddedDevice {
  const { clock, describeConnection } = services;
  const connection = describeConnection?.(device, secret, clock.nowMs());
  return {
    ...{ device: deviceView(device, services), secret },
    topics: [...(connection?.telemetryTopics ?? topicsOf(device))],
    ...(connection && {
      connection: {
        ...connection,
        telemetryTopics: [...connection.telemetryTopics],
        commandTopics: [...connection.commandTopics],
      },
    }),
  };
}

function topicsOf({ machines }: Device): string[] {
  return machines.map((key) => `tribo/v1/${key}/telemetry`);
}

function deviceView({ id, machines, enabled, createdAtMs }: Device, { fleet }: GatewayServices): DeviceView {
  const state = fleet.presence.stateOf(id);
  return {
    id,
    machines: machines.map(placeOf),
    enabled,
    createdMs: createdAtMs,
    ...(state && { online: state.online, sinceMs: state.sinceMs }),
  };
}
