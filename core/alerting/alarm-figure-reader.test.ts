import { describe, expect, it } from '@jest/globals';
import { HeldClock } from '#test/support/held-clock.ts';
import { sampleActivation } from '../contracts/sample-alarm.ts';
import { applyTransition, type Alarm, type JournalEntry } from '../domain/alarm.ts';
import type { AlarmId, MachineKey, TenantId } from '../domain/ids.ts';
import type { AlarmQuery, EntryQuery } from '../ports/alarm-journal.ts';
import { AlarmFigureReader, FIGURES_KEPT_MS } from './alarm-figure-reader.ts';

const NORTH = 'north' as TenantId;
const MINUTE = 60_000;
const DAY = 86_400_000;
const NOW = 100 * DAY;
const AKRON = 'north/akron/press-7' as MachineKey;
const BRNO = 'north/brno/press-7' as MachineKey;

const activation = (atMs: number, machine: MachineKey) => sampleActivation({ machine, atMs });

/** A journal in memory that counts what is read of it. */
class CountedJournal {
  readonly recorded: (JournalEntry & { readonly machine: MachineKey })[] = [];
  readonly open: Alarm[] = [];
  entriesRead = 0;
  isAway = false;

  record(atMs: number, machine = AKRON): void {
    const transition = activation(atMs, machine);
    const alarmId = `a${this.recorded.length}` as AlarmId;
    const states = { stateBefore: 'normal', stateAfter: 'unacknowledged' } as const;
    this.recorded.push({ alarmId, sequence: 1, transition, ...states, recordedAtMs: atMs, machine });
  }

  async entries({ fromMs, toMs, after, limit }: EntryQuery) {
    if (this.isAway) throw new Error('away');
    const found = this.recorded
      .map((entry, position) => ({ entry, position }))
      .filter(({ entry: { recordedAtMs }, position }) => {
        return position > Number(after ?? -1) && recordedAtMs >= fromMs && recordedAtMs < toMs;
      })
      .slice(0, limit);
    this.entriesRead += found.length;
    const last = found.at(-1);
    return {
      entries: found.map(({ entry }) => entry),
      ...(last && { last: String(last.position) }),
      ...(last && found.length === limit && { next: String(last.position) }),
    };
  }

  async list({ toMs = Infinity }: AlarmQuery) {
    return this.open.filter(({ raisedAtMs }) => raisedAtMs < toMs);
  }
}

function started(limits?: { maxFacts: number; maxTenants: number }) {
  const journal = new CountedJournal();
  return { journal, reader: new AlarmFigureReader(journal, new HeldClock(NOW), limits) };
}

const lastDay = { tenant: NORTH, fromMs: NOW - DAY, toMs: NOW + 1 };

describe('alarm figures of a period', () => {
  it('count what was recorded in it, of the site asked for', async () => {
    const { journal, reader } = started();
    for (const atMs of [NOW - 2 * DAY, NOW - DAY, NOW - MINUTE]) journal.record(atMs);
    journal.record(NOW, BRNO);
    expect(await reader.figures(lastDay)).toMatchObject({ calls: 3, fromMs: NOW - DAY, shares: { high: 1 } });
    expect((await reader.figures({ ...lastDay, site: 'brno' as never })).calls).toBe(1);
    expect((await reader.figures({ ...lastDay, fromMs: NOW - 3 * DAY })).calls).toBe(4);
  });

  it('read an entry once, however often they are asked for, also at the same time', async () => {
    const { journal, reader } = started();
    for (let i = 0; i < 2500; i++) journal.record(NOW - 2500 + i);
    await Promise.all([reader.figures(lastDay), reader.figures(lastDay)]);
    expect(journal.entriesRead).toBe(2500);
    journal.record(NOW);
    expect((await reader.figures(lastDay)).calls).toBe(2501);
    expect(journal.entriesRead).toBe(2501);
  });

  it('go on after a journal that could not be read once', async () => {
    const { journal, reader } = started();
    journal.record(NOW);
    journal.isAway = true;
    await expect(reader.figures(lastDay)).rejects.toThrow('away');
    journal.isAway = false;
    expect((await reader.figures(lastDay)).calls).toBe(1);
  });

  it('are of a shorter period, which they name, where more was recorded than is kept in mind', async () => {
    const { journal, reader } = started({ maxFacts: 100, maxTenants: 1 });
    for (let i = 0; i < 400; i++) journal.record(NOW - 400 + i);
    expect(await reader.figures(lastDay)).toMatchObject({ calls: 100, fromMs: NOW - 100 });
  });

  it('never reach back further than a month', async () => {
    const { journal, reader } = started();
    journal.record(NOW - FIGURES_KEPT_MS - 1);
    journal.record(NOW - FIGURES_KEPT_MS);
    const figures = await reader.figures({ ...lastDay, fromMs: 0 });
    expect(figures).toMatchObject({ calls: 1, fromMs: NOW - FIGURES_KEPT_MS });
  });

  it('count alarms that are still active after a day', async () => {
    const { journal, reader } = started();
    for (const atMs of [NOW - 2 * DAY, NOW - MINUTE]) {
      const outcome = applyTransition(undefined, activation(atMs, AKRON));
      if (outcome.ok) journal.open.push(outcome.alarm);
    }
    expect((await reader.figures(lastDay)).stale).toBe(1);
  });
});
