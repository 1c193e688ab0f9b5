import type { DuckDBConnection } from '@duckdb/node-api';
import { systemClock, type Clock } from '#core/clock.ts';
import type { StreamName } from '#core/domain/event.ts';
import { machineRef, type MachineKey, type TenantId } from '#core/domain/ids.ts';
import type { SettledItems } from '#core/domain/ledger.ts';
import { PortError, throwIfAborted, type CallOptions } from '#core/errors.ts';
import type { MovableHistory, MovableHistoryStore } from '#core/moving/movable-history.ts';
import type { Progress } from '#core/ports/event-stream.ts';
import type {
  DeadLetter,
  DocumentQuery,
  EventOutcome,
  ExportQuery,
  LatestValue,
  LostEvents,
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
  TimeSeriesStore,
  WaveformQuery,
} from '#core/ports/time-series-store.ts';
import { Mutex } from '#core/mutex.ts';
import { UNKEPT_UNIT, type MachineEntry } from '#core/settlement/dictionary.ts';
import { checkPolicy } from '#core/settlement/retention-policy.ts';
import { orStopWaiting } from '#core/stop-waiting.ts';
import { HISTORY_FORM, partNames, type NotedPart } from '../../history-parts.ts';
import { backUp } from './backup.ts';
import type { DuckDbTimeSeriesStoreConfig } from './config.ts';
import { Database, type DatabaseSettings } from './database.ts';
import { needsReopen, portErrorOf } from './errors.ts';
import { exportReadings, exportView } from './export.ts';
import { HistoryExport } from './history-export.ts';
import { importPart } from './history-import.ts';
import {
  findDeadLetter,
  findWaveform,
  listDeadLetters,
  listDocuments,
  listRejections,
  listStoredEventIds,
  listWaveforms,
} from './listings.ts';
import { DEFAULT_LIMITS, Maintenance, type MaintenanceLimits, type MaintenanceReport } from './maintenance.ts';
import { findUnreferenced, Orphans } from './retention.ts';
import type { PartList } from './parts.ts';
import { querySeries, seriesView } from './series-query.ts';
import { Settler } from './settler.ts';
import { loadMemory, type StoreMemory } from './store-memory.ts';

const DEFAULTS = { memoryLimitMiB: 128, maxConcurrentQueries: 2 } as const;

/** What a test may reach into. */
export interface DuckDbTimeSeriesStoreHooks {
  readonly clock?: Clock;
  /** Called between the rows of a settlement and its commit; what it throws fails the settlement. */
  readonly beforeCommit?: () => void;
  readonly limits?: Partial<MaintenanceLimits>;
}

/**
 * The time-series store of one machine: a DuckDB file that this process owns. A settlement is one transaction; readings are appended in
 * columns; rollups, order by series and retention are the work of {@link DuckDbTimeSeriesStore.maintain}.
 */
export class DuckDbTimeSeriesStore implements TimeSeriesStore, MovableHistoryStore {
  readonly movableHistory: MovableHistory = {
    form: HISTORY_FORM,
    parts: (options) =>
      this.#readHistory('list the history', options, async (reader, history) => partNames(await history.days(reader))),
    exportPart: (name, file, options) =>
      this.#readHistory(`export ${name}`, options, (reader, history) => history.write(reader, name, file)),
    importPart: (name, partId, file, options) => this.#importPart({ name, partId }, file, options),
  };
  readonly #settings: DatabaseSettings;
  readonly #clock: Clock;
  readonly #beforeCommit: () => void;
  readonly #limits: MaintenanceLimits;
  readonly #writing = new Mutex();
  /** Taken before `#writing` where both are. */
  readonly #maintaining = new Mutex();
  #session: Session | undefined;
  /** Of the last state of the parts that was exported from. */
  #history: { readonly parts: PartList; readonly export: HistoryExport } | undefined;
  readonly #closing = new AbortController();
  #closed = false;

  /** Opens or creates the store. @throws PortError failed_precondition: another process has it, or a newer Tribo wrote it. */
  static async open(
    config: DuckDbTimeSeriesStoreConfig,
    hooks: DuckDbTimeSeriesStoreHooks = {},
  ): Promise<DuckDbTimeSeriesStore> {
    const store = new DuckDbTimeSeriesStore(config, hooks);
    store.#session = await store.#openSession();
    return store;
  }

  private constructor(config: DuckDbTimeSeriesStoreConfig, hooks: DuckDbTimeSeriesStoreHooks) {
    this.#settings = { ...DEFAULTS, ...config };
    this.#clock = hooks.clock ?? systemClock;
    this.#beforeCommit = hooks.beforeCommit ?? (() => undefined);
    this.#limits = { ...DEFAULT_LIMITS, ...hooks.limits };
  }

  async settle(batch: SettleBatch, options?: CallOptions): Promise<SettleResult> {
    return this.#write('settle', options?.signal, ({ settler }) => settler.settle(batch));
  }

  async progress(stream: StreamName, group: string, _options?: CallOptions): Promise<readonly Progress[]> {
    const { state } = await this.#memory();
    return state.progress(stream, group);
  }

  async lostEvents(_options?: CallOptions): Promise<readonly LostEvents[]> {
    const { state } = await this.#memory();
    return state.lost();
  }

  async settled(_options?: CallOptions): Promise<readonly SettledTenant[]> {
    const { state } = await this.#memory();
    return state.tenants();
  }

  async series(query: SeriesQuery, options?: CallOptions): Promise<SeriesResult> {
    return this.#read(
      'read a series',
      options,
      (memory) => seriesView(memory, query),
      (reader, view) => querySeries(reader, view, query),
    );
  }

  async latest(machine: MachineKey, _options?: CallOptions): Promise<readonly LatestValue[]> {
    const { dictionary, latest } = await this.#memory();
    const newest = new Map<string, LatestValue>();
    for (const { id, metric, unit } of dictionary.find(machine)?.series.values() ?? []) {
      const value = latest.get(id);
      if (value && value.ts >= (newest.get(metric)?.ts ?? -Infinity)) {
        newest.set(metric, { metric, unit: unit === UNKEPT_UNIT ? undefined : unit, ...value });
      }
    }
    return [...newest.values()];
  }

  async waveforms(query: WaveformQuery, options?: CallOptions): Promise<readonly StoredWaveform[]> {
    return this.#readOf(query.machine, 'list waveforms', options, (reader, machine) =>
      listWaveforms(reader, machine, query),
    );
  }

  async waveform(tenant: TenantId, waveformId: string, options?: CallOptions): Promise<StoredWaveform | undefined> {
    return this.#read('find a waveform', options, dictionaryOf, (reader, dictionary) =>
      findWaveform(reader, dictionary, tenant, waveformId),
    );
  }

  async documents(query: DocumentQuery, options?: CallOptions): Promise<readonly StoredDocument[]> {
    return this.#readOf(query.machine, 'list documents', options, (reader, machine) =>
      listDocuments(reader, machine, query),
    );
  }

  async storedEventIds(machine: MachineKey, range: TimeRange, options?: CallOptions): Promise<readonly string[]> {
    return this.#readOf(machine, 'list stored events', options, (reader, entry, { parts }) =>
      listStoredEventIds(reader, parts, entry, range),
    );
  }

  async deadLetters(query: PageQuery, options?: CallOptions): Promise<readonly DeadLetter[]> {
    return this.#read('list dead letters', options, dictionaryOf, (reader, dictionary) =>
      listDeadLetters(reader, dictionary, query),
    );
  }

  async rejections(query: PageQuery, options?: CallOptions): Promise<readonly StoredRejection[]> {
    return this.#read('list rejections', options, dictionaryOf, (reader, dictionary) =>
      listRejections(reader, dictionary, query),
    );
  }

  async deadLetter(tenant: TenantId, id: string, options?: CallOptions): Promise<DeadLetter | undefined> {
    const letter = await this.#read('find a dead letter', options, dictionaryOf, (reader, dictionary) =>
      findDeadLetter(reader, dictionary, id),
    );
    return letter && machineRef(letter.machine).tenant === tenant ? letter : undefined;
  }

  async settleDeadLetter(id: string, outcome: EventOutcome, options?: CallOptions): Promise<keyof SettledItems> {
    return this.#write('settle a dead letter', options?.signal, async ({ database, memory, settler }) => {
      const letter = await findDeadLetter(database.writer, memory.dictionary, id);
      if (!letter) throw new PortError('not_found', `there is no dead letter ${id}`);
      if (outcome.event.eventId !== letter.event.eventId || outcome.event.key !== letter.machine) {
        throw new PortError(
          'invalid_argument',
          `dead letter ${id} is event ${letter.event.eventId} of ${letter.machine}`,
        );
      }
      return settler.settleDeadLetter(letter, outcome);
    });
  }

  async applyRetention(policy: RetentionPolicy, nowMs: number, options?: CallOptions): Promise<RetentionResult> {
    checkPolicy(policy);
    return this.#maintain('apply retention', options?.signal, async ({ maintenance, database, orphans }) => {
      const rowsDeleted = await maintenance.dropOld(policy, nowMs, this.#ending(options));
      return { rowsDeleted, orphanedObjects: await orphans.next(database.maintenance) };
    });
  }

  async exportParquet(
    query: ExportQuery,
    folder: string,
    options?: CallOptions,
  ): Promise<readonly { readonly path: string; readonly rows: number }[]> {
    return this.#read(
      'export readings',
      options,
      (memory) => exportView(memory, query),
      (reader, view) => exportReadings(reader, view, query, folder),
    );
  }

  async backup(folder: string, options?: CallOptions): Promise<void> {
    await this.#maintain('back up', options?.signal, ({ database, maintenance }) =>
      backUp(database, maintenance, (task) => this.#writing.run(task), folder),
    );
  }

  /** Housekeeping that is due: call it about once a second. Settlements and queries go on meanwhile. */
  async maintain(nowMs: number, options?: CallOptions): Promise<MaintenanceReport> {
    return this.#maintain('maintain', options?.signal, ({ maintenance }) =>
      maintenance.run(nowMs, this.#ending(options)),
    );
  }

  /** Which of the objects no stored waveform and no dead letter refers to. */
  async unreferencedObjects(keys: readonly string[], options?: CallOptions): Promise<readonly string[]> {
    const nothing = () => undefined;
    return this.#read('find unreferenced objects', options, nothing, (reader) => findUnreferenced(reader, keys));
  }

  /** Waits for the calls under way, then releases the file. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#closing.abort();
    await this.#maintaining.run(() =>
      this.#writing.run(async () => {
        await this.#session?.database.close();
        this.#session = undefined;
      }),
    );
  }

  /** Long work ends early when its caller stops waiting and when the store is closed. */
  #ending(options: CallOptions | undefined): AbortSignal {
    return AbortSignal.any([this.#closing.signal, ...(options?.signal ? [options.signal] : [])]);
  }

  async #memory(): Promise<StoreMemory> {
    await this.#heal();
    return this.#usable().memory;
  }

  #usable(): Session {
    if (this.#closed) throw new PortError('failed_precondition', 'the time-series store is closed');
    if (!this.#session || this.#session.broken) {
      throw new PortError('unavailable', 'the time-series store is being opened again; try again');
    }
    return this.#session;
  }

  /** DuckDB serves nothing more after some failures, a full disk among them, until its file is opened again. */
  async #heal(): Promise<void> {
    if (this.#closed || (this.#session && !this.#session.broken)) return;
    await this.#maintaining.run(() =>
      this.#writing.run(async () => {
        if (this.#closed || (this.#session && !this.#session.broken)) return;
        await this.#session?.database.close();
        this.#session = undefined;
        this.#session = await this.#openSession();
      }),
    );
  }

  async #read<Captured, Result>(
    doing: string,
    options: CallOptions | undefined,
    capture: (memory: StoreMemory) => Captured,
    query: (reader: DuckDBConnection, captured: Captured) => Promise<Result>,
  ): Promise<Result> {
    for (let attempt = 1; ; attempt++) {
      throwIfAborted(options?.signal);
      await this.#heal();
      const session = this.#usable();
      try {
        return await session.database.read(() => capture(session.memory), query, options?.signal);
      } catch (error) {
        session.broken ||= needsReopen(error);
        // What broke the database was no fault of the query.
        if (!session.broken || attempt === 2) throw portErrorOf(error, doing);
      }
    }
  }

  /** Reads what is exported of one state of the store, in which all is rolled up and nothing waits to be. */
  async #readHistory<Result>(
    doing: string,
    options: CallOptions | undefined,
    read: (reader: DuckDBConnection, history: HistoryExport) => Promise<Result>,
  ): Promise<Result> {
    await this.#maintain(doing, options?.signal, async ({ maintenance }) => {
      await maintenance.catchUp(this.#clock.nowMs(), this.#ending(options));
      await maintenance.joinRollups();
    });
    return this.#read(
      doing,
      options,
      ({ parts }) => parts,
      async (reader, parts) => {
        if (this.#history?.parts !== parts) {
          this.#history = { parts, export: await HistoryExport.of(reader, parts) };
        }
        return read(reader, this.#history.export);
      },
    );
  }

  /** Whatever was taken in, memory is loaded anew. */
  #importPart(part: NotedPart, file: string, options: CallOptions | undefined): Promise<boolean> {
    return this.#maintain(`import ${part.name}`, options?.signal, ({ database, memory }) =>
      this.#writing.run(async () => {
        const isNew = await importPart(database.writer, memory, part, file);
        if (isNew) this.#session = await this.#beginSession(database);
        return isNew;
      }),
    );
  }

  /** A list about one machine: empty where it never sent anything. */
  async #readOf<Item>(
    key: MachineKey,
    doing: string,
    options: CallOptions | undefined,
    query: (reader: DuckDBConnection, machine: MachineEntry, memory: StoreMemory) => Promise<Item[]>,
  ): Promise<Item[]> {
    const capture = (memory: StoreMemory) => ({ ...memory, machine: memory.dictionary.find(key) });
    return this.#read(doing, options, capture, async (reader, { machine, ...memory }) =>
      machine ? query(reader, machine, memory) : [],
    );
  }

  /** One writer at a time. */
  #write<Result>(doing: string, signal: AbortSignal | undefined, work: SessionWork<Result>): Promise<Result> {
    return this.#oneAtATime(this.#writing, doing, signal, work);
  }

  /** One maintainer at a time, beside the writer. */
  #maintain<Result>(doing: string, signal: AbortSignal | undefined, work: SessionWork<Result>): Promise<Result> {
    return this.#oneAtATime(this.#maintaining, doing, signal, work);
  }

  /** A caller may stop waiting; what it asked for goes on. */
  async #oneAtATime<Result>(
    mutex: Mutex,
    doing: string,
    signal: AbortSignal | undefined,
    work: SessionWork<Result>,
  ): Promise<Result> {
    throwIfAborted(signal);
    await this.#heal();
    const result = mutex.run(() => this.#attempt(doing, signal, work));
    return orStopWaiting(result, signal);
  }

  async #attempt<Result>(doing: string, signal: AbortSignal | undefined, work: SessionWork<Result>): Promise<Result> {
    throwIfAborted(signal);
    const session = this.#usable();
    try {
      return await work(session);
    } catch (error) {
      session.broken ||= needsReopen(error);
      throw portErrorOf(error, doing);
    }
  }

  async #openSession(): Promise<Session> {
    const database = await Database.open(this.#settings);
    try {
      return await this.#beginSession(database);
    } catch (error) {
      await database.close();
      throw portErrorOf(error, 'load the time-series store');
    }
  }

  async #beginSession(database: Database): Promise<Session> {
    const memory = await loadMemory(database.writer);
    const settler = new Settler(database, memory, this.#clock, this.#beforeCommit);
    const exclusively = (task: () => Promise<void>) => this.#writing.run(task);
    const maintenance = new Maintenance(database, memory, settler, exclusively, this.#limits);
    return { database, memory, settler, maintenance, orphans: new Orphans(), broken: false };
  }
}

interface Session {
  readonly database: Database;
  readonly memory: StoreMemory;
  readonly settler: Settler;
  readonly maintenance: Maintenance;
  readonly orphans: Orphans;
  /** True after a failure that DuckDB only recovers from by opening the file again. */
  broken: boolean;
}

type SessionWork<Result> = (session: Session) => Promise<Result>;

function dictionaryOf({ dictionary }: StoreMemory) {
  return dictionary;
}
