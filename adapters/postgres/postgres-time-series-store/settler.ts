import type { ClientBase } from 'pg';
import type { Clock } from '#core/clock.ts';
import type { SettledItems } from '#core/domain/ledger.ts';
import type { DeadLetter, EventOutcome, SettleBatch, SettleResult } from '#core/ports/time-series-store.ts';
import { BatchWriter } from '#core/settlement/batch-writer.ts';
import type { Dictionary } from '#core/settlement/dictionary.ts';
import { findDuplicates, type AskedEvent } from '#core/settlement/duplicates.ts';
import { checkFence, dropSettled } from '#core/settlement/fresh-outcomes.ts';
import { StateChange } from '#core/settlement/settlement-state.ts';
import { WrittenReadings } from '#core/settlement/written-readings.ts';
import { copyEvents, copyReadings, copyRows, storableText } from './copy.ts';
import { ORDS_A_DAY } from '../../history-parts.ts';
import { DAY_MS, dayOfOrd, makeDay } from './partitions.ts';
import { loadMemory, type StoreMemory } from './store-memory.ts';

/** What a transaction did; `follow` has memory follow once it is committed. */
export interface Written<Result> {
  readonly result: Result;
  readonly follow: () => void;
}

/** Writes settlements, each in the transaction that a caller has begun. One call at a time: the store sees to that. */
export class Settler {
  readonly #clock: Clock;
  readonly #beforeCommit: () => void;
  readonly #written = new WrittenReadings();
  #memory: StoreMemory | undefined;

  /** `beforeCommit` may throw: a test's way to fail between rows and commit. */
  constructor(clock: Clock, beforeCommit: () => void) {
    this.#clock = clock;
    this.#beforeCommit = beforeCommit;
  }

  async settle(client: ClientBase, batch: SettleBatch): Promise<Written<SettleResult>> {
    const memory = await this.#lock(client);
    const change = new StateChange(memory.state);
    checkFence(batch, change);
    const { fresh, lost } = dropSettled(batch, change);
    const redelivered = batch.outcomes.length - fresh.length;
    if (change.values.size === 0) {
      return { result: { added: new Map(), redelivered, lost }, follow: () => undefined };
    }
    const duplicates = await findDuplicates(fresh, memory.dictionary, (asked) => this.#findStored(client, asked));
    let unseriedValues = 0;
    const { result: added, follow } = await this.#write(client, memory, change, fresh, (writer) => {
      fresh.forEach((outcome, index) => {
        writer.add(batch.stream, duplicates.has(index) ? { type: 'duplicate', event: outcome.event } : outcome);
      });
      ({ unseriedValues } = writer);
    });
    return { result: { added, redelivered, lost, ...(unseriedValues > 0 && { unseriedValues }) }, follow };
  }

  /** Replaces the dead letter by what its event became; returns what that is. `find` is asked once nobody else settles. */
  async settleDeadLetter(
    client: ClientBase,
    find: () => Promise<DeadLetter>,
    outcome: EventOutcome,
  ): Promise<Written<keyof SettledItems>> {
    const memory = await this.#lock(client);
    const letter = await find();
    const change = new StateChange(memory.state);
    const { tenant } = memory.dictionary.machine(letter.machine);
    change.add(['settled', tenant, 'deadLettered'], -letter.event.items);
    await client.query('DELETE FROM ts_dead_letters WHERE ord = $1', [letter.id]);
    let became: keyof SettledItems = 'deadLettered';
    const { follow } = await this.#write(client, memory, change, [outcome], (writer) => {
      became = writer.add(letter.stream, outcome, 'stays');
    });
    return { result: became, follow };
  }

  /** Nobody else settles until the transaction ends. */
  async #lock(client: ClientBase): Promise<StoreMemory> {
    const found = await client.query(`SELECT version FROM ts_head WHERE name = 'settlement' FOR UPDATE`);
    const [{ version }] = found.rows as [{ version: number }];
    if (this.#memory?.version !== version) this.#memory = await loadMemory(client, version);
    return this.#memory;
  }

  /** The rows that `fill` adds, the change of state, and what is new in the dictionary. */
  async #write(
    client: ClientBase,
    memory: StoreMemory,
    change: StateChange,
    outcomes: readonly EventOutcome[],
    fill: (writer: BatchWriter) => void,
  ): Promise<Written<SettleResult['added']>> {
    const lastOrd = this.#lastOrd(memory, outcomes);
    const writer = new BatchWriter(memory, this.#written, lastOrd, this.#clock.nowMs());
    fill(writer);
    const added = writer.sumUp(change);
    const day = dayOfOrd(lastOrd);
    const isNewDay = outcomes.length > 0 && !memory.days.has(day);
    if (isNewDay) await makeDay(client, day);
    await copyReadings(client, this.#written);
    await copyEvents(client, writer.events);
    for (const [table, rows] of writer.rows) await copyRows(client, `ts_${table}`, rows);
    const dictionary = await writeUnsaved(client, memory.dictionary);
    await client.query(CHANGE_STATE, [[...change.values.keys()], [...change.values.values()]]);
    const { count, minTs, maxTs } = this.#written;
    if (isNewDay || Number.isFinite(minTs))
      await widenDay(client, { day, rows: count, lastOrd: writer.ord, minTs, maxTs });
    await raiseVersion(client);
    this.#beforeCommit();
    const follow = () => {
      dictionary.saved();
      memory.state.apply(change);
      this.#written.applyTo(memory.latest);
      if (isNewDay) memory.days.add(day);
      memory.version += 1;
    };
    return { result: added, follow };
  }

  /** What was accepted after midnight begins a new day; a clock that is ahead by more than a day does not drag it along. */
  #lastOrd(memory: StoreMemory, outcomes: readonly EventOutcome[]): number {
    const newestMs = outcomes.reduce((newest, { event }) => Math.max(newest, event.acceptedAtMs), 0);
    const day = Math.floor(Math.min(newestMs, this.#clock.nowMs() + DAY_MS) / DAY_MS);
    return Math.max(memory.state.get(['accepted-order']) ?? 0, day * ORDS_A_DAY);
  }

  /** The places of those that were settled before. None was accepted a day before its own time: that was refused as being of the future. */
  async #findStored(client: ClientBase, asked: readonly AskedEvent[]): Promise<number[]> {
    const firstMs = Math.min(this.#clock.nowMs(), ...asked.map(({ ts }) => ts));
    const { rows } = await client.query(FIND_STORED, [
      asked.map(({ place }) => place),
      asked.map(({ machineId }) => machineId),
      asked.map(({ kind }) => kind),
      asked.map(({ ts }) => ts),
      asked.map(({ eventId }) => storableText(eventId)),
      Math.max(0, Math.floor(firstMs / DAY_MS) - 1) * ORDS_A_DAY,
    ]);
    return (rows as { place: number }[]).map(({ place }) => place);
  }
}

/** Notes what was written into the day's partitions; the span of nothing is Infinity to -Infinity. */
export async function widenDay(
  client: ClientBase,
  { day, rows, lastOrd, minTs, maxTs }: Record<'day' | 'rows' | 'lastOrd' | 'minTs' | 'maxTs', number>,
): Promise<void> {
  const [from, to] = Number.isFinite(minTs) ? [minTs, maxTs] : [Number.MAX_SAFE_INTEGER, -1];
  await client.query(
    `INSERT INTO ts_days VALUES ($1, $2, $3, $4, $5) ON CONFLICT (day) DO UPDATE
     SET row_count = ts_days.row_count + excluded.row_count, last_ord = greatest(ts_days.last_ord, excluded.last_ord),
       min_ts = least(ts_days.min_ts, excluded.min_ts), max_ts = greatest(ts_days.max_ts, excluded.max_ts)`,
    [day, rows, lastOrd, from, to],
  );
}

/** Says that what other processes remember no longer holds. */
export async function raiseVersion(client: ClientBase): Promise<void> {
  await client.query(`UPDATE ts_head SET version = version + 1 WHERE name = 'settlement'`);
}

const CHANGE_STATE = `
  INSERT INTO ts_ledger_state SELECT * FROM unnest($1::text[], $2::bigint[])
  ON CONFLICT (key) DO UPDATE SET value = excluded.value`;

const FIND_STORED = `
  WITH asked AS MATERIALIZED (
    SELECT * FROM unnest($1::int[], $2::int[], $3::smallint[], $4::bigint[], $5::text[]) AS a (place, machine_id, kind, ts, event_id)
  )
  SELECT place FROM asked JOIN ts_events e USING (machine_id, ts, kind, event_id) WHERE e.ord >= $6
  UNION SELECT place FROM asked JOIN ts_rejections USING (machine_id, event_id)
  UNION SELECT place FROM asked JOIN ts_dead_letters USING (machine_id, event_id)`;

async function writeUnsaved(client: ClientBase, dictionary: Dictionary): Promise<{ saved(): void }> {
  const unsaved = dictionary.unsaved();
  const machines = unsaved.machines.map(({ id, key }) => [id, key]);
  const series = unsaved.series.map(({ id, machine, metric, unit }) => [id, machine.id, metric, unit ?? null]);
  await copyRows(client, 'ts_machines', machines);
  await copyRows(client, 'ts_series', series);
  return unsaved;
}
