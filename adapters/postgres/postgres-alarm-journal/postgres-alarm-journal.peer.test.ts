import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { z } from 'zod';
import { systemClock } from '#core/clock.ts';
import { alarmJournalContract } from '#core/contracts/alarm-journal.contract.ts';
import { movableAlarmJournalContract } from '#core/contracts/movable.contract.ts';
import { sampleActivation } from '#core/contracts/sample-alarm.ts';
import { until } from '#core/contracts/until.ts';
import { ALARM_STATES, foldJournal, partKey, type AlarmTransition } from '#core/domain/alarm.ts';
import type { MachineKey, TenantId } from '#core/domain/ids.ts';
import { isPortError } from '#core/errors.ts';
import { isAlarmNotice, STREAM_DESTINATION } from '#core/ports/alarm-journal.ts';
import { Postgres } from '#test/peers/postgres.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import { twoSites } from '#test/support/two-sites.ts';
import { alarmJournalHarness } from '../contract-harnesses.ts';
import { postgresAlarmJournalConfigSchema } from './config.ts';
import { PostgresAlarmJournal } from './postgres-alarm-journal.ts';

let postgres: Postgres;
beforeAll(async () => {
  // The disk is waited for: one test kills the server.
  postgres = await Postgres.start({ settings: ['fsync=on'] });
}, 300_000);
afterAll(() => postgres[Symbol.asyncDispose]());

const tenant = 'north' as TenantId;
const T0 = Date.UTC(2026, 10, 21, 1);

const open = (connection: z.input<typeof postgresAlarmJournalConfigSchema>) =>
  PostgresAlarmJournal.open(postgresAlarmJournalConfigSchema.parse(connection), systemClock);

describeContract(movableAlarmJournalContract, 'PostgreSQL', () => {
  const openOne = () => postgres.openInSchema(open);
  return twoSites(openOne, openOne);
});

describeContract(alarmJournalContract, 'PostgreSQL', () =>
  alarmJournalHarness(postgresAlarmJournalConfigSchema.parse(postgres.freshConnection())),
);

/** A condition that comes and goes: each is an entry. */
function alternating(machine: MachineKey, at: number): AlarmTransition {
  const atMs = T0 + at;
  if (at % 2 === 0) return sampleActivation({ rule: 'hot', machine, atMs, id: `${machine} ${at}` });
  const returned = { type: 'return', cause: 'condition', replayed: false, partKey: partKey('hot') } as const;
  return { ...returned, id: `${machine} ${at}`, machine, atMs };
}

/** Three clients of one journal. With settings of their own they share no connections: as processes do. */
async function openThree(further: { readonly connectTimeoutMs?: number } = {}) {
  let opened = 0;
  const first = await postgres.openInSchema((connection) =>
    open({ ...connection, ...further, maxConnections: 2 + opened++ }),
  );
  return { ...first, journals: [first.store, await first.reopen(), await first.reopen()] as const };
}

describe('alarm journal of several processes', () => {
  it('has the entries of one alarm in one order, and tells them in it, whichever process recorded them', async () => {
    await using opened = await openThree();
    const { journals, store } = opened;
    const machine = 'north/akron/press-7' as MachineKey;
    const [raised] = await store.record([alternating(machine, 0)]);
    if (raised?.outcome !== 'recorded') throw new Error('nothing was raised');
    const { id: alarmId } = raised.alarm;
    const acknowledge = (at: number): AlarmTransition => ({
      ...{ type: 'acknowledge', alarmId, by: 'asha', comment: 'seen', id: `a${at}`, atMs: T0 + at },
    });
    const results = await Promise.all(
      Array.from({ length: 60 }, (_, at) =>
        journals[at % 3]!.record([at % 3 === 0 ? acknowledge(at) : alternating(machine, at + 1)]),
      ),
    );
    const recorded = 1 + results.flat().filter(({ outcome }) => outcome === 'recorded').length;
    const alarms = await store.list({ tenant, states: ALARM_STATES, limit: 100 });
    const entries = await store.entries({ tenant, fromMs: 0, toMs: 1e15, limit: 100 });
    expect(entries.entries).toHaveLength(recorded);
    for (const alarm of alarms) {
      const own = await store.journal(alarm.id, { afterSequence: 0, limit: 100 });
      expect(own.map(({ sequence }) => sequence)).toEqual(own.map((_, at) => at + 1));
      expect(foldJournal(own)).toEqual(alarm);
    }
    const told = await store.pendingMessages({ destination: STREAM_DESTINATION, nowMs: 1e15, limit: 100 });
    expect(told.map(({ notice }) => isAlarmNotice(notice) && notice.entry.transition.id)).toEqual(
      entries.entries.map(({ transition }) => transition.id),
    );
  });

  it('keeps each entry once, and its message, when the server dies while they record and tell', async () => {
    await using opened = await openThree({ connectTimeoutMs: 1_000 });
    const { journals, store } = opened;
    const machines = Array.from({ length: 3 }, (_, at) => `north/akron/press-${at}` as MachineKey);
    const perMachine = 40;
    let done = 0;
    const told = new Set<string>();
    const work = journals.map(async (journal, of) => {
      for (let at = 0; at < perMachine; at++) {
        await untilDone(() => journal.record([alternating(machines[of]!, at)]));
        done++;
      }
    });
    const tell = untilDone(async () => {
      while (told.size < machines.length * perMachine) {
        const pending = await store.pendingMessages({ destination: STREAM_DESTINATION, nowMs: 1e15, limit: 7 });
        for (const { id } of pending) told.add(id);
        await journals[1].markDelivered(pending.map(({ id }) => id));
      }
    });
    await until(() => done > 20, 'some recorded');
    await postgres.restart();
    await Promise.all([...work, tell]);
    const { entries } = await store.entries({ tenant, fromMs: 0, toMs: 1e15, limit: 1_000 });
    const ids = machines.flatMap((machine) => Array.from({ length: perMachine }, (_, at) => `${machine} ${at}`));
    expect(entries.map(({ transition }) => transition.id).sort()).toEqual([...ids].sort());
    expect([...told].sort()).toEqual([...ids].sort());
  });
});

/** As callers do: what failed for now is tried again. */
async function untilDone(attempt: () => Promise<unknown>): Promise<void> {
  await until(async () => {
    try {
      await attempt();
      return true;
    } catch (error) {
      if (isPortError(error) && error.code === 'unavailable') return false;
      throw error;
    }
  }, 'recorded');
}
