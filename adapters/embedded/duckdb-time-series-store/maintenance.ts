import type { DuckDBConnection } from '@duckdb/node-api';
import type { TenantId } from '#core/domain/ids.ts';
import { throwIfAborted } from '#core/errors.ts';
import type { RetentionPolicy } from '#core/ports/time-series-store.ts';
import type { Database } from './database.ts';
import { isCheckpointHeldUp } from './errors.ts';
import { newestRows } from './latest-values.ts';
import {
  createPart,
  DAY_MS,
  dropPart,
  eventsTable,
  newPart,
  readingsTable,
  recordPart,
  rollupsTable,
  widened,
  type Part,
} from './parts.ts';
import { deleteOldRows, isOlderThan } from './retention.ts';
import { closedPart, HOUR_MS, joinHours, joinMinutes, MINUTE_MS, recomputed, rollUp } from './rollups.ts';
import type { Settler } from './settler.ts';
import { StateChange } from '#core/settlement/settlement-state.ts';
import { COMPACT_LEDGER_STATE } from './ledger-state.ts';
import type { StoreMemory } from './store-memory.ts';
import { runInTransaction } from './transaction.ts';

/** What a run of maintenance did, for logs and metrics. */
export interface MaintenanceReport {
  readonly rolledUpRows: number;
  readonly repairedMinutes: number;
  readonly sealedRows: number;
  readonly checkpointed: boolean;
}

/** When the steps are due. */
export interface MaintenanceLimits {
  /** An open part with so many readings is sorted and closed: the most that a query has to search unsorted, some 8 ms a million. Twice as many no longer sort within the memory that the store may use. */
  readonly sealRows: number;
  /** An open part of rollups with so many rows is joined and closed. */
  readonly joinRollupRows: number;
  /** Readings that may wait to be rolled up, and ten a series, so that partial rows stay few; or until the time is up. */
  readonly rollUpRows: number;
  readonly rollUpAfterMs: number;
  /** A minute is not computed again before it is so old: late rows come in groups. */
  readonly repairAfterMs: number;
  /** Minutes computed again in one transaction. */
  readonly repairMinutes: number;
  /** A checkpoint is due when the write-ahead log is longer. */
  readonly checkpointBytes: number;
}

export const DEFAULT_LIMITS: MaintenanceLimits = {
  sealRows: 500_000,
  joinRollupRows: 1_000_000,
  rollUpRows: 100_000,
  rollUpAfterMs: 10_000,
  repairAfterMs: 120_000,
  repairMinutes: 50_000,
  checkpointBytes: 64 * 1024 * 1024,
};

const ROWS_A_SERIES = 10;
/** A run ends after so many transactions of repair; the next goes on. */
const REPAIRS_A_RUN = 8;

/**
 * The housekeeping of one open database, on a connection of its own beside the settlements: partial rollups of what was accepted since
 * the last time, repair of the minutes that late or repeated readings touched, sorting of full parts, checkpoints. One call at a time.
 */
export class Maintenance {
  readonly #database: Database;
  readonly #memory: StoreMemory;
  readonly #settler: Settler;
  readonly #exclusively: (task: () => Promise<void>) => Promise<void>;
  readonly #limits: MaintenanceLimits;
  #rolledUpAtMs = -Infinity;

  /** `exclusively` runs a task while no settlement runs. */
  constructor(
    database: Database,
    memory: StoreMemory,
    settler: Settler,
    exclusively: (task: () => Promise<void>) => Promise<void>,
    limits: MaintenanceLimits,
  ) {
    this.#database = database;
    this.#memory = memory;
    this.#settler = settler;
    this.#exclusively = exclusively;
    this.#limits = limits;
  }

  /** Does what is due at that time. An abort ends it after the transaction under way; what is left is done by the next run. */
  async run(nowMs: number, signal?: AbortSignal): Promise<MaintenanceReport> {
    const rolledUpRows = this.#rollUpIsDue(nowMs) ? await this.rollUp(nowMs) : 0;
    const repairedMinutes = await this.repair(nowMs - this.#limits.repairAfterMs, signal);
    throwIfAborted(signal);
    const sealedRows = await this.#sealWhatIsFull(nowMs);
    throwIfAborted(signal);
    await this.#joinWhatIsFull();
    const checkpointed =
      (sealedRows > 0 || (await this.#database.writeAheadLogBytes()) > this.#limits.checkpointBytes) &&
      (await this.checkpoint());
    return { rolledUpRows, repairedMinutes, sealedRows, checkpointed };
  }

  /** Counts everything accepted so far into the minute tier. Returns how many readings that were. */
  async rollUp(nowMs: number): Promise<number> {
    const { state } = this.#memory;
    const fromOrd = state.get(['rolled-order']) ?? 0;
    const toOrd = state.get(['accepted-order']) ?? 0;
    const rows = this.#memory.rowsToRollUp;
    const readings = this.#memory.parts.open('raw').filter((part) => part.rows > 0);
    const latest = readings.at(-1);
    if (toOrd === fromOrd || !latest) return 0;
    const known = this.#memory.parts.open('1m').at(-1);
    const into = known ?? newPart('1m', this.#memory.parts.nextOpenName('1m'), latest.day);
    const change = new StateChange(state);
    change.set(['rolled-order'], toOrd);
    await this.#transaction(change, async (connection) => {
      if (!known) await connection.run(createPart(into));
      const { rowsChanged } = await connection.run(rollUp(readings, into, fromOrd, toOrd));
      return () => {
        into.rows += rowsChanged;
        into.day = Math.max(into.day, latest.day);
        into.minTs = Math.min(into.minTs, ...readings.map((part) => part.minTs - MINUTE_MS));
        into.maxTs = Math.max(into.maxTs, ...readings.map((part) => part.maxTs));
        this.#memory.parts = this.#memory.parts.with(into);
        this.#memory.rowsToRollUp -= rows;
      };
    });
    this.#rolledUpAtMs = nowMs;
    return rows;
  }

  /** Computes the minutes before that time again in which a reading came late or twice. Returns how many. */
  async repair(beforeMs: number, signal?: AbortSignal): Promise<number> {
    if (this.#memory.revisited.size === 0) return 0;
    let repaired = 0;
    for (let i = 0; i < REPAIRS_A_RUN; i++) {
      throwIfAborted(signal);
      const minutes = await this.#repairSome(beforeMs);
      repaired += minutes;
      if (minutes < this.#limits.repairMinutes) break;
    }
    return repaired;
  }

  /** Sorts the part's rows into the closed part of its day. */
  async seal(part: Part, nowMs: number): Promise<void> {
    await this.#exclusively(async () => {
      if (this.#memory.parts.open('raw').at(-1) === part) await this.#settler.beginPart(part.day);
    });
    await this.rollUp(nowMs);
    const { parts } = this.#memory;
    const closed = closedPart(parts, 'raw', part.day);
    await this.#transaction(new StateChange(this.#memory.state), async (connection) => {
      if (!parts.closed('raw').includes(closed)) await connection.run(createPart(closed));
      await connection.run(
        `INSERT INTO ${readingsTable(closed)} SELECT * FROM ${readingsTable(part)} ORDER BY series_id, ts`,
      );
      await connection.run(
        `INSERT INTO ${eventsTable(closed)} SELECT * FROM ${eventsTable(part)} ORDER BY machine_id, ts`,
      );
      await connection.run(`INSERT INTO latest ${newestRows([readingsTable(part)])}`);
      await connection.run(dropPart(part));
      const joined = widened(closed, part);
      await connection.run(recordPart(joined));
      return () => {
        this.#memory.parts = this.#memory.parts.without(part, closed).with(joined);
      };
    });
    await this.#compact();
  }

  /** Joins the open part of the minute tier into the closed ones of minutes and hours. */
  async joinRollups(): Promise<void> {
    const open = this.#memory.parts.open('1m').at(-1);
    if (!open) return;
    const { parts } = this.#memory;
    const minutes = closedPart(parts, '1m', open.day);
    const hours = closedPart(parts, '1h', open.day);
    await this.#transaction(new StateChange(this.#memory.state), async (connection) => {
      for (const part of [minutes, hours]) {
        if (!parts.of(part.tier).includes(part)) await connection.run(createPart(part));
      }
      await connection.run(joinMinutes(open, minutes));
      await connection.run(joinHours(open, hours));
      await connection.run(dropPart(open));
      const joined = [widened(minutes, open), widened(hours, { ...open, minTs: open.minTs - HOUR_MS })];
      for (const part of joined) await connection.run(recordPart(part));
      return () => {
        this.#memory.parts = this.#memory.parts.without(open, minutes, hours).with(...joined);
      };
    });
  }

  /** Has the rollups count all that was accepted, each minute once. */
  async catchUp(nowMs: number, signal?: AbortSignal): Promise<void> {
    await this.rollUp(nowMs);
    while ((await this.repair(Number.MAX_SAFE_INTEGER, signal)) > 0);
  }

  /** Drops parts that are no longer kept, and deletes waveforms, documents and rejections accepted before `waveformDays`. Returns rows deleted. */
  async dropOld(policy: RetentionPolicy, nowMs: number, signal?: AbortSignal): Promise<number> {
    await this.catchUp(nowMs, signal);
    const openRollups = this.#memory.parts.open('1m').at(-1);
    if (openRollups && isOlderThan(openRollups, policy.rollup1mDays, nowMs)) await this.joinRollups();
    const days = { raw: policy.rawDays, '1m': policy.rollup1mDays, '1h': policy.rollup1hDays };
    let rows = 0;
    // No settlement runs meanwhile: in a store that has been idle for long, the part that takes new rows is old itself.
    await this.#exclusively(async () => {
      for (const tier of ['raw', '1m', '1h'] as const) {
        const old = this.#memory.parts.of(tier).filter((part) => isOlderThan(part, days[tier], nowMs));
        for (const part of old) rows += await this.#drop(part);
      }
    });
    await this.#transaction(new StateChange(this.#memory.state), async (connection) => {
      rows += await deleteOldRows(connection, nowMs - policy.waveformDays * DAY_MS);
      return () => undefined;
    });
    return rows;
  }

  async #drop(part: Part): Promise<number> {
    const change = new StateChange(this.#memory.state);
    const isOpenRaw = this.#memory.parts.open('raw').includes(part);
    if (isOpenRaw) this.#settler.releasePart(part);
    if (part.tier === 'raw') change.raise(['raw-floor-ms'], part.maxTs);
    await this.#transaction(change, async (connection) => {
      if (isOpenRaw) await connection.run(`INSERT INTO latest ${newestRows([readingsTable(part)])}`);
      await connection.run(dropPart(part));
      return () => {
        this.#memory.parts = this.#memory.parts.without(part);
      };
    });
    return part.rows;
  }

  /** Moves the write-ahead log into the file. False where transactions under way forbid it; the next run tries again. */
  async checkpoint(): Promise<boolean> {
    try {
      await this.#database.maintenance.run('CHECKPOINT');
      return true;
    } catch (error) {
      if (isCheckpointHeldUp(error)) return false;
      throw error;
    }
  }

  /** Runs statements in one transaction; they return what memory does once it is committed. */
  async #transaction(
    change: StateChange,
    statements: (connection: DuckDBConnection) => Promise<() => void>,
  ): Promise<void> {
    const connection = this.#database.maintenance;
    try {
      await connection.run('BEGIN');
      const follow = await statements(connection);
      await this.#memory.ledger.write(connection, change);
      await this.#database.changeLayout(async () => {
        await connection.run('COMMIT');
        this.#memory.state.apply(change);
        follow();
      });
    } catch (error) {
      await connection.run('ROLLBACK').catch(() => undefined);
      throw error;
    }
  }

  #rollUpIsDue(nowMs: number): boolean {
    const rows = Math.max(this.#limits.rollUpRows, ROWS_A_SERIES * this.#memory.dictionary.seriesCount);
    return this.#memory.rowsToRollUp >= rows || nowMs - this.#rolledUpAtMs >= this.#limits.rollUpAfterMs;
  }

  async #sealWhatIsFull(nowMs: number): Promise<number> {
    const open = this.#memory.parts.open('raw');
    const active = open.at(-1);
    let rows = 0;
    for (const part of open) {
      if (part === active && part.rows < this.#limits.sealRows) continue;
      await this.seal(part, nowMs);
      rows += part.rows;
    }
    return rows;
  }

  async #joinWhatIsFull(): Promise<void> {
    const open = this.#memory.parts.open('1m').at(-1);
    if (open && open.rows >= this.#limits.joinRollupRows) await this.joinRollups();
  }

  async #compact(): Promise<void> {
    const connection = this.#database.maintenance;
    const counted = await connection.runAndReadAll(
      'SELECT (SELECT count(*) FROM ledger_state), (SELECT count(*) FROM latest)',
    );
    const [stateRows, latestRows] = counted.getRows()[0]!.map(Number) as [number, number];
    if (stateRows > 20_000) await connection.run(COMPACT_LEDGER_STATE);
    if (latestRows > 100_000 + 4 * this.#memory.dictionary.seriesCount) {
      await runInTransaction(
        connection,
        `CREATE TABLE latest_joined AS ${newestRows(['latest'])};
        DROP TABLE latest;
        ALTER TABLE latest_joined RENAME TO latest;`,
      );
    }
  }

  async #repairSome(beforeMs: number): Promise<number> {
    const connection = this.#database.maintenance;
    const rolledOrd = this.#memory.state.get(['rolled-order']) ?? 0;
    await connection.run(`
      CREATE OR REPLACE TEMP TABLE repairing AS
      SELECT DISTINCT series_id, minute_ms FROM revisits WHERE ord <= ${rolledOrd} AND minute_ms < ${beforeMs}
      ORDER BY minute_ms LIMIT ${this.#limits.repairMinutes}`);
    const found = await connection.runAndReadAll('SELECT count(*), min(minute_ms), max(minute_ms) FROM repairing');
    const [count, fromMs, lastMs] = found.getRows()[0]!.map(Number) as [number, number, number];
    if (count === 0) return 0;
    await this.#recompute({ fromMs, toMs: lastMs + MINUTE_MS, toOrd: rolledOrd });
    await this.#exclusively(async () => {
      const left = await connection.runAndReadAll('SELECT DISTINCT series_id FROM revisits');
      this.#memory.revisited.clear();
      for (const [series] of left.getRows()) this.#memory.revisited.add(series as number);
    });
    return count;
  }

  /** Replaces the rollups of the minutes in `repairing`; where readings of the time are gone, they stay as they are. */
  async #recompute(bounds: { fromMs: number; toMs: number; toOrd: number }): Promise<void> {
    const { parts, state } = this.#memory;
    const { fromMs, toMs, toOrd } = bounds;
    const minuteParts = parts.overlapping('1m', fromMs, toMs);
    const known = parts.open('1m').at(-1);
    const readings = parts.overlapping('raw', fromMs, toMs);
    const into = known ?? newPart('1m', parts.nextOpenName('1m'), Math.max(...readings.map((part) => part.day)));
    const change = new StateChange(state);
    await this.#transaction(change, async (connection) => {
      await connection.run(`DELETE FROM revisits USING repairing r
        WHERE revisits.series_id = r.series_id AND revisits.minute_ms = r.minute_ms AND ord <= ${toOrd}`);
      await connection.run(`DELETE FROM repairing WHERE minute_ms <= ${state.get(['raw-floor-ms']) ?? -1}`);
      if (!known) await connection.run(createPart(into));
      await connection.run(`CREATE OR REPLACE TEMP TABLE repaired AS ${recomputed(readings, 'repairing', bounds)}`);
      await this.#countConflicts(connection, change, minuteParts, bounds);
      for (const part of minuteParts) await removeMinutes(connection, part, bounds);
      for (const hours of parts.closed('1h')) {
        const minutes = minuteParts.find((part) => part.name === hours.name);
        if (minutes) await recomputeHours(connection, minutes, hours, bounds);
      }
      const { rowsChanged } = await connection.run(`INSERT INTO ${rollupsTable(into)} SELECT * FROM repaired`);
      return () => {
        into.rows += rowsChanged;
        into.minTs = Math.min(into.minTs, fromMs);
        into.maxTs = Math.max(into.maxTs, toMs);
        this.#memory.parts = this.#memory.parts.with(into);
      };
    });
  }

  async #countConflicts(
    connection: DuckDBConnection,
    change: StateChange,
    minuteParts: readonly Part[],
    { fromMs, toMs }: { fromMs: number; toMs: number },
  ): Promise<void> {
    const before = minuteParts.map(
      (part) => `
        SELECT p.series_id, -conflicts AS conflicts FROM ${rollupsTable(part)} p
        JOIN repairing r ON p.series_id = r.series_id AND p.ts = r.minute_ms
        WHERE p.ts >= ${fromMs} AND p.ts < ${toMs} AND conflicts > 0`,
    );
    const rows = ['SELECT series_id, conflicts FROM repaired WHERE conflicts > 0', ...before].join(' UNION ALL ');
    const result = await connection.runAndReadAll(
      `SELECT series_id, sum(conflicts)::BIGINT FROM (${rows}) GROUP BY series_id`,
    );
    for (const [series, conflicts] of result.getRows()) {
      const tenant: TenantId = this.#memory.dictionary.seriesById(series as number).machine.tenant;
      change.add(['conflicts', tenant], Number(conflicts));
    }
  }
}

async function removeMinutes(
  connection: DuckDBConnection,
  part: Part,
  { fromMs, toMs }: { fromMs: number; toMs: number },
): Promise<void> {
  await connection.run(`
    DELETE FROM ${rollupsTable(part)} p USING repairing r
    WHERE p.series_id = r.series_id AND p.ts = r.minute_ms AND p.ts >= ${fromMs} AND p.ts < ${toMs}`);
}

/** Sums the hours that held removed minutes up again from what is left of their closed part. */
async function recomputeHours(
  connection: DuckDBConnection,
  minutes: Part,
  hours: Part,
  { fromMs, toMs }: { fromMs: number; toMs: number },
): Promise<void> {
  const fromHour = Math.floor(fromMs / HOUR_MS) * HOUR_MS;
  const toHour = Math.ceil(toMs / HOUR_MS) * HOUR_MS;
  const touched = `SELECT DISTINCT series_id, minute_ms // ${HOUR_MS} * ${HOUR_MS} FROM repairing`;
  await connection.run(`
    DELETE FROM ${rollupsTable(hours)}
    WHERE ts >= ${fromHour} AND ts < ${toHour} AND (series_id, ts) IN (${touched})`);
  await connection.run(
    joinHours(
      minutes,
      hours,
      `ts >= ${fromHour} AND ts < ${toHour} AND (series_id, ts // ${HOUR_MS} * ${HOUR_MS}) IN (${touched})`,
    ),
  );
}
