import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Learning } from '#core/alerting/learning.ts';
import { unjudgedReadings } from '#core/alerting/unjudged-readings.ts';
import { machineRef, type MachineKey, type SiteId, type TenantId } from '#core/domain/ids.ts';
import { maintenanceAt, readHistory } from '#core/domain/machine-history.ts';
import { machineSchema } from '#core/domain/plant.ts';
import type { VersionedRule } from '#core/domain/rule.ts';
import type { CallOptions } from '#core/errors.ts';
import type { MachineHistoryEvent, QuarantinedMachine, RegisteredMachine } from '#core/ports/machine-registry.ts';
import type { LatestValue } from '#core/ports/time-series-store.ts';
import { HttpProblem } from '../../shared/http/problem.ts';
import { conditional, etagOf, expectedVersion } from '../http/conditions.ts';
import { decodeCursor, pageOf } from '../http/cursor.ts';
import { route, type Route } from '../http/route.ts';
import {
  addMachineEventRequestSchema,
  adoptRequestSchema,
  fleetQuerySchema,
  fleetSchema,
  machineAddressSchema,
  machineDescriptionSchema,
  machineDetailSchema,
  machineEventSchema,
  machineEventsQuerySchema,
  machineEventsSchema,
  machineSiteQuerySchema,
  quarantineAddressSchema,
  quarantineListQuerySchema,
  quarantineSchema,
  registeredMachineSchema,
  type LiveValue,
  type MachineDetail,
  type MachineEventView,
  type QuarantinedMachineView,
} from '../schemas/machines.ts';
import type { GatewayServices } from '../services.ts';
import { placeOf } from '../views.ts';
import { machineKeyOf, ownMachine, registeredMachine } from './machine-access.ts';

const TAG = 'Machines';
const INSTANT_CURSOR = ['number', 'string'] as const;
const BEGINNING = [-Infinity, ''] as const;
const LATEST = [Infinity, ''] as const;
/** What the rule store gives at once. */
const RULES_AT_MOST = 10_000;
const UNJUDGED_AT_MOST = 20;
const READ_WITHIN_MS = 1000;
const DEVICES_AT_MOST = 50;
const LEARNING_WAIT_MS = 500;

export function machineRoutes(limits: { readonly jsonBytes: number }): readonly Route[] {
  return [
    route({
      method: 'GET',
      path: '/v1/machines',
      tag: TAG,
      summary: 'The fleet with health, operating state, when last seen and open alarms; worst first.',
      access: 'viewer',
      query: fleetQuerySchema,
      response: { status: 200, description: 'A page of the fleet, and totals over all of it', schema: fleetSchema },
      handle: async ({ query, principal }, { fleet }) => ({ json: fleet.list(principal.tenant, query) }),
    }),
    route({
      method: 'GET',
      path: '/v1/machines/{machine}',
      tag: TAG,
      summary: 'One machine: how it is, its description, and the newest value of each metric.',
      access: 'viewer',
      params: machineAddressSchema,
      query: machineSiteQuerySchema,
      response: { status: 200, description: 'The machine', schema: machineDetailSchema, etag: true },
      handle: async ({ params, query, principal, signal }, services) => {
        const state = ownMachine({ tenant: principal.tenant, ...query, ...params }, services);
        const [latest, devices, rules, learning] = await Promise.all([
          services.store.latest(state.key, { signal }),
          devicesFor(state.key, services, signal),
          rulesOrNone(principal.tenant, services, signal),
          // All else of the machine is to be had without the process that judges.
          learningOf(state.key, services),
        ]);
        const at = { nowMs: services.clock.nowMs(), staleAfterMs: services.config.staleAfterMs };
        const { revision, machine } = state.registered;
        const maintenance = maintenanceAt(state.history, at.nowMs);
        const unjudged = rules && unjudgedReadings(state.registered, latest, rules).slice(0, UNJUDGED_AT_MOST);
        const operatingStateProblem = state.stateProblem;
        const detail = {
          revision,
          description: machine,
          latest: latest.map(liveValue),
          devices,
          ...(unjudged && { unjudged }),
          ...(operatingStateProblem !== undefined && { operatingStateProblem }),
        };
        return {
          json: {
            ...{ ...state.view(at), ...detail },
            ...(learning && { learning: [...learning] }),
            ...(maintenance && { maintenance }),
          },
          headers: { etag: etagOf(revision) },
        };
      },
    }),
    route({
      method: 'PUT',
      path: '/v1/machines/{machine}',
      tag: TAG,
      summary: 'Creates or replaces a machine’s description. Replacing needs If-Match.',
      access: 'engineer',
      params: machineAddressSchema,
      query: machineSiteQuerySchema,
      body: { kind: 'json', schema: machineDescriptionSchema, maxBytes: limits.jsonBytes },
      response: { status: 200, description: 'As it is kept now', schema: registeredMachineSchema, etag: true },
      handle: async (call, services) => {
        const { params, query, principal, body } = call;
        if (body.id !== params.machine) throw idsDiffer(body.id, params.machine);
        const key = machineKeyOf({ tenant: principal.tenant, ...query, ...params }, services);
        const present = (await services.machines.getMachine(key))?.revision ?? 0;
        const { tenant, site } = machineRef(key);
        const expectedRevision = expectedVersion(call, present);
        const put = await conditional(() => services.machines.putMachine(tenant, site, body, { expectedRevision }));
        services.fleet.put(put);
        return { json: registeredView(put), headers: { etag: etagOf(put.revision) } };
      },
    }),
    route({
      method: 'DELETE',
      path: '/v1/machines/{machine}',
      tag: TAG,
      summary: 'Forgets a machine. Its readings stay until their retention ends. Needs If-Match.',
      access: 'engineer',
      params: machineAddressSchema,
      query: machineSiteQuerySchema,
      response: { status: 204, description: 'It is gone', etag: true },
      handle: async (call, services) => {
        const { key } = ownMachine({ tenant: call.principal.tenant, ...call.query, ...call.params }, services);
        const expectedRevision = expectedVersion(call, (await registeredMachine(key, services)).revision);
        await conditional(() => services.machines.deleteMachine(key, { expectedRevision }));
        services.fleet.remove(key);
        return { empty: true };
      },
    }),
    route({
      method: 'GET',
      path: '/v1/quarantine',
      tag: TAG,
      summary: 'Machines that nobody has described and that something was sent for.',
      access: 'viewer',
      query: quarantineListQuerySchema,
      response: {
        status: 200,
        description: 'Latest sighting first; what sends again while you page moves to the first page',
        schema: quarantineSchema,
      },
      handle: async ({ query, principal, signal }, { machines }) => {
        const { cursor, limit } = query;
        const [atMs, key] = cursor === undefined ? LATEST : decodeCursor('quarantine', cursor, INSTANT_CURSOR);
        const all = await machines.listQuarantine(principal.tenant, { signal });
        const found = all.filter((each) => each.atMs < atMs || (each.atMs === atMs && each.key > key));
        const positionOf = (last: QuarantinedMachine) => [last.atMs, last.key];
        return { json: pageOf('quarantine', found, limit, { view: quarantinedView, positionOf }) };
      },
    }),
    route({
      method: 'POST',
      path: '/v1/quarantine/{site}/{machine}/adopt',
      tag: TAG,
      summary: 'Makes a machine of what was quarantined; what it sends from then on is stored.',
      access: 'engineer',
      params: quarantineAddressSchema,
      body: { kind: 'json', schema: adoptRequestSchema, maxBytes: limits.jsonBytes, optional: true },
      response: { status: 201, description: 'The machine', schema: registeredMachineSchema },
      handle: async ({ params, body, principal }, services) => {
        const { tenant } = principal;
        const key = machineKeyOf({ tenant, ...params }, services);
        const waiting = await services.machines.listQuarantine(tenant);
        if (!waiting.some((each) => each.key === key)) throw notQuarantined(params.machine);
        const description = machineSchema.parse({ id: params.machine, ...body });
        const adopted = await services.machines.putMachine(tenant, params.site as SiteId, description, {
          expectedRevision: 0,
        });
        services.fleet.put(adopted);
        return { json: registeredView(adopted) };
      },
    }),
    route({
      method: 'GET',
      path: '/v1/machines/{machine}/events',
      tag: TAG,
      summary: 'What was done to a machine: repairs, bearing changes, maintenance.',
      access: 'viewer',
      params: machineAddressSchema,
      query: machineEventsQuerySchema,
      response: { status: 200, description: 'Oldest first', schema: machineEventsSchema },
      handle: async ({ params, query, principal, signal }, services) => {
        const { key } = ownMachine({ tenant: principal.tenant, ...query, ...params }, services);
        const { cursor, limit } = query;
        const [atMs, id] = cursor === undefined ? BEGINNING : decodeCursor('events', cursor, INSTANT_CURSOR);
        const all = await services.machines.machineEvents(key, { signal });
        const found = all.filter((event) => event.atMs > atMs || (event.atMs === atMs && event.id > id));
        const positionOf = (last: MachineHistoryEvent) => [last.atMs, last.id];
        return { json: pageOf('events', found, limit, { view: eventView(all), positionOf }) };
      },
    }),
    route({
      method: 'POST',
      path: '/v1/machines/{machine}/events',
      tag: TAG,
      summary: 'Notes what was done to a machine.',
      access: 'operator',
      params: machineAddressSchema,
      query: machineSiteQuerySchema,
      body: { kind: 'json', schema: addMachineEventRequestSchema, maxBytes: limits.jsonBytes },
      response: { status: 201, description: 'The event', schema: machineEventSchema },
      handle: async ({ params, query, body, principal }, services) => {
        const { key } = ownMachine({ tenant: principal.tenant, ...query, ...params }, services);
        const { kind, text, atMs = services.clock.nowMs() } = body;
        const event = { id: randomUUID(), key, kind, text, atMs, by: principal.subject };
        await services.machines.addMachineEvent(event);
        return { json: eventView(await services.machines.machineEvents(key))(event) };
      },
    }),
  ];
}

/** A machine is shown without what its rules say of it where they cannot be read soon. */
async function rulesOrNone(
  tenant: TenantId,
  { rules }: GatewayServices,
  signal: AbortSignal,
): Promise<readonly VersionedRule[] | undefined> {
  return rules.list({ tenant, limit: RULES_AT_MOST }, soon(signal)).catch(() => undefined);
}

/** Those that are still bound to it, as far as that can be read soon: what connected may be known for longer. */
async function devicesFor(
  machine: MachineKey,
  { fleet, devices }: GatewayServices,
  signal: AbortSignal,
): Promise<MachineDetail['devices']> {
  const states = fleet.presence.statesFor(machine).slice(0, DEVICES_AT_MOST);
  const found = await Promise.all(
    states.map(async ({ device: id, online, sinceMs, by }) => {
      const isBound = await devices.getDevice(id, soon(signal)).then(
        (device) => device?.machines.includes(machine) === true,
        () => true,
      );
      return isBound ? [{ id, online, sinceMs, by }] : [];
    }),
  );
  return found.flat().sort((one, other) => (one.id < other.id ? -1 : 1));
}

function soon(signal: AbortSignal): CallOptions {
  return { signal: AbortSignal.any([signal, AbortSignal.timeout(READ_WITHIN_MS)]) };
}

/** Undefined where the process that judges is away or slow. */
async function learningOf(key: MachineKey, { alerting }: GatewayServices): Promise<readonly Learning[] | undefined> {
  const waited = new AbortController();
  try {
    return await Promise.race([
      alerting.learning(key),
      sleep(LEARNING_WAIT_MS, undefined, { signal: waited.signal, ref: false }),
    ]);
  } catch {
    return undefined;
  } finally {
    waited.abort();
  }
}

export function liveValue({ metric, ts, value, unit, quality }: LatestValue): LiveValue {
  return { metric, value, ...(unit !== undefined && { unit }), quality, tsMs: ts };
}

function registeredView({ key, revision, machine }: RegisteredMachine) {
  return { ...placeOf(key), revision, description: machine };
}

function eventView(history: readonly MachineHistoryEvent[]) {
  const { remarks } = readHistory(history);
  return ({ id, kind, atMs, by, text }: MachineHistoryEvent): MachineEventView => {
    const remark = remarks.get(id);
    return { id, kind, atMs, by, text, ...(remark !== undefined && { remark }) };
  };
}

function quarantinedView({
  key,
  device,
  messages,
  firstAtMs,
  atMs,
  sample,
}: QuarantinedMachine): QuarantinedMachineView {
  return { ...placeOf(key), device, messages, firstMs: firstAtMs, lastMs: atMs, sample };
}

function idsDiffer(inBody: string, inPath: string): HttpProblem {
  return new HttpProblem('invalid-request', {
    detail: `The body describes ${inBody}, the path names ${inPath}.`,
    pointer: '/id',
    remedy: 'Make them the same. A machine cannot be renamed: its history is kept under its id.',
  });
}

function notQuarantined(machine: string): HttpProblem {
  return new HttpProblem('not-found', {
    detail: `Nothing unknown was received for ${machine}.`,
    remedy: 'GET /v1/quarantine lists what waits; PUT /v1/machines/{machine} makes any other machine.',
  });
}
