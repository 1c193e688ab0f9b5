import { sql, type Compilable, type Transaction } from 'kysely';
import { journalKey, type JournalKnowledge, type TransitionPlan } from '#core/alerting/plan-transitions.ts';
import type { Alarm, AlarmTransition } from '#core/domain/alarm.ts';
import { machineRef, type AlarmId, type MachineKey } from '#core/domain/ids.ts';
import type { AlarmRow, AlarmSchema } from './alarm-tables.ts';
import { chunks } from './chunks.ts';
import { CompiledOnce } from './compiled-once.ts';

type Db = Transaction<AlarmSchema>;
type Document = Pick<AlarmRow, 'document'>;

/** The statements of recording, which an alarm's latency waits for: a few, however many transitions there are. */
export class AlarmRecording {
  readonly #statements = new CompiledOnce<AlarmSchema>();

  /** What the tables hold that bears on the transitions. */
  async knowledgeFor(db: Db, transitions: readonly AlarmTransition[]): Promise<JournalKnowledge> {
    const recorded = await this.#recordedFor(db, transitions.map(journalKey));
    const ids = new Set<AlarmId>();
    const machines = new Set<MachineKey>();
    for (const transition of transitions) {
      const alarmId = 'alarmId' in transition ? transition.alarmId : recorded.get(journalKey(transition));
      if (alarmId !== undefined) ids.add(alarmId);
      else if ('machine' in transition) machines.add(transition.machine);
    }
    const alarms = new Map<AlarmId, Alarm>();
    const keep = ({ document }: Document): void => {
      const alarm = JSON.parse(document) as Alarm;
      alarms.set(alarm.id, alarm);
    };
    for (const some of chunks([...ids])) (await this.#alarms(db, some)).forEach(keep);
    for (const some of chunks([...machines])) (await this.#openOf(db, some)).forEach(keep);
    return { recorded, alarms: alarms.values() };
  }

  /** Appends and replaces what the plan says, in the transaction in which it was made. */
  async write(db: Db, { alarms, entries, messages }: TransitionPlan): Promise<void> {
    await this.#putAlarms(db, alarms.map(alarmRow));
    const machineOf = new Map(alarms.map(({ id, machine }) => [id, machine]));
    const entryRows = entries.map((entry) => {
      const machine = machineOf.get(entry.alarmId)!;
      return {
        key: entry.key,
        alarm_id: entry.alarmId,
        sequence: entry.sequence,
        tenant: machineRef(machine).tenant,
        machine,
        state_before: entry.stateBefore,
        state_after: entry.stateAfter,
        recorded_at_ms: entry.recordedAtMs,
        transition: JSON.stringify(entry.transition),
      };
    });
    await this.#insert(db, 'journal_entry', entryRows, (rows) => db.insertInto('journal_entry').values(rows));
    const messageRows = messages.map(({ id, destination, machine, dueAtMs, createdAtMs, notice }) => ({
      ...{ id, destination, machine, attempts: 0, due_at_ms: dueAtMs, created_at_ms: createdAtMs },
      notice: JSON.stringify(notice),
    }));
    await this.#insert(db, 'outbox', messageRows, (rows) => db.insertInto('outbox').values(rows));
  }

  async #recordedFor(db: Db, keys: readonly string[]): Promise<ReadonlyMap<string, AlarmId>> {
    const recorded = new Map<string, AlarmId>();
    for (const some of chunks(keys)) {
      const shape = { name: 'recorded', rows: some.length, parameters: [...some] };
      const rows = await this.#statements.execute(db, shape, () =>
        db.selectFrom('journal_entry').select(['key', 'alarm_id']).where('key', 'in', some),
      );
      for (const row of rows) recorded.set(row.key, row.alarm_id as AlarmId);
    }
    return recorded;
  }

  #alarms(db: Db, ids: readonly AlarmId[]): Promise<readonly Document[]> {
    const shape = { name: 'alarms', rows: ids.length, parameters: [...ids] };
    return this.#statements.execute(db, shape, () => db.selectFrom('alarm').select('document').where('id', 'in', ids));
  }

  #openOf(db: Db, machines: readonly MachineKey[]): Promise<readonly Document[]> {
    const tenants = [...new Set(machines.map((machine) => machineRef(machine).tenant))];
    const shape = { name: `open of ${tenants.length}`, rows: machines.length, parameters: [...tenants, ...machines] };
    return this.#statements.execute(db, shape, () =>
      db
        .selectFrom('alarm')
        .select('document')
        .where('tenant', 'in', tenants)
        .where('machine', 'in', machines)
        // As the index says it.
        .where(sql<boolean>`state <> 'normal'`),
    );
  }

  #putAlarms(db: Db, alarms: readonly AlarmRow[]): Promise<void> {
    return this.#insert(db, 'alarm', alarms, (rows) =>
      db
        .insertInto('alarm')
        .values(rows)
        .onConflict((conflict) =>
          conflict.column('id').doUpdateSet((row) => ({
            state: row.ref('excluded.state'),
            priority: row.ref('excluded.priority'),
            active: row.ref('excluded.active'),
            shelved_until_ms: row.ref('excluded.shelved_until_ms'),
            document: row.ref('excluded.document'),
          })),
        ),
    );
  }

  async #insert<Row extends object>(
    db: Db,
    name: string,
    rows: readonly Row[],
    build: (rows: readonly Row[]) => Compilable,
  ): Promise<void> {
    for (const some of chunks(rows)) {
      const parameters = some.flatMap((row) => Object.values(row) as unknown[]);
      await this.#statements.execute(db, { name, rows: some.length, parameters }, () => build(some));
    }
  }
}

function alarmRow(alarm: Alarm): AlarmRow {
  const { tenant, site } = machineRef(alarm.machine);
  const { id, machine, state, priority, raisedAtMs, silence } = alarm;
  return {
    ...{ id, tenant, site, machine, state, priority },
    raised_at_ms: Math.floor(raisedAtMs),
    active: alarm.active ? 1 : 0,
    shelved_until_ms: silence && 'untilMs' in silence ? Math.ceil(silence.untilMs) : null,
    document: JSON.stringify(alarm),
  };
}
