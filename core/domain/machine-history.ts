/** What was done to a machine; a maintenance-start and the next maintenance-end bound a {@link MaintenancePeriod}. */
export const MACHINE_EVENT_KINDS = [
  'repair',
  'bearing-change',
  'maintenance-start',
  'maintenance-end',
  'note',
] as const;
export type MachineEventKind = (typeof MACHINE_EVENT_KINDS)[number];

/** A time in which people work at the machine: what it sends then is neither judged nor learned from. */
export interface MaintenancePeriod {
  readonly fromMs: number;
  /** Exclusive. */
  readonly untilMs: number;
  /** False where no end was noted: then it ends by itself, lest a forgotten note leave the machine unwatched. */
  readonly endNoted: boolean;
  readonly by: string;
  readonly text: string;
}

/** What a machine's history means for judging it. */
export interface MachineHistory {
  /** In order of time; none overlaps another. */
  readonly maintenance: readonly MaintenancePeriod[];
  /** Times of repairs and bearing changes, ascending: what was normal before one of them no longer is. */
  readonly renewedAtMs: readonly number[];
  /** By the event's id: in one sentence, what there is to know of an event that did not do what its kind says. */
  readonly remarks: ReadonlyMap<string, string>;
}

export const NO_HISTORY: MachineHistory = { maintenance: [], renewedAtMs: [], remarks: new Map() };

/** Maintenance without a noted end is over after this long. */
export const FORGOTTEN_AFTER_MS = 86_400_000;
/** An end counts up to this long after the newest start: a longer maintenance notes its start again. */
export const MAX_MAINTENANCE_MS = 7 * 86_400_000;

interface HistoryEvent {
  readonly id: string;
  readonly kind: MachineEventKind;
  readonly atMs: number;
  readonly by: string;
  readonly text: string;
}

/**
 * Reads a machine's history, oldest event first, in whatever order it was written down. A start within maintenance prolongs it; an end
 * outside of it changes nothing; both are remarked on.
 */
export function readHistory(events: readonly HistoryEvent[]): MachineHistory {
  const maintenance: MaintenancePeriod[] = [];
  const renewedAtMs: number[] = [];
  const remarks = new Map<string, string>();
  let start: { readonly first: HistoryEvent; readonly newestMs: number } | undefined;
  const end = (untilMs: number, endNoted: boolean): void => {
    if (!start) return;
    const { atMs: fromMs, by, text } = start.first;
    maintenance.push({ fromMs, untilMs, endNoted, by, text });
    start = undefined;
  };
  for (const event of events) {
    const { id, kind, atMs } = event;
    if (kind === 'repair' || kind === 'bearing-change') renewedAtMs.push(atMs);
    else if (kind === 'maintenance-start') {
      if (start && atMs <= start.newestMs + FORGOTTEN_AFTER_MS) {
        remarks.set(id, `Maintenance was under way since ${instant(start.first.atMs)}: it goes on.`);
        start = { first: start.first, newestMs: atMs };
      } else {
        if (start) end(start.newestMs + FORGOTTEN_AFTER_MS, false);
        start = { first: event, newestMs: atMs };
      }
    } else if (kind === 'maintenance-end') {
      if (start && atMs <= start.newestMs + MAX_MAINTENANCE_MS) end(atMs, true);
      else remarks.set(id, 'No maintenance was under way then: it changes nothing unless a start before it is noted.');
    }
  }
  if (start) end(start.newestMs + FORGOTTEN_AFTER_MS, false);
  return { maintenance, renewedAtMs, remarks };
}

/** The maintenance under way at a time, or at some time from `fromMs` to `toMs`. */
export function maintenanceAt(
  { maintenance }: MachineHistory,
  fromMs: number,
  toMs = fromMs,
): MaintenancePeriod | undefined {
  return maintenance.findLast((period) => period.fromMs <= toMs && period.untilMs > fromMs);
}

/** How much of the time from `fromMs` to `toMs` maintenance takes. */
export function maintainedMs({ maintenance }: MachineHistory, fromMs: number, toMs: number): number {
  return maintenance.reduce(
    (sum, period) => sum + Math.max(0, Math.min(period.untilMs, toMs) - Math.max(period.fromMs, fromMs)),
    0,
  );
}

function instant(ms: number): string {
  return new Date(ms).toISOString();
}
