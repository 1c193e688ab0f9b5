import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { JournalKnowledge, TransitionPlan } from '#core/alerting/plan-transitions.ts';
import { journalKey } from '#core/alerting/plan-transitions.ts';
import type { Alarm, AlarmTransition } from '#core/domain/alarm.ts';
import { machineRef, type AlarmId, type MachineKey } from '#core/domain/ids.ts';

/** The prepared statements of recording, which an alarm's latency waits for. Synchronous: they run within one transaction. */
export class JournalStatements {
  readonly #recordedFor: StatementSync;
  readonly #alarm: StatementSync;
  readonly #openOfMachine: StatementSync;
  readonly #putAlarm: StatementSync;
  readonly #addEntry: StatementSync;
  readonly #addMessage: StatementSync;

  constructor(database: DatabaseSync) {
    this.#recordedFor = database.prepare('select alarm_id from journal_entry where key = ?');
    this.#alarm = database.prepare('select document from alarm where id = ?');
    this.#openOfMachine = database.prepare(
      "select document from alarm where tenant = ? and machine = ? and state <> 'normal'",
    );
    this.#putAlarm = database.prepare(
      `insert into alarm (id, tenant, site, machine, state, priority, raised_at_ms, active, shelved_until_ms, document)
       values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
       on conflict (id) do update set state = ?5, priority = ?6, active = ?8, shelved_until_ms = ?9, document = ?10`,
    );
    this.#addEntry = database.prepare(
      `insert into journal_entry
       (key, alarm_id, sequence, tenant, machine, state_before, state_after, recorded_at_ms, transition)
       values (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    );
    this.#addMessage = database.prepare(
      `insert into outbox (id, destination, machine, attempts, due_at_ms, created_at_ms, notice)
       values (?, ?, ?, 0, ?, ?, ?)`,
    );
  }

  knowledgeFor(transitions: readonly AlarmTransition[]): JournalKnowledge {
    const recorded = new Map<string, AlarmId>();
    const alarms = new Map<AlarmId, Alarm>();
    const seenMachines = new Set<MachineKey>();
    for (const transition of transitions) {
      const key = journalKey(transition);
      const alarmId = this.#recordedFor.get(key)?.['alarm_id'] as AlarmId | undefined;
      if (alarmId !== undefined) recorded.set(key, alarmId);
      if ('alarmId' in transition) this.#load(transition.alarmId, alarms);
      else if (alarmId !== undefined) this.#load(alarmId, alarms);
      else if (!seenMachines.has(transition.machine)) {
        seenMachines.add(transition.machine);
        const { tenant } = machineRef(transition.machine);
        for (const row of this.#openOfMachine.all(tenant, transition.machine)) keep(row, alarms);
      }
    }
    return { recorded, alarms: alarms.values() };
  }

  write(plan: TransitionPlan): void {
    for (const alarm of plan.alarms) this.#write(alarm);
    for (const entry of plan.entries) {
      const { machine } = 'machine' in entry.transition ? entry.transition : this.#machineOf(entry.alarmId, plan);
      this.#addEntry.run(
        entry.key,
        entry.alarmId,
        entry.sequence,
        machineRef(machine).tenant,
        machine,
        entry.stateBefore,
        entry.stateAfter,
        entry.recordedAtMs,
        JSON.stringify(entry.transition),
      );
    }
    for (const { id, destination, machine, dueAtMs, createdAtMs, notice } of plan.messages) {
      this.#addMessage.run(id, destination, machine, dueAtMs, createdAtMs, JSON.stringify(notice));
    }
  }

  #write(alarm: Alarm): void {
    const { tenant, site } = machineRef(alarm.machine);
    const shelvedUntilMs = alarm.silence && 'untilMs' in alarm.silence ? alarm.silence.untilMs : null;
    this.#putAlarm.run(
      alarm.id,
      tenant,
      site,
      alarm.machine,
      alarm.state,
      alarm.priority,
      alarm.raisedAtMs,
      alarm.active ? 1 : 0,
      shelvedUntilMs,
      JSON.stringify(alarm),
    );
  }

  #machineOf(alarmId: AlarmId, plan: TransitionPlan): Alarm {
    return plan.alarms.find((alarm) => alarm.id === alarmId)!;
  }

  #load(id: AlarmId, alarms: Map<AlarmId, Alarm>): void {
    if (alarms.has(id)) return;
    const row = this.#alarm.get(id);
    if (row) keep(row, alarms);
  }
}

function keep(row: Record<string, unknown>, alarms: Map<AlarmId, Alarm>): void {
  const alarm = JSON.parse(row['document'] as string) as Alarm;
  alarms.set(alarm.id, alarm);
}
