import { rm } from 'node:fs/promises';
import type { PoolClient } from 'pg';
import { systemClock, type Clock } from '#core/clock.ts';
import type { StreamName } from '#core/domain/event.ts';
import { machineRef, type MachineKey, type TenantId } from '#core/domain/ids.ts';
import type { SettledItems } from '#core/domain/ledger.ts';
import { isPortError, PortError, throwIfAborted, type CallOptions } from '#core/errors.ts';
import type { MovableHistory, MovableHistoryStore } from '#core/moving/movable-history.ts';
import { Mutex } from '#core/mutex.ts';
import type { Progress } from '#core/ports/event-stream.ts';
import type {
  DeadLetter,
  DocumentQuery,
  EventOutcome,
  ExportQuery,
  LatestValue,
  LostEvents,
  OwnedTimeSeriesStore,
  PageQuery,
  RetentionPolicy,
  RetentionResult,
  SeriesQuery,
  SeriesResult,
  SettleBatch,
  SettledTenant,
  SettleResult,
  StoredDocument,
  StoredRejection,
  StoredWaveform,
  TimeRange,
  WaveformQuery,
} from '#core/ports/time-series-store.ts';
import { checkPolicy } from '#core/settlement/retention-policy.ts';
import { checkSeriesQuery } from '#core/settlement/series-units.ts';
import { orStopWaiting } from '#core/stop-waiting.ts';
import { HISTORY_FORM, partNames, partOf, type NotedPart } from '../../history-parts.ts';
import { PostgresDatabase } from '../postgres-database.ts';
import { isOfServer, postgresPortError } from '../postgres-errors.ts';
import { PostgresServer } from '../postgres-server.ts';
import { backUp, restore } from './backup.ts';
import type { PostgresTimeSeriesStoreConfig } from './config.ts';
import { exportReadings } from './export.ts';
import { exportCsv, historyDays, partOfCsv } from './history-export.ts';
import { importPart, isMissing, prepared } from './history-import.ts';
import {
  findDeadLetter,
  findWaveform,
  listDeadLetters,
  listDocuments,
  listLatest,
  listRejections,
  listStoredEventIds,
  listWaveforms,
} from './listings.ts';
import { dropOld, findUnreferenced, nextOrphans } from './retention.ts';
import { repair, rollUp } from './rollups.ts';
import { timeSeriesTables } from './schema.ts';
import { querySeries } from './series-query.ts';
import { raiseVersion, Settler, type Written } from './settler.ts';
import { loadStateOf } from './store-memory.ts';

/** What a test may reach into. */
export interface PostgresTimeSeriesStoreHooks {
  readonly clock?: Clock;
  /** Called between the rows of a settlement and its commit; what it throws fails the settlement. */
  readonly beforeCommit?: () => void;
}

/** A minute is not computed again before it is so old: late rows come in groups. */
const REPAIR_AFTER_MS = 120_000;
/** Minutes computed again in one transaction, and such transactions of one call. */
const REPAIR_MINUTES = 50_000;
const REPAIRS_A_CALL = 8;
const ROLL_UPS_A_CALL = 50;

/**
 * The time-series store in PostgreSQL, without an extension. A settlement is one transaction, of which there is one at a time over all
 * processes; queries ask the database alone, so that any process may serve them. Rollups are the work of {@link PostgresTimeSeriesStore.maintain};
 * what they do not count yet, queries take from the rows.
 */
export class PostgresTimeSeriesStore implements OwnedTimeSeriesStore, MovableHistoryStore {
  readonly movableHistory: MovableHistory = {
    form: HISTORY_FORM,
    parts: (options) =>
      this.#maintain('list the history', options, async () => partNames(await this.#readHistory(options, historyDays))),
    exportPart: (name, file, options) => this.#exportPart(name, file, options),
    importPart: (name, partId, file, options) => this.#importPart({ name, partId }, file, options),
  };
  readonly #server: PostgresServer;
  readonly #settler: Settler;
  readonly #rollUpAfterMs: number;
  readonly #writing = new Mutex();
  /** Taken before `#writing` where both are. */
  readonly #maintaining = new Mutex();
  readonly #underWay = new Set<Promise<unknown>>();
  #rolledUpAtMs = -Infinity;
  #orphans: readonly string[] = [];
  #closing: Promise<void> | undefined;

  /** Makes or brings up to date its tables. @throws PortError failed_precondition (a newer Tribo wrote them), permission_denied, unavailable. */
  static async open(
    config: PostgresTimeSeriesStoreConfig,
    hooks: PostgresTimeSeriesStoreHooks = {},
  ): Promise<PostgresTimeSeriesStore> {
    const server = await PostgresServer.use(config);
    try {
      const tables = await PostgresDatabase.open({ connection: server.connection, ...timeSeriesTables });
      await tables.close();
      return new PostgresTimeSeriesStore(server, config, hooks);
    } catch (error) {
      await server.release();
      throw error;
    }
  }

  private constructor(
    server: PostgresServer,
    { rollUpAfterMs }: PostgresTimeSeriesStoreConfig,
    hooks: PostgresTimeSeriesStoreHooks,
  ) {
    this.#server = server;
    this.#rollUpAfterMs = rollUpAfterMs;
    this.#settler = new Settler(hooks.clock ?? systemClock, hooks.beforeCommit ?? (() => undefined));
  }

  settle(batch: SettleBatch, options?: CallOptions): Promise<SettleResult> {
    return this.#write('settle', options, (client) => this.#settler.settle(client, batch));
  }

  async progress(stream: StreamName, group: string, options?: CallOptions): Promise<readonly Progress[]> {
    return this.#read('read progress', options, async (client) => {
      const state = await loadStateOf(client, ['progress', stream, group]);
      return state.progress(stream, group);
    });
  }

  async lostEvents(options?: CallOptions): Promise<readonly LostEvents[]> {
    return this.#read('read lost events', options, async (client) => (await loadStateOf(client, ['lost'])).lost());
  }

  async settled(options?: CallOptions): Promise<readonly SettledTenant[]> {
    return this.#read('read the ledger', options, async (client) => {
      const state = await loadStateOf(client, ['settled'], ['watermark'], ['conflicts'], ['imported']);
      return state.tenants();
    });
  }

  async series(query: SeriesQuery, options?: CallOptions): Promise<SeriesResult> {
    checkSeriesQuery(query);
    return this.#read('read a series', options, (client) => querySeries(client, query));
  }

  async latest(machine: MachineKey, options?: CallOptions): Promise<readonly LatestValue[]> {
    return this.#read('read newest values', options, (client) => listLatest(client, machine));
  }

  async waveforms(query: WaveformQuery, options?: CallOptions): Promise<readonly StoredWaveform[]> {
    return this.#read('list waveforms', options, (client) => listWaveforms(client, query));
  }

  async waveform(tenant: TenantId, waveformId: string, options?: CallOptions): Promise<StoredWaveform | undefined> {
    return this.#read('find a waveform', options, (client) => findWaveform(client, tenant, waveformId));
  }

  async documents(query: DocumentQuery, options?: CallOptions): Promise<readonly StoredDocument[]> {
    return this.#read('list documents', options, (client) => listDocuments(client, query));
  }

  async storedEventIds(machine: MachineKey, range: TimeRange, options?: CallOptions): Promise<readonly string[]> {
    return this.#read('list stored events', options, (client) => listStoredEventIds(client, machine, range));
  }

  async deadLetters(query: PageQuery, options?: CallOptions): Promise<readonly DeadLetter[]> {
    return this.#read('list dead letters', options, (client) => listDeadLetters(client, query));
  }

  async rejections(query: PageQuery, options?: CallOptions): Promise<readonly StoredRejection[]> {
    return this.#read('list rejections', options, (client) => listRejections(client, query));
  }

  async deadLetter(tenant: TenantId, id: string, options?: CallOptions): Promise<DeadLetter | undefined> {
    const letter = await this.#read('find a dead letter', options, (client) => findDeadLetter(client, id));
    return letter && machineRef(letter.machine).tenant === tenant ? letter : undefined;
  }

  settleDeadLetter(id: string, outcome: EventOutcome, options?: CallOptions): Promise<keyof SettledItems> {
    return this.#write('settle a dead letter', options, (client) =>
      this.#settler.settleDeadLetter(
        client,
        async () => letterOf(outcome, id, await findDeadLetter(client, id)),
        outcome,
      ),
    );
  }

  async applyRetention(policy: RetentionPolicy, nowMs: number, options?: CallOptions): Promise<RetentionResult> {
    checkPolicy(policy);
    return this.#maintain('apply retention', options, async () => {
      await this.#catchUp(options?.signal);
      const rowsDeleted = await this.#writing.run(() =>
        this.#housekeeping(async (client) => {
          await client.query(`SELECT FROM ts_head WHERE name = 'settlement' FOR UPDATE`);
          // A query may hold a partition for long, and everybody waits behind who wants to drop it: better to try again later.
          await client.query(`SET LOCAL lock_timeout = '5s'`);
          const rows = await dropOld(client, policy, nowMs);
          await raiseVersion(client);
          return rows;
        }),
      );
      this.#orphans = await this.#housekeeping((client) => nextOrphans(client, this.#orphans));
      return { rowsDeleted, orphanedObjects: this.#orphans };
    });
  }

  async exportParquet(
    query: ExportQuery,
    folder: string,
    options?: CallOptions,
  ): Promise<readonly { readonly path: string; readonly rows: number }[]> {
    return this.#read('export readings', options, async (client) => {
      await client.query(WITHOUT_LIMIT);
      return exportReadings(client, query, folder);
    });
  }

  async backup(folder: string, options?: CallOptions): Promise<void> {
    await this.#read('back up', options, async (client) => {
      await client.query(WITHOUT_LIMIT);
      await backUp(client, folder);
    });
  }

  /** Reads what {@link backup} wrote into tables that hold nothing yet. @throws PortError failed_precondition, not_found. */
  async restore(folder: string, options?: CallOptions): Promise<void> {
    await this.#maintain('restore', options, () =>
      this.#writing.run(() =>
        this.#housekeeping(async (client) => {
          await client.query(WITHOUT_LIMIT);
          await restore(client, folder);
        }),
      ),
    );
  }

  /** Housekeeping that is due: call it about once a second. Settlements and queries go on meanwhile. */
  async maintain(
    nowMs: number,
    options?: CallOptions,
  ): Promise<{ readonly rolledUp: boolean; readonly repairedMinutes: number }> {
    return this.#maintain('maintain', options, async () => {
      if (nowMs - this.#rolledUpAtMs < this.#rollUpAfterMs) {
        await this.#housekeeping((client) => client.query(SUMMARIZE));
        return { rolledUp: false, repairedMinutes: 0 };
      }
      const rolledUp = await this.#rollUp(ROLL_UPS_A_CALL, options?.signal);
      this.#rolledUpAtMs = nowMs;
      let repairedMinutes = 0;
      for (let call = 0; call < REPAIRS_A_CALL; call++) {
        throwIfAborted(options?.signal);
        const minutes = await this.#housekeeping((client) => repair(client, nowMs - REPAIR_AFTER_MS, REPAIR_MINUTES));
        repairedMinutes += minutes;
        if (minutes < REPAIR_MINUTES) break;
      }
      return { rolledUp, repairedMinutes };
    });
  }

  async unreferencedObjects(keys: readonly string[], options?: CallOptions): Promise<readonly string[]> {
    return this.#read('find unreferenced objects', options, (client) => findUnreferenced(client, keys));
  }

  /** Waits for the calls under way, then releases the connections. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= (async () => {
      await Promise.allSettled(this.#underWay);
      await this.#server.release();
    })();
    return this.#closing;
  }

  /** Reads one state of the store, in which all is rolled up and nothing waits to be. */
  async #readHistory<Result>(
    options: CallOptions | undefined,
    read: (client: PoolClient) => Promise<Result>,
  ): Promise<Result> {
    await this.#catchUp(options?.signal);
    return this.#transaction(ONE_STATE, async (client) => {
      await client.query(WITHOUT_LIMIT);
      return read(client);
    });
  }

  #exportPart(name: string, file: string, options: CallOptions | undefined): Promise<number> {
    const csv = `${file}.csv`;
    return this.#maintain(`export ${name}`, options, async () => {
      const part = partOf(name);
      try {
        await this.#readHistory(options, (client) => exportCsv(client, part, csv));
        return await partOfCsv(part, csv, file);
      } finally {
        await rm(csv, { force: true });
      }
    });
  }

  #importPart(noted: NotedPart, file: string, options: CallOptions | undefined): Promise<boolean> {
    return this.#maintain(`import ${noted.name}`, options, async () => {
      if (!(await this.#transaction(ONE_STATE, (client) => isMissing(client, noted)))) return false;
      return prepared(noted.name, file, (part) =>
        this.#writing.run(() =>
          this.#housekeeping(async (client) => {
            await client.query(WITHOUT_LIMIT);
            return importPart(client, noted, part);
          }),
        ),
      );
    });
  }

  /** Has the rollups count all that was accepted, each minute once. */
  async #catchUp(signal: AbortSignal | undefined): Promise<void> {
    await this.#rollUp(Infinity, signal);
    while ((await this.#housekeeping((client) => repair(client, Number.MAX_SAFE_INTEGER, REPAIR_MINUTES))) > 0) {
      throwIfAborted(signal);
    }
  }

  /** Returns whether there was anything to roll up. */
  async #rollUp(times: number, signal: AbortSignal | undefined): Promise<boolean> {
    for (let time = 0; time < times; time++) {
      throwIfAborted(signal);
      // Before each: what is settled meanwhile would be read by all that follow.
      await this.#housekeeping((client) => client.query(SUMMARIZE));
      if (!(await this.#housekeeping(rollUp))) return time > 0;
    }
    return true;
  }

  /** One state of the database, which settlements and housekeeping go on from. */
  #read<Result>(
    doing: string,
    options: CallOptions | undefined,
    query: (client: PoolClient) => Promise<Result>,
  ): Promise<Result> {
    return this.#call(doing, options, () => this.#transaction(ONE_STATE, query));
  }

  /** One settlement at a time. */
  #write<Result>(
    doing: string,
    options: CallOptions | undefined,
    work: (client: PoolClient) => Promise<Written<Result>>,
  ): Promise<Result> {
    return this.#call(doing, options, () =>
      this.#writing.run(async () => {
        throwIfAborted(options?.signal);
        const { result, follow } = await this.#transaction('BEGIN', work);
        follow();
        return result;
      }),
    );
  }

  #maintain<Result>(doing: string, options: CallOptions | undefined, work: () => Promise<Result>): Promise<Result> {
    return this.#call(doing, options, () => this.#maintaining.run(work));
  }

  /** A transaction of which there is one at a time over all processes, beside settlements. */
  #housekeeping<Result>(work: (client: PoolClient) => Promise<Result>): Promise<Result> {
    return this.#transaction(`BEGIN; SET LOCAL work_mem = '64MB'; ${BY_BLOCK_RANGES}`, async (client) => {
      await client.query(`SELECT FROM ts_head WHERE name = 'maintenance' FOR UPDATE`);
      return work(client);
    });
  }

  /** A caller may stop waiting; what it asked for goes on. */
  async #call<Result>(doing: string, options: CallOptions | undefined, work: () => Promise<Result>): Promise<Result> {
    throwIfAborted(options?.signal);
    if (this.#closing) throw new PortError('failed_precondition', 'the time-series store is closed');
    const result = work().catch((error: unknown) => {
      const { code, message, cause } = postgresPortError(error);
      throw new PortError(code, `${doing}: ${message}`, { cause: cause ?? error });
    });
    this.#underWay.add(result);
    void result.catch(() => undefined).finally(() => this.#underWay.delete(result));
    return orStopWaiting(result, options?.signal);
  }

  async #transaction<Result>(begin: string, work: (client: PoolClient) => Promise<Result>): Promise<Result> {
    const client = await this.#server.pool.connect();
    let reusable = false;
    try {
      await client.query(begin);
      const result = await work(client);
      await client.query('COMMIT');
      reusable = true;
      return result;
    } catch (error) {
      reusable = (isOfServer(error) || isPortError(error)) && (await rolledBack(client));
      throw error;
    } finally {
      // The server rolls back what a lost connection began.
      client.release(!reusable);
    }
  }
}

async function rolledBack(client: PoolClient): Promise<boolean> {
  try {
    await client.query('ROLLBACK');
    return true;
  } catch {
    return false;
  }
}

/**
 * The planner has no figures of rows that were just written, and guesses that block ranges leave most of them: it would read whole days, with
 * several workers, or compile the query first.
 */
const BY_BLOCK_RANGES =
  'SET LOCAL enable_seqscan = off; SET LOCAL max_parallel_workers_per_gather = 0; SET LOCAL jit = off';
const ONE_STATE = `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; ${BY_BLOCK_RANGES}`;
const WITHOUT_LIMIT = 'SET LOCAL statement_timeout = 0';
/** Block ranges that were filled since are only looked through once they are summarised. */
const SUMMARIZE = `
  SELECT brin_summarize_new_values(i.indexrelid) FROM pg_inherits p JOIN pg_index i ON i.indrelid = p.inhrelid
  JOIN ts_days ON p.inhrelid = ('ts_readings_d' || day)::regclass
  WHERE p.inhparent = 'ts_readings'::regclass AND day >= (SELECT max(day) - 1 FROM ts_days)`;

function letterOf(outcome: EventOutcome, id: string, letter: DeadLetter | undefined): DeadLetter {
  if (!letter) throw new PortError('not_found', `there is no dead letter ${id}`);
  if (outcome.event.eventId !== letter.event.eventId || outcome.event.key !== letter.machine) {
    throw new PortError('invalid_argument', `dead letter ${id} is event ${letter.event.eventId} of ${letter.machine}`);
  }
  return letter;
}
