import assert from 'node:assert/strict';
import type { Announcement } from '../announcing/announcement.ts';
import {
  foldJournal,
  partKey,
  type Activation,
  type OperatorTransition,
  type ReturnToNormal,
} from '../domain/alarm.ts';
import {
  machineKey,
  type AlarmId,
  type DeviceId,
  type MachineId,
  type MachineKey,
  type SiteId,
  type TenantId,
} from '../domain/ids.ts';
import type { AlarmPriority } from '../domain/rule.ts';
import {
  isAlarmNotice,
  STREAM_DESTINATION,
  type AlarmJournal,
  type AlarmOutbox,
  type Announcements,
  type RecordedTransition,
} from '../ports/alarm-journal.ts';
import type { Contract } from './contract.ts';
import { failsWith } from './fails-with.ts';
import { sampleActivation } from './sample-alarm.ts';

export interface AlarmJournalHarness {
  readonly journal: AlarmJournal & AlarmOutbox & Announcements;
  /** Two tenants of this case alone. */
  readonly tenants: readonly [TenantId, TenantId];
  /** Another client of the same journal, as another process would open it. */
  reopen(): Promise<AlarmJournal & AlarmOutbox & Announcements>;
}

const T0 = Date.UTC(2026, 10, 21, 1);
const MINUTE = 60_000;

function machineOf(tenant: TenantId, id = 'press-7', site = 'akron'): MachineKey {
  return machineKey(tenant, site as SiteId, id as MachineId);
}

function activation(machine: MachineKey, rule: string, atMs: number, priority: AlarmPriority = 'high'): Activation {
  const measured = { metric: 'temperature', value: 81.5, limit: 80, unit: 'Cel' };
  const window = { fromMs: atMs - 1000, toMs: atMs };
  const id = `${machine}/${rule}/${atMs}/activate`;
  return sampleActivation({ id, rule, machine, atMs, part: { ...measured, priority, window } });
}

function deviceAnnouncement(tenant: TenantId, change: 'online' | 'offline', sinceMs: number): Announcement {
  const machine = machineOf(tenant);
  const device = `gw-${tenant}` as DeviceId;
  const notice = { kind: 'device', change, device, machines: [machine], by: 'connection', sinceMs } as const;
  return { id: `${tenant} ${change} ${sinceMs}`, subject: `device ${device}`, machine, notice };
}

function returning(machine: MachineKey, rule: string, atMs: number): ReturnToNormal {
  return {
    type: 'return',
    id: `${machine}/${rule}/${atMs}/return`,
    machine,
    atMs,
    partKey: partKey(rule, 'temperature'),
    cause: 'condition',
    replayed: false,
  };
}

function acknowledgement(alarmId: AlarmId, id: string, atMs = T0 + MINUTE): OperatorTransition {
  return { type: 'acknowledge', id, alarmId, atMs, by: 'asha', comment: 'on my way' };
}

function alarmOf(result: RecordedTransition | undefined) {
  assert.equal(result?.outcome, 'recorded');
  return result.alarm;
}

export const alarmJournalContract: Contract<AlarmJournalHarness> = {
  port: 'alarm-journal',
  cases: [
    {
      name: 'raises an alarm that a second client reads as it was recorded',
      async run({ journal, tenants: [tenant], ...harness }) {
        const alarm = alarmOf((await journal.record([activation(machineOf(tenant), 'r60', T0)]))[0]);
        assert.equal(alarm.state, 'unacknowledged');
        assert.deepEqual(await (await harness.reopen()).alarm(tenant, alarm.id), alarm);
      },
    },
    {
      name: 'keeps every entry, and their fold is the alarm',
      async run({ journal, tenants: [tenant] }) {
        const machine = machineOf(tenant);
        const { id } = alarmOf((await journal.record([activation(machine, 'r60', T0)]))[0]);
        await journal.record([activation(machine, 'iso', T0 + 5, 'critical'), acknowledgement(id, 'a1')]);
        await journal.record([returning(machine, 'r60', T0 + 9), returning(machine, 'iso', T0 + 10)]);
        const entries = await journal.journal(id, { afterSequence: 0, limit: 100 });
        assert.deepEqual(
          entries.map(({ sequence, stateAfter }) => [sequence, stateAfter]),
          [
            [1, 'unacknowledged'],
            [2, 'unacknowledged'],
            [3, 'acknowledged'],
            [4, 'acknowledged'],
            [5, 'normal'],
          ],
        );
        assert.deepEqual(foldJournal(entries), await journal.alarm(tenant, id));
        assert.deepEqual(await journal.journal(id, { afterSequence: 3, limit: 1 }), [entries[3]]);
      },
    },
    {
      name: 'records a transition once, whoever repeats it and in whatever company',
      async run({ journal, tenants: [tenant], ...harness }) {
        const machine = machineOf(tenant);
        const first = activation(machine, 'r60', T0);
        const { id } = alarmOf((await journal.record([first]))[0]);
        const again = await (await harness.reopen()).record([first, returning(machine, 'r60', T0 + 5)]);
        assert.deepEqual(
          again.map((result) => result.outcome),
          ['duplicate', 'recorded'],
        );
        const twice = await journal.record([acknowledgement(id, 'a'), acknowledgement(id, 'a')]);
        assert.deepEqual(
          twice.map((result) => result.outcome),
          ['recorded', 'duplicate'],
        );
        assert.equal((await journal.journal(id, { afterSequence: 0, limit: 100 })).length, 3);
      },
    },
    {
      name: 'records each of many concurrent transitions exactly once, from two clients',
      async run({ journal, tenants: [tenant], ...harness }) {
        const other = await harness.reopen();
        const machines = Array.from({ length: 20 }, (_unused, index) => machineOf(tenant, `m-${index}`));
        const outcomes = await Promise.all(
          machines.flatMap((machine) =>
            [journal, other].map((client) => client.record([activation(machine, 'r60', T0)])),
          ),
        );
        assert.equal(outcomes.flat().filter(({ outcome }) => outcome === 'recorded').length, machines.length);
        assert.equal((await journal.list({ tenant, limit: 100 })).length, machines.length);
      },
    },
    {
      name: 'gives one alarm with its parts for the anomalies of one machine in one window',
      async run({ journal, tenants: [tenant] }) {
        const machine = machineOf(tenant);
        await journal.record([activation(machine, 'r60', T0), activation(machine, 'iso', T0 + MINUTE)]);
        await journal.record([activation(machineOf(tenant, 'press-8'), 'r60', T0)]);
        await journal.record([activation(machine, 'model', T0 + 2 * MINUTE)], { correlationWindowMs: 3 * MINUTE });
        const [alarm, ...others] = await journal.list({ tenant, machine, limit: 10 });
        assert.equal(others.length, 0);
        assert.deepEqual(
          alarm?.parts.map((part) => part.rule.id),
          ['r60', 'iso', 'model'],
        );
      },
    },
    {
      name: 'raises another alarm for an anomaly after the window',
      async run({ journal, tenants: [tenant] }) {
        const machine = machineOf(tenant);
        const late = activation(machine, 'iso', T0 + 2 * MINUTE);
        await journal.record([activation(machine, 'r60', T0), late], { correlationWindowMs: MINUTE });
        assert.equal((await journal.list({ tenant, machine, limit: 10 })).length, 2);
      },
    },
    {
      name: 'names what is illegal, unknown or out of date, and records the rest',
      async run({ journal, tenants: [tenant] }) {
        const machine = machineOf(tenant);
        const { id } = alarmOf((await journal.record([activation(machine, 'r60', T0)]))[0]);
        const results = await journal.record([
          { type: 'reset', id: 'x1', alarmId: id, atMs: T0, by: 'asha', comment: '' },
          acknowledgement('none' as AlarmId, 'x2'),
          acknowledgement(id, 'x3'),
        ]);
        assert.deepEqual(
          results.map((result) => result.outcome),
          ['illegal', 'not_found', 'recorded'],
        );
        const stale: OperatorTransition = { ...acknowledgement(id, 'x4'), type: 'unshelve' };
        const [conflict] = await journal.record([stale], { expectedVersion: 1 });
        assert.equal(conflict?.outcome, 'conflict');
        assert.equal((await journal.journal(id, { afterSequence: 0, limit: 100 })).length, 2);
      },
    },
    {
      name: 'refuses a comment without a bound, and records nothing of the call',
      async run({ journal, tenants: [tenant] }) {
        const first = activation(machineOf(tenant), 'r60', T0);
        const comment = 'x'.repeat(1001);
        const call = journal.record([first, { ...acknowledgement(first.id as AlarmId, 'a'), comment }]);
        await assert.rejects(call, failsWith('invalid_argument'));
        assert.deepEqual(await journal.list({ tenant, limit: 10 }), []);
      },
    },
    {
      name: 'keeps tenants apart',
      async run({ journal, tenants: [tenant, other] }) {
        const { id } = alarmOf((await journal.record([activation(machineOf(tenant), 'r60', T0)]))[0]);
        assert.equal(await journal.alarm(other, id), undefined);
        assert.deepEqual(await journal.list({ tenant: other, limit: 10 }), []);
        assert.equal((await journal.openCounts(other)).size, 0);
        assert.deepEqual((await journal.entries({ tenant: other, fromMs: 0, toMs: 1e15, limit: 10 })).entries, []);
      },
    },
    {
      name: 'lists by state, site, machine, priority and time, newest first, page by page',
      async run({ journal, tenants: [tenant] }) {
        const machines = ['a', 'b', 'c', 'd'].map((id) => machineOf(tenant, id, id === 'd' ? 'brno' : 'akron'));
        await journal.record(
          machines.map((machine, i) => activation(machine, 'r60', T0 + (i === 2 ? 1 : i), i === 0 ? 'low' : 'high')),
        );
        const names = async (query: Partial<Parameters<AlarmJournal['list']>[0]>) =>
          (await journal.list({ tenant, limit: 10, ...query })).map(({ machine }) => machine.slice(-1)).join('');
        const all = await names({});
        assert.match(all, /^d(bc|cb)a$/);
        let paged = '';
        for (let after; ;) {
          const [alarm]: Awaited<ReturnType<AlarmJournal['list']>> = await journal.list({
            tenant,
            limit: 1,
            ...(after ? { after } : {}),
          });
          if (!alarm) break;
          paged += alarm.machine.slice(-1);
          after = { raisedAtMs: alarm.raisedAtMs, id: alarm.id };
        }
        assert.equal(paged, all);
        assert.equal(await names({ site: 'brno' as SiteId }), 'd');
        assert.equal(await names({ machine: machines[1]! }), 'b');
        assert.equal(await names({ priorities: ['low', 'critical'] }), 'a');
        assert.equal(await names({ fromMs: T0 + 3 }), 'd');
        assert.equal(await names({ toMs: T0 + 1 }), 'a');
        assert.equal(await names({ states: ['acknowledged'] }), '');
        await assert.rejects(journal.list({ tenant, limit: 0 }), failsWith('invalid_argument'));
      },
    },
    {
      name: 'leaves out normal alarms unless they are asked for',
      async run({ journal, tenants: [tenant] }) {
        const machine = machineOf(tenant);
        const { id } = alarmOf((await journal.record([activation(machine, 'r60', T0)]))[0]);
        await journal.record([returning(machine, 'r60', T0 + 1), acknowledgement(id, 'a')]);
        assert.deepEqual(await journal.list({ tenant, limit: 10 }), []);
        assert.equal((await journal.list({ tenant, states: ['normal'], limit: 10 }))[0]?.id, id);
      },
    },
    {
      name: 'takes times with fractions of a millisecond, and pages by them',
      async run({ journal, tenants: [tenant] }) {
        const atMs = T0 + 0.25;
        const machines = ['a', 'b'].map((id) => machineOf(tenant, id));
        const notify = ['mail'];
        await journal.record(
          machines.map((machine) => activation(machine, 'r60', atMs)),
          { notify },
        );
        const [first] = await journal.list({ tenant, limit: 1 });
        const [second] = await journal.list({ tenant, limit: 1, after: first! });
        assert.deepEqual([first, second].map((alarm) => alarm?.machine).sort(), machines);
        assert.equal(first?.raisedAtMs, atMs);
        const untilMs = atMs + MINUTE;
        const shelving = {
          type: 'shelve',
          id: 's',
          alarmId: first.id,
          atMs,
          by: 'asha',
          comment: '',
          untilMs,
        } as const;
        await journal.record([shelving]);
        assert.ok((await journal.dueShelvings(Math.ceil(untilMs), 1000)).some(({ id }) => id === first.id));
        const pending = () => journal.pendingMessages({ destination: 'mail', nowMs: 1e15 + 0.25, limit: 10 });
        const soon = { code: 'unavailable', detail: 'refused', dueAtMs: atMs };
        for (const { id } of await pending()) await journal.markFailed(id, soon);
        assert.equal((await pending()).length, 2);
      },
    },
    {
      name: 'lists nothing where no state or priority is asked for',
      async run({ journal, tenants: [tenant] }) {
        await journal.record([activation(machineOf(tenant), 'r60', T0)]);
        assert.deepEqual(await journal.list({ tenant, states: [], limit: 10 }), []);
        assert.deepEqual(await journal.list({ tenant, priorities: [], limit: 10 }), []);
      },
    },
    {
      name: 'keeps a failure whose detail has characters that are not printed',
      async run({ journal, tenants: [tenant] }) {
        await journal.record([activation(machineOf(tenant), 'r60', T0)], { notify: ['mail'] });
        const [message] = await journal.pendingMessages({ destination: 'mail', nowMs: 1e15, limit: 1 });
        assert.ok(message);
        await journal.markFailed(message.id, { code: 'unavailable', detail: 'got \0\u0001\uD83D' });
        const [dead] = await journal.deadMessages({ tenant, limit: 1 });
        assert.match(dead?.lastError?.detail ?? '', /^got /);
      },
    },
    {
      name: 'counts what is open by machine',
      async run({ journal, tenants: [tenant] }) {
        const [first, second] = [machineOf(tenant, 'a'), machineOf(tenant, 'b')];
        const [raised] = await journal.record([activation(first, 'r60', T0, 'low')]);
        await journal.record([acknowledgement(alarmOf(raised).id, 'a')]);
        await journal.record([activation(first, 'iso', T0 + MINUTE, 'critical')], { correlationWindowMs: 1 });
        const [closed] = await journal.record([activation(second, 'r60', T0)]);
        await journal.record([returning(second, 'r60', T0 + 1), acknowledgement(alarmOf(closed).id, 'a')]);
        assert.deepEqual(
          [...(await journal.openCounts(tenant))],
          [[first, { open: 2, active: 2, unacknowledged: 1, worstPriority: 'critical' }]],
        );
      },
    },
    {
      name: 'finds alarms that are active, and shelvings that ran out',
      async run({ journal, tenants: [tenant] }) {
        const machine = machineOf(tenant);
        const { id } = alarmOf((await journal.record([activation(machine, 'r60', T0)]))[0]);
        const untilMs = T0 + 5 * MINUTE;
        await journal.record([
          { type: 'shelve', id: 's', alarmId: id, atMs: T0 + 1, by: 'asha', comment: '', untilMs },
        ]);
        assert.ok((await journal.activeAlarms({ limit: 1000 })).some((alarm) => alarm.id === id));
        assert.ok(!(await journal.activeAlarms({ limit: 1000, after: id })).some((alarm) => alarm.id === id));
        assert.ok(!(await journal.dueShelvings(untilMs - 1, 1000)).some((alarm) => alarm.id === id));
        assert.ok((await journal.dueShelvings(untilMs, 1000)).some((alarm) => alarm.id === id));
        await journal.record([{ type: 'unshelve', id: 'u', alarmId: id, atMs: untilMs, by: 'system', comment: '' }]);
        await journal.record([returning(machine, 'r60', untilMs + 1)]);
        assert.ok(!(await journal.dueShelvings(untilMs, 1000)).some((alarm) => alarm.id === id));
        assert.ok(!(await journal.activeAlarms({ limit: 1000 })).some((alarm) => alarm.id === id));
      },
    },
    {
      name: 'reads the entries of a period in the order of recording, page by page',
      async run({ journal, tenants: [tenant] }) {
        const machine = machineOf(tenant);
        for (let i = 0; i < 5; i++) await journal.record([activation(machine, `r-${i}`, T0 + 5 - i)]);
        const rules: string[] = [];
        for (let after; ;) {
          const page: Awaited<ReturnType<AlarmJournal['entries']>> = await journal.entries({
            tenant,
            fromMs: 0,
            toMs: Number.MAX_SAFE_INTEGER,
            limit: 2,
            ...(after === undefined ? {} : { after }),
          });
          for (const { transition } of page.entries)
            if (transition.type === 'activate') rules.push(transition.part.rule.id);
          after = page.next;
          if (after === undefined) break;
        }
        assert.deepEqual(rules, ['r-0', 'r-1', 'r-2', 'r-3', 'r-4']);
      },
    },
    {
      name: 'goes on reading from the last entry of a page once more is recorded',
      async run({ journal, tenants: [tenant] }) {
        const machine = machineOf(tenant);
        const period = { tenant, fromMs: 0, toMs: Number.MAX_SAFE_INTEGER, limit: 10 };
        assert.deepEqual(await journal.entries(period), { entries: [] });
        await journal.record([activation(machine, 'r-0', T0)]);
        const { last, next } = await journal.entries(period);
        assert.ok(last !== undefined && next === undefined);
        assert.deepEqual(await journal.entries({ ...period, after: last }), { entries: [] });
        await journal.record([activation(machine, 'r-1', T0 + 1)]);
        const { entries } = await journal.entries({ ...period, after: last });
        assert.deepEqual(
          entries.map(({ transition }) => transition.id),
          [activation(machine, 'r-1', T0 + 1).id],
        );
      },
    },
    {
      name: 'reads only what was recorded in the period',
      async run({ journal, tenants: [tenant] }) {
        await journal.record([activation(machineOf(tenant), 'r-0', T0)]);
        const [entry] = (await journal.entries({ tenant, fromMs: 0, toMs: Number.MAX_SAFE_INTEGER, limit: 1 })).entries;
        const { recordedAtMs } = entry!;
        const count = async (fromMs: number, toMs: number) =>
          (await journal.entries({ tenant, fromMs, toMs, limit: 10 })).entries.length;
        assert.equal(await count(recordedAtMs, recordedAtMs + 1), 1);
        assert.equal(await count(0, recordedAtMs), 0);
        assert.equal(await count(recordedAtMs + 1, Number.MAX_SAFE_INTEGER), 0);
      },
    },
    {
      name: 'tells of entries that another client recorded',
      async run({ journal, tenants: [tenant], ...harness }) {
        const other = await harness.reopen();
        const told = new Promise<void>((resolve) => journal.onChange(resolve));
        await other.record([activation(machineOf(tenant), 'r60', T0)]);
        await told;
      },
    },
    {
      name: 'has a message for the stream with each entry, in order, until it is delivered',
      async run({ journal, tenants: [tenant], ...harness }) {
        const machine = machineOf(tenant);
        await journal.record([activation(machine, 'r60', T0), returning(machine, 'r60', T0 + 1)]);
        const read = () =>
          journal.pendingMessages({ destination: STREAM_DESTINATION, nowMs: Number.MAX_SAFE_INTEGER, limit: 10 });
        const messages = await read();
        assert.deepEqual(
          messages.map(({ notice }) => notice.change),
          ['raised', 'returned'],
        );
        const first = messages[0]?.notice;
        assert.ok(first && isAlarmNotice(first));
        assert.equal(first.alarm.state, 'unacknowledged');
        await journal.markDelivered([messages[0]!.id, 'unknown']);
        assert.deepEqual(
          (
            await (await harness.reopen()).pendingMessages({ destination: STREAM_DESTINATION, nowMs: 1e15, limit: 10 })
          ).map(({ id }) => id),
          [messages[1]?.id],
        );
      },
    },
    {
      name: 'notifies when an alarm calls, and not again while it does',
      async run({ journal, tenants: [tenant] }) {
        const machine = machineOf(tenant);
        const notify = ['mail', 'webhook'];
        await journal.record([activation(machine, 'r60', T0), activation(machine, 'iso', T0 + 1)], { notify });
        await journal.record([{ ...activation(machine, 'old', T0), replayed: true }], { notify });
        for (const destination of notify) {
          const messages = await journal.pendingMessages({ destination, nowMs: 1e15, limit: 10 });
          assert.deepEqual(
            messages.map(({ notice }) => notice.change),
            ['raised'],
          );
        }
      },
    },
    {
      name: 'tells those who want it of each change, once each, and none of a replay',
      async run({ journal, tenants: [tenant] }) {
        const machine = machineOf(tenant);
        const options = { notify: ['webhook'], notifyOfChanges: ['webhook'] };
        const [raised] = await journal.record([activation(machine, 'r60', T0)], options);
        await journal.record([acknowledgement(alarmOf(raised).id, 'a'), returning(machine, 'r60', T0 + 1)], options);
        await journal.record([{ ...activation(machine, 'old', T0), replayed: true }], options);
        const messages = await journal.pendingMessages({ destination: 'webhook', nowMs: 1e15, limit: 10 });
        assert.deepEqual(
          messages.map(({ notice }) => notice.change),
          ['raised', 'acknowledged', 'cleared'],
        );
      },
    },
    {
      name: 'keeps a failed message until it is due, and a dead one until somebody retries it',
      async run({ journal, tenants: [tenant] }) {
        await journal.record([activation(machineOf(tenant), 'r60', T0)], { notify: ['mail'] });
        const pending = (nowMs: number) => journal.pendingMessages({ destination: 'mail', nowMs, limit: 10 });
        const soonMs = Date.now() + MINUTE;
        const [message] = await pending(soonMs);
        assert.ok(message);
        await journal.markFailed(message.id, { code: 'unavailable', detail: 'refused', dueAtMs: soonMs + MINUTE });
        assert.deepEqual(await pending(soonMs), []);
        const [retried] = await pending(soonMs + MINUTE);
        assert.deepEqual([retried?.id, retried?.attempts], [message.id, 1]);
        await journal.markFailed(message.id, { code: 'permission_denied', detail: 'no such user' });
        assert.deepEqual(await pending(1e15), []);
        assert.equal((await journal.outboxCounts()).get('mail')?.dead, 1);
        const dead = (await journal.deadMessages({ tenant, limit: 1000 })).find(({ id }) => id === message.id);
        assert.equal(dead?.lastError?.code, 'permission_denied');
        await journal.retryDead(message.id);
        assert.deepEqual((await pending(1e15))[0]?.attempts, 0);
        assert.equal((await journal.outboxCounts()).get('mail')?.dead, 0);
        await assert.rejects(journal.retryDead(message.id), failsWith('not_found'));
      },
    },
    {
      name: 'lists the dead messages of a tenant page by page',
      async run({ journal, tenants: [tenant, other] }) {
        const ids: string[] = [];
        for (const i of [0, 1, 2]) {
          const apart = { notify: ['mail'], correlationWindowMs: 0 };
          await journal.record([activation(machineOf(tenant), `r-${i}`, T0 + i)], apart);
        }
        for (const { id } of await journal.pendingMessages({ destination: 'mail', nowMs: 1e15, limit: 10 })) {
          await journal.markFailed(id, { code: 'permission_denied', detail: 'no such user' });
          ids.push(id);
        }
        const first = await journal.deadMessages({ tenant, limit: 2 });
        const rest = await journal.deadMessages({ tenant, limit: 2, after: first[1]! });
        assert.deepEqual([...first, ...rest].map(({ id }) => id).sort(), ids.sort());
        assert.deepEqual(await journal.deadMessages({ tenant: other, limit: 10 }), []);
        const almost = tenant.slice(0, -1) as typeof tenant;
        assert.deepEqual(await journal.deadMessages({ tenant: almost, limit: 10 }), []);
      },
    },
    {
      name: 'gives out a message that was noted before the clock was set back',
      async run({ journal, tenants: [tenant] }) {
        await journal.record([activation(machineOf(tenant), 'r60', T0)], { notify: ['mail'] });
        const pending = (nowMs: number) =>
          journal.pendingMessages({ destination: 'mail', nowMs, longestDelayMs: MINUTE, limit: 10 });
        const [message] = await pending(Date.now() + MINUTE);
        assert.ok(message);
        const dueAtMs = Date.now();
        await journal.markFailed(message.id, { code: 'unavailable', detail: 'refused', dueAtMs });
        assert.deepEqual(await pending(dueAtMs - MINUTE), []);
        assert.deepEqual(
          (await pending(dueAtMs - 120 * MINUTE)).map(({ id }) => id),
          [message.id],
        );
      },
    },
    {
      name: 'refuses calls after closing',
      async run({ journal, tenants: [tenant] }) {
        await journal.close();
        await journal.close();
        await assert.rejects(
          journal.record([activation(machineOf(tenant), 'r60', T0)]),
          failsWith('failed_precondition'),
        );
      },
    },
    {
      name: 'rejects a call whose caller has stopped waiting',
      async run({ journal, tenants: [tenant] }) {
        const signal = AbortSignal.abort();
        const call = journal.record([activation(machineOf(tenant), 'r60', T0)], { signal });
        await assert.rejects(call, failsWith('cancelled'));
        assert.deepEqual(await journal.list({ tenant, limit: 1 }), []);
      },
    },
    {
      name: 'announces to each notifier that is named, once for each id, and knows after a reopen what was announced last',
      async run({ journal, tenants: [tenant], ...harness }) {
        const online = deviceAnnouncement(tenant, 'online', T0);
        const offline = deviceAnnouncement(tenant, 'offline', T0 + 1);
        await journal.announce([online], { notify: ['a', 'b'] });
        await journal.announce([online], { notify: ['a', 'b'] });
        await journal.announce([offline], { notify: ['a'] });
        const pending = (destination: string) => journal.pendingMessages({ destination, nowMs: 1e15, limit: 10 });
        const told = await pending('a');
        assert.deepEqual(
          told.map(({ notice, machine }) => [notice, machine]),
          [online, offline].map(({ notice, machine }) => [notice, machine]),
        );
        assert.equal(new Set(told.map(({ id }) => id)).size, 2);
        assert.equal((await pending('b')).length, 1);
        const again = await harness.reopen();
        assert.deepEqual(await again.announced(offline.subject), offline);
        assert.deepEqual(await again.listAnnounced({ kind: 'device', limit: 10 }), [offline]);
        assert.deepEqual(await again.listAnnounced({ kind: 'device', after: offline.subject, limit: 10 }), []);
        assert.deepEqual(await again.listAnnounced({ kind: 'prediction', limit: 10 }), []);
      },
    },
    {
      name: 'keeps nothing of an announcement where the others of the call cannot be kept',
      async run({ journal, tenants: [tenant] }) {
        const online = deviceAnnouncement(tenant, 'online', T0);
        const unkept = { ...online, subject: 'other', machine: undefined as never };
        await assert.rejects(journal.announce([online, unkept], { notify: ['a'] }));
        assert.equal(await journal.announced(online.subject), undefined);
        assert.deepEqual(await journal.pendingMessages({ destination: 'a', nowMs: 1e15, limit: 10 }), []);
      },
    },
    {
      name: 'announces anew what was forgotten',
      async run({ journal, tenants: [tenant] }) {
        const online = deviceAnnouncement(tenant, 'online', T0);
        await journal.announce([online]);
        await journal.forgetAnnounced([online.subject, 'unknown']);
        assert.equal(await journal.announced(online.subject), undefined);
        await journal.announce([online], { notify: ['a'] });
        assert.equal((await journal.pendingMessages({ destination: 'a', nowMs: 1e15, limit: 10 })).length, 1);
      },
    },
    {
      name: 'wakes who listens, in other clients too, when something was announced',
      async run({ journal, tenants: [tenant], ...harness }) {
        const other = await harness.reopen();
        const told = new Promise<void>((resolve) => journal.onChange(resolve));
        await other.announce([deviceAnnouncement(tenant, 'online', T0)], { notify: ['a'] });
        await told;
      },
    },
  ],
};
