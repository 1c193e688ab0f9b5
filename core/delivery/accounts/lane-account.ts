/** What a publisher has made durable of a lane, its events in order, with one seq after the other in each of its epochs. */
export interface PublishedLane {
  readonly epoch: number;
  readonly seq: number;
  /** Events of earlier epochs, in all. */
  readonly before: number;
  /** Events, of all epochs, that were past the stream's retention when more came: they wait no more. */
  readonly gone?: number;
  /** Earlier epochs, the last first, each with the events before it; only so many are known. */
  readonly older: readonly (readonly [epoch: number, before: number])[];
  /** When something was published last, milliseconds since 1970. */
  readonly atMs: number;
  /** How many events there were at some times, oldest first: about when the oldest of those that wait was published. */
  readonly times: readonly (readonly [atMs: number, events: number])[];
}

/** The last event that a group settled of a lane. */
export interface SettledLane {
  readonly epoch: number;
  readonly seq: number;
  /** When it was accepted; 0 where that is not known. */
  readonly acceptedAtMs: number;
}

const OLDER_EPOCHS = 8;
const TIMES = 8;
/** Publications within this time are one of `times`. */
const SAME_TIME_MS = 1000;

/** The lane once everything up to the event is durable, which the stream keeps that long. Of an earlier epoch, or less than before, is nothing new. */
export function publishedTo(
  lane: PublishedLane | undefined,
  { epoch, seq }: Pick<SettledLane, 'epoch' | 'seq'>,
  nowMs: number,
  retentionMs = Infinity,
): PublishedLane {
  if (!lane) return { epoch, seq, before: 0, older: [], atMs: nowMs, times: [[nowMs, seq]] };
  if (epoch < lane.epoch || (epoch === lane.epoch && seq <= lane.seq)) return lane;
  const isNew = epoch > lane.epoch;
  const before = isNew ? lane.before + lane.seq : lane.before;
  const older = isNew ? [[lane.epoch, lane.before] as const, ...lane.older].slice(0, OLDER_EPOCHS) : lane.older;
  const gone = lane.atMs < nowMs - retentionMs ? lane.before + lane.seq : lane.gone;
  const times = timesWith(lane.times, nowMs, before + seq);
  return { epoch, seq, before, ...(gone !== undefined && { gone }), older, atMs: nowMs, times };
}

/** The later of two accounts of a lane; the first where they say the same. */
export function laterOf<Lane extends Pick<SettledLane, 'epoch' | 'seq'>>(left: Lane | undefined, right: Lane): Lane {
  if (!left) return right;
  if (left.epoch !== right.epoch) return left.epoch > right.epoch ? left : right;
  return left.seq >= right.seq ? left : right;
}

/** How many events of the lane a group has still to settle, and about how old the oldest of them is, never younger than it is said to be. */
export function behind(
  lane: PublishedLane,
  settled: SettledLane | undefined,
  nowMs: number,
): { readonly events: number; readonly oldestAgeMs: number } {
  const done = Math.max(lane.gone ?? 0, settled ? settledOf(lane, settled) : 0);
  const events = lane.before + lane.seq - done;
  if (events <= 0) return { events: 0, oldestAgeMs: 0 };
  const publishedAtMs = lane.times.find(([, count]) => count > done)?.[0] ?? lane.atMs;
  const sinceMs = Math.max(publishedAtMs, settled?.acceptedAtMs ?? 0);
  return { events, oldestAgeMs: Math.max(0, nowMs - sinceMs) };
}

function settledOf({ epoch, seq, before, older }: PublishedLane, settled: SettledLane): number {
  // What its publisher has not said yet may be settled already.
  if (settled.epoch >= epoch) return settled.epoch > epoch ? before + seq : before + settled.seq;
  let next = before;
  for (const [olderEpoch, olderBefore] of older) {
    if (settled.epoch === olderEpoch) return Math.min(next, olderBefore + settled.seq);
    if (settled.epoch > olderEpoch) return next;
    next = olderBefore;
  }
  return next;
}

function timesWith(times: PublishedLane['times'], nowMs: number, events: number): PublishedLane['times'] {
  const last = times.at(-1);
  if (last && nowMs - last[0] < SAME_TIME_MS) return [...times.slice(0, -1), [last[0], events]];
  const all = [...times, [nowMs, events] as const];
  if (all.length <= TIMES) return all;
  // Two become one where that says the least wrong for its age, and the earlier time stays: nothing is said to be younger than it is.
  let least = 0;
  for (let at = 1; at < all.length - 1; at++) if (ratioAt(all, at, nowMs) < ratioAt(all, least, nowMs)) least = at;
  return [...all.slice(0, least), [all[least]![0], all[least + 1]![1]] as const, ...all.slice(least + 2)];
}

function ratioAt(times: PublishedLane['times'], at: number, nowMs: number): number {
  const [first, next] = [times[at]![0], times[at + 1]![0]];
  return (next - first) / (nowMs - first + 1);
}
