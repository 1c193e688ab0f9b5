import assert from 'node:assert/strict';
import type { DeviceId, MachineKey, RuleId, SiteId, TenantId } from '../domain/ids.ts';
import { machineSchema, type Machine } from '../domain/plant.ts';
import type { MovablePort, MovedRow } from '../moving/movable.ts';
import { ruleSchema } from '../domain/rule.ts';
import type { AlarmJournal, AlarmOutbox, Announcements } from '../ports/alarm-journal.ts';
import type { AuditTrail } from '../ports/audit-trail.ts';
import type { DeviceRegistry } from '../ports/device-registry.ts';
import type { MachineRegistry } from '../ports/machine-registry.ts';
import type { ModelRegistry } from '../ports/model-registry.ts';
import type { RuleStore } from '../ports/rule-store.ts';
import type { Contract } from './contract.ts';
import { failsWith } from './fails-with.ts';
import { sampleActivation } from './sample-alarm.ts';

export interface MovableHarness<Port> {
  readonly port: Port & MovablePort;
  /** The same port of another site, in which there is nothing. */
  readonly elsewhere: Port & MovablePort;
}

const tenant = 'north' as TenantId;
const site = 'akron' as SiteId;
const press = 'north/akron/press-7' as MachineKey;
const T0 = Date.UTC(2026, 10, 21, 1);

/** What a case has to know of a port: how to fill it, by a number that tells one filling from another, and how to read what is there. */
interface Sample<Port> {
  readonly fill: (port: Port, at: number) => Promise<unknown>;
  readonly read: (port: Port) => Promise<unknown>;
}

async function exportAll({ movable }: MovablePort, limit: number): Promise<readonly (readonly MovedRow[])[]> {
  const pages: (readonly MovedRow[])[] = [];
  for (let after: string | undefined; ;) {
    const { rows, next }: Awaited<ReturnType<typeof movable.exportRows>> = await movable.exportRows({
      ...(after !== undefined && { after }),
      limit,
    });
    assert.ok(rows.length <= limit);
    pages.push(rows);
    after = next;
    if (after === undefined) return pages;
  }
}

async function importAll(
  { movable }: MovablePort,
  pages: readonly (readonly MovedRow[])[],
): Promise<readonly boolean[]> {
  const results: boolean[] = [];
  for (const [at, rows] of pages.entries())
    results.push(await movable.importRows({ exportId: 'move-1', name: `part ${at}` }, rows));
  return results;
}

function movableContract<Port>(port: string, { fill, read }: Sample<Port>): Contract<MovableHarness<Port>> {
  return {
    port,
    capability: `Movable (${port})`,
    cases: [
      {
        name: 'makes the same elsewhere of what it was, page by page, and goes on there',
        async run({ port, elsewhere }) {
          for (let at = 0; at < 3; at++) await fill(port, at);
          const pages = await exportAll(port, 2);
          assert.ok(pages.length > 1);
          assert.ok((await importAll(elsewhere, JSON.parse(JSON.stringify(pages)) as typeof pages)).every(Boolean));
          assert.deepEqual(await read(elsewhere), await read(port));
          assert.deepEqual(await exportAll(elsewhere, 1000), await exportAll(port, 1000));
          assert.equal(await elsewhere.movable.countRows(), await port.movable.countRows());
          await fill(port, 3);
          await fill(elsewhere, 3);
          assert.deepEqual(await read(elsewhere), await read(port));
        },
      },
      {
        name: 'imports a part once',
        async run({ port, elsewhere }) {
          await fill(port, 0);
          const pages = await exportAll(port, 1000);
          assert.deepEqual(await importAll(elsewhere, pages), [true]);
          assert.deepEqual(await importAll(elsewhere, pages), [false]);
          assert.deepEqual(await read(elsewhere), await read(port));
        },
      },
      {
        name: 'imports nothing of a part that holds what it does not know',
        async run({ port, elsewhere }) {
          await fill(port, 0);
          const before = await exportAll(elsewhere, 1000);
          const [rows = []] = await exportAll(port, 1000);
          const foreign = { table: 'of_tomorrow', values: { id: 1 } };
          const part = { exportId: 'move-1', name: 'part' };
          const call = elsewhere.movable.importRows(part, [...rows, foreign]);
          await assert.rejects(call, failsWith('invalid_argument'));
          assert.deepEqual(await exportAll(elsewhere, 1000), before);
          assert.equal(await elsewhere.movable.importRows(part, rows), true);
        },
      },
      {
        name: 'imports into what is empty, and then on with the same export alone',
        async run({ port, elsewhere }) {
          assert.equal(await elsewhere.movable.countRows(), 0);
          await fill(port, 0);
          assert.ok((await port.movable.countRows()) > 0);
          const [rows = []] = await exportAll(port, 1000);
          await elsewhere.movable.requireRoomFor('move-1');
          await importAll(elsewhere, [rows]);
          await elsewhere.movable.requireRoomFor('move-1');
          const before = await exportAll(elsewhere, 1000);
          const code = failsWith('already_exists');
          for (const full of [port, elsewhere]) {
            await assert.rejects(full.movable.requireRoomFor('move-2'), code);
            await assert.rejects(full.movable.importRows({ exportId: 'move-2', name: 'part' }, []), code);
          }
          assert.deepEqual(await exportAll(elsewhere, 1000), before);
        },
      },
    ],
  };
}

const machine = (id: string): Machine => machineSchema.parse({ id, class: 'press', powerKw: 75, nominalRpm: 1480 });

export const movableMachineRegistryContract = movableContract<MachineRegistry>('machine-registry', {
  async fill(registry, at) {
    const id = `press-${at}`;
    const key = `north/akron/${id}` as MachineKey;
    await registry.putMachine(tenant, site, machine(`gone-${at}`));
    await registry.putMachine(tenant, site, machine(`gone-${at}`));
    await registry.deleteMachine(`north/akron/gone-${at}` as MachineKey);
    await registry.putMachine(tenant, site, machine(id));
    await registry.addMachineEvent({ id: 'a', key, kind: 'note', atMs: T0 + at, by: 'asha', text: 'greased — ✓' });
  },
  read: async (registry) => [
    await registry.listMachines({ limit: 100 }),
    await registry.listMachineEvents({ kinds: ['note'], limit: 100 }),
  ],
});

export const movableDeviceRegistryContract = movableContract<DeviceRegistry>('device-registry', {
  fill: (registry, at) => registry.addDevice({ id: `gateway-${at}` as DeviceId, tenant, machines: [press] }),
  read: async (registry) =>
    (await registry.listDevices(tenant)).map(({ id, machines, enabled }) => [id, machines, enabled]),
});

export const movableRuleStoreContract = movableContract<RuleStore>('rule-store', {
  async fill(rules, at) {
    const rule = ruleSchema.parse({ kind: 'missing-data', id: 'silent', text: 'No data', afterMs: 60_000 });
    await rules.put(tenant, { ...rule, text: `version ${at}` }, { by: 'asha' });
    await rules.put(tenant, { ...rule, id: 'other' }, { by: 'ben' });
    if (at === 1) await rules.delete(tenant, 'other' as RuleId, { by: 'ben' });
  },
  read: async (rules) => {
    const list = await rules.list({ tenant, limit: 100 });
    const histories = list.map(({ rule }) => rules.history(tenant, rule.id as RuleId, { limit: 100 }));
    return [list, await Promise.all(histories)].map(
      (each) => JSON.parse(JSON.stringify(each, withoutTimes)) as unknown,
    );
  },
});

export const movableAuditTrailContract = movableContract<AuditTrail>('audit-trail', {
  async fill(trail, at) {
    const id = await trail.begin({ tenant, atMs: T0 + at, actor: 'asha', action: 'device.disable', target: `d${at}` });
    if (at % 2 === 0) await trail.finish(id, { outcome: 'done', after: '{"enabled":false}' });
  },
  read: async (trail) => (await trail.list({ tenant, limit: 100 })).map((entry) => ({ ...entry, id: 0 })),
});

export const movableModelRegistryContract = movableContract<ModelRegistry>('model-registry', {
  async fill(models, at) {
    const provenance = { trainedOn: '', fromMs: 0, toMs: at, samples: 0, software: '', metrics: {} };
    const draft = {
      artifact: Buffer.from(`model ${at}`),
      format: 'onnx',
      inputs: [],
      parameters: {},
      provenance,
    } as const;
    const model = { name: 'health', tenant, machine: press };
    const { version } = await models.register(model, draft);
    await models.promote(model, version, { by: 'asha', reason: `better ${at}` });
  },
  read: async (models) => {
    const model = { name: 'health', tenant, machine: press };
    const all = [models.listModels({ tenant, limit: 100 }), models.listVersions(model, { limit: 100 })] as const;
    const [list, versions, promotions] = [...(await Promise.all(all)), await models.promotions(model, { limit: 100 })];
    return JSON.parse(JSON.stringify([list, versions, promotions], withoutTimes)) as unknown;
  },
});

type Journal = AlarmJournal & AlarmOutbox & Announcements;

export const movableAlarmJournalContract = movableContract<Journal>('alarm-journal', {
  async fill(journal, at) {
    const raised = sampleActivation({ rule: `r${at}`, machine: press, atMs: T0 + at });
    const [result] = await journal.record([raised], { notify: ['mail'] });
    if (result?.outcome === 'recorded' && at === 1)
      await journal.record([
        { type: 'acknowledge', id: 'a', alarmId: result.alarm.id, atMs: T0 + at, by: 'asha', comment: 'seen' },
      ]);
    const notice = {
      kind: 'device',
      change: 'online',
      device: 'gw' as DeviceId,
      machines: [press],
      by: 'connection',
      sinceMs: at,
    } as const;
    await journal.announce([{ id: `online ${at}`, subject: `device ${at}`, machine: press, notice }]);
  },
  read: async (journal) => {
    const { entries } = await journal.entries({ tenant, fromMs: 0, toMs: 1e15, limit: 100 });
    const all = [
      await journal.list({ tenant, limit: 100 }),
      entries,
      await journal.pendingMessages({ destination: 'mail', nowMs: 1e15, limit: 100 }),
      await journal.listAnnounced({ kind: 'device', limit: 100 }),
    ];
    return JSON.parse(JSON.stringify(all, withoutTimes)) as unknown;
  },
});

/** What is filled in later has times of its own. */
function withoutTimes(name: string, value: unknown): unknown {
  return /^(updatedAtMs|atMs|registeredAtMs|recordedAtMs|createdAtMs|dueAtMs)$/.test(name) ? 0 : value;
}
