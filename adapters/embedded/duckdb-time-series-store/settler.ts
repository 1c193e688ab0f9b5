import {
  BIGINT,
  DOUBLE,
  INTEGER,
  UTINYINT,
  VARCHAR,
  type DuckDBBigIntVector,
  type DuckDBConnection,
  type DuckDBDoubleVector,
  type DuckDBIntegerVector,
  type DuckDBUTinyIntVector,
  type DuckDBVarCharVector,
} from '@duckdb/node-api';
import type { Clock } from '#core/clock.ts';
import type { SettledItems } from '#core/domain/ledger.ts';
import type { DeadLetter, EventOutcome, SettleBatch, SettleResult } from '#core/ports/time-series-store.ts';
import { BatchWriter, type WrittenEvent } from '#core/settlement/batch-writer.ts';
import { checkFence, dropSettled } from '#core/settlement/fresh-outcomes.ts';
import { StateChange } from '#core/settlement/settlement-state.ts';
import { WrittenReadings } from '#core/settlement/written-readings.ts';
import type { Database } from './database.ts';
import type { Dictionary } from '#core/settlement/dictionary.ts';
import { findDuplicates } from '#core/settlement/duplicates.ts';
import { findStored } from './duplicates.ts';
import { createPart, DAY_MS, eventsTable, newPart, readingsTable, type Part } from './parts.ts';
import type { StoreMemory } from './store-memory.ts';
import { insertRows, TableAppender } from './table-appender.ts';
import { runInTransaction } from './transaction.ts';

/** Writes settlements through one connection. One call at a time: the store sees to that. */
export class Settler {
  readonly #database: Database;
  readonly #connection: DuckDBConnection;
  readonly #memory: StoreMemory;
  readonly #clock: Clock;
  readonly #beforeCommit: () => void;
  readonly #written = new WrittenReadings();
  #appenders: OpenAppenders | undefined;

  /** `beforeCommit` may throw: a test's way to fail between rows and commit. */
  constructor(database: Database, memory: StoreMemory, clock: Clock, beforeCommit: () => void) {
    this.#database = database;
    this.#connection = database.writer;
    this.#memory = memory;
    this.#clock = clock;
    this.#beforeCommit = beforeCommit;
  }

  async settle(batch: SettleBatch): Promise<SettleResult> {
    const change = new StateChange(this.#memory.state);
    checkFence(batch, change);
    const { fresh, lost } = dropSettled(batch, change);
    const redelivered = batch.outcomes.length - fresh.length;
    if (change.values.size === 0) return { added: new Map(), redelivered, lost };

    const duplicates = await findDuplicates(fresh, this.#memory.dictionary, (asked) =>
      findStored(this.#connection, this.#memory.parts, asked),
    );
    let unseriedValues = 0;
    const added = await this.#write(change, fresh, (writer) => {
      fresh.forEach((outcome, index) => {
        writer.add(batch.stream, duplicates.has(index) ? { type: 'duplicate', event: outcome.event } : outcome);
      });
      ({ unseriedValues } = writer);
    });
    return { added, redelivered, lost, ...(unseriedValues > 0 && { unseriedValues }) };
  }

  /** Replaces the dead letter by what its event became; returns what that is. */
  async settleDeadLetter(letter: DeadLetter, outcome: EventOutcome): Promise<keyof SettledItems> {
    const change = new StateChange(this.#memory.state);
    const tenant = this.#memory.dictionary.machine(letter.machine).tenant;
    change.add(['settled', tenant, 'deadLettered'], -letter.event.items);
    let became: keyof SettledItems = 'deadLettered';
    await this.#write(
      change,
      [outcome],
      (writer) => {
        became = writer.add(letter.stream, outcome, 'stays');
      },
      `DELETE FROM dead_letters WHERE ord = ${BigInt(letter.id)}`,
    );
    return became;
  }

  /** One transaction: the rows that `fill` adds, the change of state, and what is new in the dictionary. Memory follows the commit. */
  async #write(
    change: StateChange,
    outcomes: readonly EventOutcome[],
    fill: (writer: BatchWriter) => void,
    alsoRun?: string,
  ) {
    const connection = this.#connection;
    const appenders = await this.#openAppenders(outcomes);
    const lastOrd = this.#memory.state.get(['accepted-order']) ?? 0;
    const writer = new BatchWriter(this.#memory, this.#written, lastOrd, this.#clock.nowMs());
    try {
      await connection.run('BEGIN');
      if (alsoRun !== undefined) await connection.run(alsoRun);
      fill(writer);
      appendReadings(appenders.readings, this.#written);
      appendEvents(appenders.events, writer.events);
      const added = writer.sumUp(change);
      for (const [table, rows] of writer.rows) await insertRows(connection, table, rows);
      const dictionary = await writeUnsaved(connection, this.#memory.dictionary);
      await this.#memory.ledger.write(connection, change);
      this.#beforeCommit();
      await connection.run('COMMIT');
      dictionary.saved();
      this.#memory.state.apply(change);
      for (const series of writer.revisitedSeries) this.#memory.revisited.add(series);
      this.#committed(appenders.part);
      return added;
    } catch (error) {
      await this.#rollBack();
      throw error;
    }
  }

  /** From now on settlements write to a new open part. */
  async beginPart(day: number): Promise<Part> {
    const part = newPart('raw', this.#memory.parts.nextOpenName('raw'), day);
    await this.#database.changeLayout(async () => {
      await runInTransaction(this.#connection, createPart(part));
      this.#memory.parts = this.#memory.parts.with(part);
    });
    return part;
  }

  /** Lets go of the part, because it will be dropped. */
  releasePart(part: Part): void {
    if (this.#appenders?.part === part) this.#discardAppenders();
  }

  /** Newest values and the part's figures follow. */
  #committed(part: Part): void {
    const written = this.#written;
    written.applyTo(this.#memory.latest);
    part.rows += written.count;
    part.minTs = Math.min(part.minTs, written.minTs);
    part.maxTs = Math.max(part.maxTs, written.maxTs);
    this.#memory.rowsToRollUp += written.count;
  }

  async #rollBack(): Promise<void> {
    this.#discardAppenders();
    try {
      await this.#connection.run('ROLLBACK');
    } catch {
      // Nothing to roll back: the failure has ended the transaction, or the database.
    }
  }

  async #openAppenders(outcomes: readonly EventOutcome[]): Promise<OpenAppenders> {
    const day = outcomes.reduce((newest, { event }) => Math.max(newest, Math.floor(event.acceptedAtMs / DAY_MS)), 0);
    const active = this.#memory.parts.open('raw').at(-1);
    const part = active && belongsTo(active, day) ? active : await this.beginPart(day);
    if (this.#appenders?.part === part) return this.#appenders;
    this.#discardAppenders();
    this.#appenders = {
      part,
      readings: await TableAppender.open<ReadingColumns>(this.#connection, readingsTable(part), READING_TYPES),
      events: await TableAppender.open<EventColumns>(this.#connection, eventsTable(part), EVENT_TYPES),
    };
    return this.#appenders;
  }

  #discardAppenders(): void {
    this.#appenders?.readings.discard();
    this.#appenders?.events.discard();
    this.#appenders = undefined;
  }
}

export type ReadingColumns = readonly [
  series: DuckDBIntegerVector,
  ts: DuckDBBigIntVector,
  value: DuckDBDoubleVector,
  quality: DuckDBUTinyIntVector,
  ord: DuckDBBigIntVector,
];
type EventColumns = readonly [
  machine: DuckDBIntegerVector,
  ts: DuckDBBigIntVector,
  kind: DuckDBUTinyIntVector,
  items: DuckDBIntegerVector,
  eventId: DuckDBVarCharVector,
  ord: DuckDBBigIntVector,
];

interface OpenAppenders {
  readonly part: Part;
  readonly readings: TableAppender<ReadingColumns>;
  readonly events: TableAppender<EventColumns>;
}

const READING_TYPES = [INTEGER, BIGINT, DOUBLE, UTINYINT, BIGINT];
const EVENT_TYPES = [INTEGER, BIGINT, UTINYINT, INTEGER, VARCHAR, BIGINT];

/** A part keeps to its day, so that retention can drop it whole; publishers whose clocks differ around midnight may share one. */
function belongsTo(part: Part, day: number): boolean {
  return day === part.day || day === part.day - 1;
}

function appendReadings(table: TableAppender<ReadingColumns>, written: WrittenReadings): void {
  const { columns } = table;
  let [ts, ord, time, place] = [NaN, NaN, 0n, 0n];
  for (let i = 0; i < written.count; i++) {
    // The readings of a message share both; a BigInt each would be half of the work.
    if (written.ts[i] !== ts) time = BigInt((ts = written.ts[i]!));
    if (written.ord[i] !== ord) place = BigInt((ord = written.ord[i]!));
    const { row } = table;
    columns[0].setItem(row, written.series[i]!);
    columns[1].setItem(row, time);
    columns[2].setItem(row, written.value[i]!);
    columns[3].setItem(row, written.quality[i]!);
    columns[4].setItem(row, place);
    table.endRow();
  }
  table.flush();
}

function appendEvents(table: TableAppender<EventColumns>, events: readonly WrittenEvent[]): void {
  const { columns } = table;
  for (const { machineId, ts, kind, items, eventId, ord } of events) {
    const { row } = table;
    columns[0].setItem(row, machineId);
    columns[1].setItem(row, BigInt(ts));
    columns[2].setItem(row, kind);
    columns[3].setItem(row, items);
    columns[4].setItem(row, eventId);
    columns[5].setItem(row, BigInt(ord));
    table.endRow();
  }
  table.flush();
}

async function writeUnsaved(connection: DuckDBConnection, dictionary: Dictionary): Promise<{ saved(): void }> {
  const unsaved = dictionary.unsaved();
  const machines = unsaved.machines.map(({ id, key }) => [id, key]);
  const series = unsaved.series.map(({ id, machine, metric, unit }) => [id, machine.id, metric, unit ?? null]);
  await insertRows(connection, 'machines', machines);
  await insertRows(connection, 'series', series);
  return unsaved;
}
