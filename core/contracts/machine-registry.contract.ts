import assert from 'node:assert/strict';
import { machineKey, parseName, type MachineId, type MachineKey, type SiteId, type TenantId } from '../domain/ids.ts';
import { machineSchema, type Machine } from '../domain/plant.ts';
import type { MachineHistoryEvent, MachineRegistry, Sighting } from '../ports/machine-registry.ts';
import type { Contract } from './contract.ts';
import { failsWith } from './fails-with.ts';
import { until } from './until.ts';

export interface MachineRegistryHarness {
  readonly registry: MachineRegistry;
  /** Two tenants of this case alone. */
  readonly tenants: readonly [TenantId, TenantId];
  /** How many machines a tenant may have in quarantine, in this harness: at most 50. */
  readonly maxQuarantined: number;
  /** Another client of the same registry, as another process would open it. */
  reopen(): Promise<MachineRegistry>;
}

const site = parseName<SiteId>('site', 'akron');
const otherSite = parseName<SiteId>('site', 'brno');
const press = describe('press-7');

function describe(id: string, more: Partial<Machine> = {}): Machine {
  return { ...machineSchema.parse({ id, class: 'press', powerKw: 75, nominalRpm: 1480 }), ...more };
}

function keyOf(tenant: TenantId, id: string, at = site): MachineKey {
  return machineKey(tenant, at, parseName<MachineId>('machine', id));
}

function sighting(tenant: TenantId, id: string, atMs: number): Sighting {
  return { key: keyOf(tenant, id), device: 'gateway-1', atMs, sample: '{"metrics":{"rpm":1480}}' };
}

export const machineRegistryContract: Contract<MachineRegistryHarness> = {
  port: 'machine-registry',
  cases: [
    {
      name: 'gives back what was put, with a revision that rises',
      async run({ registry, tenants: [tenant] }) {
        const first = await registry.putMachine(tenant, site, press);
        assert.deepEqual(await registry.getMachine(first.key), first);
        assert.deepEqual(first.machine, press);
        const second = await registry.putMachine(tenant, site, describe('press-7', { name: 'Press 7' }));
        assert.ok(second.revision > first.revision);
        assert.equal((await registry.getMachine(first.key))?.machine.name, 'Press 7');
      },
    },
    {
      name: 'never gives a machine a revision that it had before it was deleted',
      async run({ registry, tenants: [tenant], ...harness }) {
        const { key } = await registry.putMachine(tenant, site, press);
        const { revision } = await registry.putMachine(tenant, site, press);
        await registry.deleteMachine(key);
        const other = await harness.reopen();
        const again = await other.putMachine(tenant, site, describe('press-7', { name: 'new' }), {
          expectedRevision: 0,
        });
        assert.ok(again.revision > revision);
        await assert.rejects(
          registry.putMachine(tenant, site, press, { expectedRevision: revision }),
          failsWith('failed_precondition'),
        );
      },
    },
    {
      name: 'keeps every part of a description',
      async run({ registry, tenants: [tenant] }) {
        const full = machineSchema.parse({
          id: 'rig-1',
          name: 'Schwingprüfstand "Ost" ✓',
          area: 'lab',
          line: 'l-1',
          class: 'bearing-rig',
          support: 'rigid',
          bearings: [{ id: 'de', elements: 9, elementDiameterMm: 7.94, pitchDiameterMm: 39.04, contactAngleDeg: 0 }],
          sensors: [{ id: 'acc', kind: 'acceleration', unit: 'g', sampleRateHz: 25_600, bearing: 'de' }],
          metrics: [{ name: 'temperature', unit: 'Cel', min: -40, max: 200 }],
          operatingState: { from: 'threshold', metric: 'rpm', runningAbove: 100 },
        });
        const { key } = await registry.putMachine(tenant, site, full);
        assert.deepEqual((await registry.getMachine(key))?.machine, full);
      },
    },
    {
      name: 'refuses a conditional put whose revision is not the present one, and changes nothing',
      async run({ registry, tenants: [tenant] }) {
        await assert.rejects(
          registry.putMachine(tenant, site, press, { expectedRevision: 7 }),
          failsWith('failed_precondition'),
        );
        assert.equal(await registry.getMachine(keyOf(tenant, 'press-7')), undefined);
        const { revision, key } = await registry.putMachine(tenant, site, press, { expectedRevision: 0 });
        const renamed = describe('press-7', { name: 'renamed' });
        await assert.rejects(
          registry.putMachine(tenant, site, renamed, { expectedRevision: revision + 1 }),
          failsWith('failed_precondition'),
        );
        assert.deepEqual((await registry.getMachine(key))?.machine, press);
        await registry.putMachine(tenant, site, renamed, { expectedRevision: revision });
        assert.equal((await registry.getMachine(key))?.machine.name, 'renamed');
      },
    },
    {
      name: 'lets one of two concurrent conditional puts win',
      async run({ registry, tenants: [tenant] }) {
        const { revision } = await registry.putMachine(tenant, site, press);
        const results = await Promise.allSettled(
          ['a', 'b', 'c'].map((name) =>
            registry.putMachine(tenant, site, describe('press-7', { name }), { expectedRevision: revision }),
          ),
        );
        assert.equal(results.filter((result) => result.status === 'fulfilled').length, 1);
      },
    },
    {
      name: 'puts machines of a site together, in the order given',
      async run({ registry, tenants: [tenant] }) {
        const { revision } = await registry.putMachine(tenant, site, press);
        const renamed = describe('press-7', { name: 'renamed' });
        const put = await registry.putMachines(tenant, site, [
          { machine: describe('pump-2'), expectedRevision: 0 },
          { machine: renamed, expectedRevision: revision },
          { machine: describe('fan-1') },
        ]);
        assert.deepEqual(
          put.map(({ machine }) => machine.id),
          ['pump-2', 'press-7', 'fan-1'],
        );
        assert.deepEqual(
          [...(await registry.listMachines({ tenant, limit: 10 }))],
          [...put].sort((a, b) => (a.key < b.key ? -1 : 1)),
        );
        assert.deepEqual((await registry.getMachine(keyOf(tenant, 'press-7')))?.machine, renamed);
        assert.deepEqual([...(await registry.putMachines(tenant, site, []))], []);
      },
    },
    {
      name: 'puts none of the machines where one is refused, first or last',
      async run({ registry, tenants: [tenant] }) {
        const present = await registry.putMachine(tenant, site, press);
        const overtaken = { machine: describe('press-7', { name: 'renamed' }), expectedRevision: present.revision + 1 };
        const fresh = { machine: describe('pump-2') };
        for (const changes of [
          [overtaken, fresh],
          [fresh, overtaken],
        ]) {
          await assert.rejects(registry.putMachines(tenant, site, changes), failsWith('failed_precondition'));
        }
        await assert.rejects(registry.putMachines(tenant, site, [fresh, fresh]), failsWith('invalid_argument'));
        assert.deepEqual([...(await registry.listMachines({ tenant, limit: 10 }))], [present]);
      },
    },
    {
      name: 'lets one of two batches win that overlap and expect the same revision',
      async run({ registry, tenants: [tenant] }) {
        const results = await Promise.allSettled(
          ['a', 'b'].map((name) =>
            registry.putMachines(tenant, site, [
              { machine: describe(`only-${name}`), expectedRevision: 0 },
              { machine: describe('press-7', { name }), expectedRevision: 0 },
            ]),
          ),
        );
        const won = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
        assert.equal(won.length, 1);
        assert.deepEqual(
          (await registry.listMachines({ tenant, limit: 10 })).map(({ key }) => key),
          won[0]?.map(({ key }) => key),
        );
      },
    },
    {
      name: 'lists in order of key, page by page, each machine once',
      async run({ registry, tenants: [tenant] }) {
        const ids = ['pump-2', 'press-7', 'fan-1', 'press-10', 'Motor_3'];
        await Promise.all(ids.map((id) => registry.putMachine(tenant, site, describe(id))));
        await registry.putMachine(tenant, otherSite, press);
        const seen: MachineKey[] = [];
        for (;;) {
          const after = seen.at(-1);
          const page = await registry.listMachines({ tenant, limit: 2, ...(after && { after }) });
          assert.ok(page.length <= 2);
          if (page.length === 0) break;
          seen.push(...page.map((each) => each.key));
        }
        assert.deepEqual(seen, [...ids.map((id) => keyOf(tenant, id)), keyOf(tenant, 'press-7', otherSite)].sort());
        const atSite = await registry.listMachines({ tenant, site: otherSite, limit: 10 });
        assert.deepEqual(
          [...atSite].map((each) => each.key),
          [keyOf(tenant, 'press-7', otherSite)],
        );
      },
    },
    {
      name: 'shows a tenant nothing of another',
      async run({ registry, tenants: [own, other] }) {
        await registry.putMachine(other, site, press);
        await registry.quarantine(sighting(other, 'stray', 1000));
        assert.deepEqual([...(await registry.listMachines({ tenant: own, limit: 10 }))], []);
        assert.deepEqual([...(await registry.listQuarantine(own))], []);
        assert.equal(await registry.getMachine(keyOf(own, 'press-7')), undefined);
      },
    },
    {
      name: 'forgets a deleted machine; deleting it again does no harm',
      async run({ registry, tenants: [tenant] }) {
        const { key } = await registry.putMachine(tenant, site, press);
        await registry.deleteMachine(key);
        await registry.deleteMachine(key);
        assert.equal(await registry.getMachine(key), undefined);
        assert.deepEqual([...(await registry.listMachines({ tenant, limit: 10 }))], []);
      },
    },
    {
      name: 'refuses a conditional delete whose revision is not the present one, and forgets nothing',
      async run({ registry, tenants: [tenant] }) {
        const { key, revision } = await registry.putMachine(tenant, site, press);
        const changed = await registry.putMachine(tenant, site, describe('press-7', { name: 'renamed' }));
        await registry.addMachineEvent({ id: 'e', key, kind: 'note', atMs: 1, by: 'maria', text: '' });
        await assert.rejects(
          registry.deleteMachine(key, { expectedRevision: revision }),
          failsWith('failed_precondition'),
        );
        assert.deepEqual(await registry.getMachine(key), changed);
        assert.equal((await registry.machineEvents(key)).length, 1);
        await registry.deleteMachine(key, { expectedRevision: changed.revision });
        assert.equal(await registry.getMachine(key), undefined);
        await assert.rejects(
          registry.deleteMachine(key, { expectedRevision: changed.revision }),
          failsWith('failed_precondition'),
        );
      },
    },
    {
      name: 'counts the messages of a quarantined machine, and forgets it when it is put',
      async run({ registry, tenants: [tenant] }) {
        await registry.quarantine(sighting(tenant, 'stray', 1000));
        await registry.quarantine({ ...sighting(tenant, 'stray', 3000), sample: 'newest' });
        assert.deepEqual(
          [...(await registry.listQuarantine(tenant))],
          [{ ...sighting(tenant, 'stray', 3000), sample: 'newest', messages: 2, firstAtMs: 1000 }],
        );
        await registry.putMachine(tenant, site, describe('stray'));
        assert.deepEqual([...(await registry.listQuarantine(tenant))], []);
      },
    },
    {
      name: 'keeps the quarantine of a tenant within its bound, forgetting the oldest sighting first',
      async run({ registry, tenants: [tenant, other], maxQuarantined }) {
        await registry.quarantine(sighting(other, 'theirs', 1));
        for (let i = 0; i < maxQuarantined + 3; i++) {
          await registry.quarantine(sighting(tenant, `stray-${i}`, 1000 + i));
        }
        const kept = (await registry.listQuarantine(tenant)).map((each) => each.atMs);
        assert.equal(kept.length, maxQuarantined);
        assert.equal(Math.min(...kept), 1003);
        assert.equal((await registry.listQuarantine(other)).length, 1);
      },
    },
    {
      name: 'keeps the events of a machine in order of time, each once',
      async run({ registry, tenants: [tenant] }) {
        const key = keyOf(tenant, 'press-7');
        const event = (id: string, atMs: number): MachineHistoryEvent => ({
          id,
          key,
          kind: 'repair',
          atMs,
          by: 'maria',
          text: `repair ${id}`,
        });
        await registry.addMachineEvent(event('b', 2000));
        await registry.addMachineEvent(event('a', 1000));
        await registry.addMachineEvent(event('a', 1000));
        assert.deepEqual([...(await registry.machineEvents(key))], [event('a', 1000), event('b', 2000)]);
        assert.deepEqual([...(await registry.machineEvents(keyOf(tenant, 'pump-2')))], []);
      },
    },
    {
      name: 'lists the events of all machines by kind, each once over all pages',
      async run({ registry, tenants: [tenant] }) {
        const of = (machine: string, id: string, atMs: number, kind: MachineHistoryEvent['kind']) => ({
          ...{ id, key: keyOf(tenant, machine), kind, atMs, by: 'maria', text: '' },
        });
        const wanted = [
          of('pump-2', 'z', 10, 'maintenance-start'),
          of('pump-2', 'a', 20, 'maintenance-end'),
          of('pump-2', 'b', 20, 'maintenance-start'),
          of('pump-3', 'a', 5, 'maintenance-start'),
        ];
        for (const event of [...wanted.toReversed(), of('pump-2', 'n', 15, 'note')])
          await registry.addMachineEvent(event);
        const kinds = ['maintenance-start', 'maintenance-end'] as const;
        const seen: MachineHistoryEvent[] = [];
        for (let after: MachineHistoryEvent | undefined; ; after = seen.at(-1)) {
          const page = await registry.listMachineEvents({ kinds, limit: 2, ...(after && { after }) });
          seen.push(...page);
          if (page.length < 2) break;
        }
        assert.deepEqual(
          seen.filter(({ key }) => key.startsWith(`${tenant}/`)),
          wanted,
        );
      },
    },
    {
      name: 'keeps machines and events over a reopen',
      async run(harness) {
        const {
          registry,
          tenants: [tenant],
        } = harness;
        const put = await registry.putMachine(tenant, site, press);
        await registry.addMachineEvent({ id: 'e', key: put.key, kind: 'note', atMs: 1, by: 'maria', text: '' });
        const reopened = await harness.reopen();
        assert.deepEqual(await reopened.getMachine(put.key), put);
        assert.equal((await reopened.machineEvents(put.key)).length, 1);
      },
    },
    {
      name: 'tells listeners of changes, also those another client made, until they stop listening',
      async run(harness) {
        const {
          registry,
          tenants: [tenant],
        } = harness;
        let calls = 0;
        const stop = registry.onChange(() => calls++);
        await registry.putMachine(tenant, site, press);
        await until(() => calls > 0, 'a change of its own');
        calls = 0;
        const other = await harness.reopen();
        await other.putMachine(tenant, site, describe('pump-2'));
        await until(() => calls > 0, 'a change of another client');
        stop();
        calls = 0;
        await registry.deleteMachine(keyOf(tenant, 'press-7'));
        assert.equal(calls, 0);
      },
    },
    {
      name: 'rejects a call whose caller has stopped waiting',
      async run({ registry, tenants: [tenant] }) {
        const signal = AbortSignal.abort();
        await assert.rejects(registry.putMachine(tenant, site, press, { signal }), failsWith('cancelled'));
        await assert.rejects(
          registry.putMachines(tenant, site, [{ machine: press }], { signal }),
          failsWith('cancelled'),
        );
        await assert.rejects(registry.listMachines({ tenant, limit: 1 }, { signal }), failsWith('cancelled'));
      },
    },
  ],
};
