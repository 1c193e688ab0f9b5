/** What a group has settled of a publisher when an event of it comes. */
export interface SettledBefore {
  /** The highest `seq` of the event's epoch, undefined where it is the first of its epoch. */
  readonly seq: number | undefined;
  /** Whether anything of an earlier epoch of the publisher was settled. */
  readonly earlierEpoch: () => boolean;
}

/**
 * How many events are missing between what a group has settled of a publisher and the next event that it is given: `seq` is dense from 1 in
 * an epoch, and a group is given all that is published since it was declared. So the first of an epoch may have another number than 1 only
 * where the group may have been declared during that epoch; not where it has settled an earlier one, for then it was there before. An event at
 * or below the settled one was delivered again, and nothing is missing before it.
 */
export function missingBefore(seq: number, settled: SettledBefore): number {
  if (settled.seq !== undefined) return Math.max(0, seq - settled.seq - 1);
  return seq > 1 && settled.earlierEpoch() ? seq - 1 : 0;
}
