import type { CallOptions } from '../errors.ts';
import type { Announced, Announcement } from '../announcing/announcement.ts';
import type { Alarm, AlarmState, AlarmTransition, JournalEntry } from '../domain/alarm.ts';
import type { AlarmId, MachineKey, SiteId, TenantId } from '../domain/ids.ts';
import type { AlarmPriority } from '../domain/rule.ts';

/**
 * The append-only journal of alarms, which is the truth, with the alarms folded from it for reading. Alarms' rules of behaviour are
 * core/domain/alarm.ts and core/alerting/plan-transitions.ts: an adapter runs them inside its transaction and keeps what they say.
 */
export interface AlarmJournal {
  /**
   * Records transitions in their order, in ONE durable transaction with the outbox rows that tell of them. One result a transition,
   * in the same order. A transition whose id was recorded before changes nothing; one that is not allowed now changes nothing and says
   * why; both leave the others alone. Safe to call concurrently, also from several processes. Makes one attempt.
   * @throws PortError invalid_argument, resource_exhausted (disk full), unavailable: then nothing of the call was recorded.
   */
  record(
    transitions: readonly AlarmTransition[],
    options?: CallOptions & RecordOptions,
  ): Promise<readonly RecordedTransition[]>;

  /** The alarm, or undefined where there is none of that id in the tenant. */
  alarm(tenant: TenantId, id: AlarmId, options?: CallOptions): Promise<Alarm | undefined>;

  /** Newest raised first, then by id. */
  list(query: AlarmQuery, options?: CallOptions): Promise<readonly Alarm[]>;

  /** The alarm's entries, oldest first, after `afterSequence`; at most `limit` (1 to 10,000). Their fold is the alarm. */
  journal(
    alarmId: AlarmId,
    page: { readonly afterSequence: number; readonly limit: number },
    options?: CallOptions,
  ): Promise<readonly JournalEntry[]>;

  /** Entries of a tenant in order of recording, for figures over a period; at most `limit`, strictly after the cursor. */
  entries(query: EntryQuery, options?: CallOptions): Promise<EntryPage>;

  /** What is open by machine; machines without an open alarm are absent. Replayed alarms are counted like others. */
  openCounts(tenant: TenantId, options?: CallOptions): Promise<ReadonlyMap<MachineKey, OpenCount>>;

  /** Alarms with an active part, of all tenants, in order of id, strictly after `after`: an engine without a snapshot adopts them. */
  activeAlarms(
    page: { readonly after?: AlarmId; readonly limit: number },
    options?: CallOptions,
  ): Promise<readonly Alarm[]>;

  /** Alarms whose timed shelving ended at or before `nowMs`, soonest first; at most `limit`. */
  dueShelvings(nowMs: number, limit: number, options?: CallOptions): Promise<readonly Alarm[]>;

  /** Calls back, soon and at least once, after entries were recorded here or by another process; returns how to stop. */
  onChange(listener: () => void): () => void;

  /** Waits for what is under way. Idempotent. */
  close(): Promise<void>;
}

/**
 * What there is to tell the world, of alarms and besides ({@link Announcements}), each message until it was told: at least once, with a stable id, in order of recording. A
 * message that failed and waits for its next attempt is overtaken by later ones; who needs the order marks no failure and stops there.
 */
export interface AlarmOutbox {
  /** Messages that are due, oldest first. */
  pendingMessages(query: OutboxQuery, options?: CallOptions): Promise<readonly OutboxMessage[]>;
  /** Forgets messages that were told; unknown ids are no error. */
  markDelivered(ids: readonly string[], options?: CallOptions): Promise<void>;
  /** Notes a failed attempt and when the next one is due; without `dueAtMs` the message becomes a dead letter. */
  markFailed(
    id: string,
    failure: { readonly code: string; readonly detail: string; readonly dueAtMs?: number },
    options?: CallOptions,
  ): Promise<void>;
  /** Messages that nobody will be told unless somebody acts, newest created first, then by id, downwards. */
  deadMessages(query: DeadMessageQuery, options?: CallOptions): Promise<readonly OutboxMessage[]>;
  /** Puts a dead letter back to be tried again from the beginning. @throws PortError not_found. */
  retryDead(id: string, options?: CallOptions): Promise<void>;
  /** By destination: how much waits, since when, and how much is dead. Destinations with neither are absent. */
  outboxCounts(options?: CallOptions): Promise<ReadonlyMap<string, OutboxCount>>;
}

/**
 * What is told to the outside besides alarms, by the same outbox: of each subject the newest announcement is kept, so that whoever announces
 * knows after a restart what was told.
 */
export interface Announcements {
  /**
   * Keeps each announcement as its subject's newest, in ONE durable transaction with the outbox rows that tell of it. One that its subject has
   * already, by its id, changes nothing. The outbox holds a bounded number of announcements that were not delivered: the oldest go first.
   * Makes one attempt. @throws PortError resource_exhausted (disk full), unavailable: then nothing of the call was kept.
   */
  announce(
    announcements: readonly Announcement[],
    options?: CallOptions & {
      /** Names of notifiers to be told. */
      readonly notify?: readonly string[];
    },
  ): Promise<void>;
  /** The subject's newest announcement. */
  announced(subject: string, options?: CallOptions): Promise<Announcement | undefined>;
  /** The newest announcement of each subject of a kind, in order of subject, strictly after `after`; at most `limit` (1 to 10,000). */
  listAnnounced(
    query: { readonly kind: Announced['kind']; readonly after?: string; readonly limit: number },
    options?: CallOptions,
  ): Promise<readonly Announcement[]>;
  /** Forgets subjects that are no more; unknown ones are no error. What is on its way to be told still is. */
  forgetAnnounced(subjects: readonly string[], options?: CallOptions): Promise<void>;
}

/** How transitions are recorded, beside what they say. */
export interface RecordOptions {
  /** Alarms join an open one of their machine that was raised at most this long before them. Default {@link DEFAULT_CORRELATION_WINDOW_MS}. */
  readonly correlationWindowMs?: number;
  /** Names of notifiers to be told when an alarm calls for attention: becomes unacknowledged, and is not silenced or replayed. */
  readonly notify?: readonly string[];
  /** Names of notifiers to be told of each change of an alarm that is not replayed. */
  readonly notifyOfChanges?: readonly string[];
  /** Records a person's transition only while the alarm has this version (an ETag). */
  readonly expectedVersion?: number;
}

/** Five minutes. */
export const DEFAULT_CORRELATION_WINDOW_MS = 300_000;
/** The destination of messages that go to the stream `alarms`; every other destination is a notifier's name. */
export const STREAM_DESTINATION = 'stream';

/** What became of one transition. */
export type RecordedTransition =
  | { readonly outcome: 'recorded'; readonly alarm: Alarm; readonly entry: JournalEntry }
  /** Recorded before; the alarm as it is now. */
  | { readonly outcome: 'duplicate'; readonly alarm: Alarm }
  | { readonly outcome: 'illegal'; readonly reason: string; readonly alarm?: Alarm }
  /** A person's transition for an alarm that does not exist. */
  | { readonly outcome: 'not_found' }
  /** The alarm has another version than expected. */
  | { readonly outcome: 'conflict'; readonly alarm: Alarm };

/** Alarms of one tenant; what is absent does not narrow. */
export interface AlarmQuery {
  readonly tenant: TenantId;
  readonly site?: SiteId;
  readonly machine?: MachineKey;
  /** Absent means all but normal. */
  readonly states?: readonly AlarmState[];
  readonly priorities?: readonly AlarmPriority[];
  /** Raised at or after, in event time. */
  readonly fromMs?: number;
  /** Raised before. */
  readonly toMs?: number;
  /** The last alarm of the page before. */
  readonly after?: { readonly raisedAtMs: number; readonly id: AlarmId };
  /** 1 to 1,000. */
  readonly limit: number;
}

/** Journal entries of one tenant by when they were recorded; times in milliseconds since 1970. */
export interface EntryQuery {
  readonly tenant: TenantId;
  /** Recorded at or after. */
  readonly fromMs: number;
  /** Recorded before. */
  readonly toMs: number;
  readonly after?: string;
  /** 1 to 10,000. */
  readonly limit: number;
}

/** Some entries, oldest first, and where to go on. */
export interface EntryPage {
  readonly entries: readonly (JournalEntry & { readonly machine: MachineKey })[];
  /** The cursor of the next page; absent at the end. */
  readonly next?: string;
  /** The cursor of the page's last entry, from which what is recorded later can be read; absent where the page is empty. */
  readonly last?: string;
}

/** Alarms of one machine that are not normal. */
export interface OpenCount {
  readonly open: number;
  readonly active: number;
  /** Those that call for attention: unacknowledged or rtn-unacknowledged. */
  readonly unacknowledged: number;
  /** Of those open. */
  readonly worstPriority: AlarmPriority;
}

/** One thing to tell one destination. */
export interface OutboxMessage<Told extends Notice = Notice> {
  /** Stable over every attempt and restart: a receiver drops what it has seen. */
  readonly id: string;
  readonly destination: string;
  readonly machine: MachineKey;
  readonly attempts: number;
  readonly dueAtMs: number;
  readonly createdAtMs: number;
  readonly notice: Told;
  readonly lastError?: { readonly code: string; readonly detail: string };
}

/** What a message tells. */
export type Notice = AlarmNotice | Announced;

/** The kinds of {@link Notice}, as a notifier takes them: alarms when they call for attention (`alarm`), or at each change (`alarm-change`). */
export const NOTICE_KINDS = ['alarm', 'alarm-change', 'device', 'prediction'] as const satisfies readonly (
  'alarm' | 'alarm-change' | Announced['kind']
)[];
/** One of {@link NOTICE_KINDS}. */
export type NoticeKind = (typeof NOTICE_KINDS)[number];

/** Notices of alarms, the first there were, have no `kind`. */
export function isAlarmNotice(notice: Notice): notice is AlarmNotice {
  return !('kind' in notice);
}

/** An entry and the alarm right after it. The payload, as JSON, of events on the stream `alarms`. */
export interface AlarmNotice {
  readonly change: AlarmChange;
  readonly entry: JournalEntry;
  readonly alarm: Alarm;
}

/**
 * What an entry means to the outside: `raised` a new alarm, `re-raised` an alarm that calls again, `part-added` something joined an alarm
 * that already called, `part-returned` one of several conditions went, `returned` the last one did, `cleared` the alarm is normal.
 */
export type AlarmChange =
  | 'raised'
  | 're-raised'
  | 'part-added'
  | 'part-returned'
  | 'returned'
  | 'acknowledged'
  | 'cleared'
  | 'silenced'
  | 'unsilenced';

/** Messages for one destination that are due at `nowMs` (milliseconds since 1970); at most `limit`. */
export interface OutboxQuery {
  readonly destination: string;
  readonly nowMs: number;
  /** The longest delay there is: a message that seems due later than so long from now was noted by a clock that has been set back, and is due. */
  readonly longestDelayMs?: number;
  readonly limit: number;
}

/** Dead letters, newest first. */
export interface DeadMessageQuery {
  /** Absent: of all tenants. */
  readonly tenant?: TenantId;
  /** The last message of the page before. */
  readonly after?: Pick<OutboxMessage, 'createdAtMs' | 'id'>;
  /** 1 to 1,000. */
  readonly limit: number;
}

/** What one destination has still to be told. */
export interface OutboxCount {
  readonly pending: number;
  /** When the oldest pending message was created. */
  readonly oldestPendingMs?: number;
  readonly dead: number;
}
