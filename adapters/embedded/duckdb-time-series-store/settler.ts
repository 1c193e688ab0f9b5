import { BIGINT, DOUBLE, INTEGER, UTINYINT, VARCHAR, type DuckDBConnection } from '@duckdb/node-api';
import type { Clock } from '#core/clock.ts';
import type { SettledItems } from '#core/domain/ledger.ts';
import { PortError } from '#core/errors.ts';
import { missingBefore } from '#core/settlement/missing-events.ts';
import type { DeadLetter, EventOutcome, SettleBatch, SettleResult } from '#core/ports/time-series-store.ts';
import { BatchWriter, type EventColumns, type ReadingColumns } from './batch-writer.ts';
import type { Database } from './database.ts';
import { findDuplicates } from './duplicates.ts';
import { createPart, DAY_MS, eventsTable, newPart, readingsTable, type Part } from './parts.ts';
import { StateChange } from './settlement-state.ts';
import type { StoreMemory } from './store-memory.ts';
import { insertRows, TableAppender } from './table-appender.ts';
import { runInTransaction } from './transaction.ts';
import { WrittenReadings } from './written-readings.ts';

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

    const duplicates = await findDuplicates(this.#connection, this.#memory, fresh);
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
    const writer = new BatchWriter(this.#memory, appenders, this.#written, lastOrd, this.#clock.nowMs());
    try {
      await connection.run('BEGIN');
      if (alsoRun !== undefined) await connection.run(alsoRun);
      fill(writer);
      appenders.readings.flush();
      appenders.events.flush();
      const added = writer.sumUp(change);
      for (const [table, rows] of writer.rows) await insertRows(connection, table, rows);
      const dictionary = await this.#memory.dictionary.writeUnsaved(connection);
      await change.write(connection);
      this.#beforeCommit();
      await connection.run('COMMIT');
      dictionary.saved();
      this.#memory.state.apply(change);
      this.#memory.rowsToRollUp += writer.committed(appenders.part);
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

function checkFence(batch: SettleBatch, change: StateChange): void {
  const key = ['fence', batch.stream, batch.group] as const;
  const seen = change.get(key) ?? 0;
  if (batch.fence < seen) {
    throw new PortError(
      'failed_precondition',
      `fence ${batch.fence} of group ${batch.group} on ${batch.stream} is older than ${seen}: another holder has the lease`,
    );
  }
  if (batch.fence > seen) change.set(key, batch.fence);
}

/** The outcomes above the settled progress of their publisher, to the highest of which that moves up, and how many events are missing between. */
function dropSettled(
  { stream, group, outcomes, sparse }: SettleBatch,
  change: StateChange,
): { readonly fresh: readonly EventOutcome[]; readonly lost: number } {
  const fresh: EventOutcome[] = [];
  let lost = 0;
  const keyOf = (source: string, epoch: number) => ['progress', stream, group, source, epoch] as const;
  let run: { source: string; epoch: number; settled: number | undefined } | undefined;
  const endRun = () => {
    if (run?.settled !== undefined) change.raise(keyOf(run.source, run.epoch), run.settled);
  };
  for (const outcome of outcomes) {
    const { source, epoch, seq } = outcome.event;
    if (run?.source !== source || run.epoch !== epoch) {
      endRun();
      run = { source, epoch, settled: change.get(keyOf(source, epoch)) };
    }
    if (run.settled !== undefined && seq <= run.settled) continue;
    if (!sparse) {
      const earlierEpoch = () => change.hasEarlierEpoch(stream, group, source, epoch);
      lost += missingBefore(seq, { seq: run.settled, earlierEpoch });
    }
    run.settled = seq;
    fresh.push(outcome);
  }
  endRun();
  change.add(['lost', stream, group], lost);
  return { fresh, lost };
}
