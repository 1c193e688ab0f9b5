import { sql, type Generated } from 'kysely';
import type { Migration } from './migrate.ts';
import type { MovedTable } from './movable-tables.ts';

export interface AlarmSchema {
  alarm: AlarmRow;
  journal_entry: JournalRow;
  outbox: OutboxRow;
  announced: AnnouncedRow;
}

/** The fold of an alarm's entries, with the columns by which it is looked for. */
export interface AlarmRow {
  id: string;
  tenant: string;
  site: string;
  machine: string;
  state: string;
  priority: string;
  raised_at_ms: number;
  active: number;
  shelved_until_ms: number | null;
  document: string;
}

export interface JournalRow {
  /** Rises with the order of recording. */
  position: Generated<number>;
  /** The transition's journal key. */
  key: string;
  alarm_id: string;
  sequence: number;
  tenant: string;
  machine: string;
  state_before: string;
  state_after: string;
  recorded_at_ms: number;
  transition: string;
}

export interface OutboxRow {
  position: Generated<number>;
  id: string;
  destination: string;
  machine: string;
  attempts: number;
  due_at_ms: number;
  created_at_ms: number;
  dead_at_ms: Generated<number | null>;
  error_code: Generated<string | null>;
  error_detail: Generated<string | null>;
  notice: string;
}

/** The newest announcement of each subject. */
export interface AnnouncedRow {
  subject: string;
  kind: string;
  id: string;
  machine: string;
  notice: string;
}

const migrations: readonly Migration[] = [
  {
    version: 1,
    up: async (db, { text, rowId, lastingRowId }) => {
      await sql`create table alarm (
        id ${text} primary key, tenant ${text} not null, site ${text} not null, machine ${text} not null,
        state ${text} not null, priority ${text} not null, raised_at_ms bigint not null, active integer not null,
        shelved_until_ms bigint, document ${text} not null)`.execute(db);
      await sql`create index alarm_newest on alarm (tenant, raised_at_ms desc, id)`.execute(db);
      await sql`create index alarm_open on alarm (tenant, machine) where state <> 'normal'`.execute(db);
      await sql`create index alarm_active on alarm (id) where active = 1`.execute(db);
      await sql`create index alarm_shelved on alarm (shelved_until_ms) where shelved_until_ms is not null`.execute(db);
      await sql`create table journal_entry (
        position ${rowId}, key ${text} not null unique, alarm_id ${text} not null, sequence integer not null,
        tenant ${text} not null, machine ${text} not null, state_before ${text} not null,
        state_after ${text} not null, recorded_at_ms bigint not null, transition ${text} not null,
        unique (alarm_id, sequence))`.execute(db);
      await sql`create index journal_entry_time on journal_entry (tenant, position)`.execute(db);
      // A position is not used again when the newest message has been delivered and deleted.
      await sql`create table outbox (
        position ${lastingRowId}, id ${text} not null unique, destination ${text} not null, machine ${text} not null,
        attempts integer not null, due_at_ms bigint not null, created_at_ms bigint not null, dead_at_ms bigint,
        error_code ${text}, error_detail ${text}, notice ${text} not null)`.execute(db);
      await sql`create index outbox_waiting on outbox (destination, position) where dead_at_ms is null`.execute(db);
      await sql`create index outbox_dead on outbox (dead_at_ms) where dead_at_ms is not null`.execute(db);
    },
  },
  {
    version: 2,
    up: async (db) => {
      await sql`create index journal_entry_recorded on journal_entry (tenant, recorded_at_ms, position)`.execute(db);
    },
  },
  {
    version: 3,
    up: async (db, { text }) => {
      await sql`create table announced (
        subject ${text} primary key, kind ${text} not null, id ${text} not null, machine ${text} not null,
        notice ${text} not null)`.execute(db);
      await sql`create index announced_kind on announced (kind, subject)`.execute(db);
    },
  },
];

export const alarmTables = { component: 'alarm-journal', migrations } as const;

/** Positions are given anew, in the same order. */
export const movedAlarmTables: readonly MovedTable[] = [
  {
    name: 'alarm',
    columns: [
      'id',
      'tenant',
      'site',
      'machine',
      'state',
      'priority',
      'raised_at_ms',
      'active',
      'shelved_until_ms',
      'document',
    ],
    order: ['id'],
  },
  {
    name: 'journal_entry',
    columns: [
      'key',
      'alarm_id',
      'sequence',
      'tenant',
      'machine',
      'state_before',
      'state_after',
      'recorded_at_ms',
      'transition',
    ],
    order: ['position'],
  },
  {
    name: 'outbox',
    columns: [
      'id',
      'destination',
      'machine',
      'attempts',
      'due_at_ms',
      'created_at_ms',
      'dead_at_ms',
      'error_code',
      'error_detail',
      'notice',
    ],
    order: ['position'],
  },
  { name: 'announced', columns: ['subject', 'kind', 'id', 'machine', 'notice'], order: ['subject'] },
];

/** The lock of all that writes: entries have the order of their positions, and who tells and who forgets messages wait for one another in turn. */
export const JOURNAL_LOCK = 'journal';
