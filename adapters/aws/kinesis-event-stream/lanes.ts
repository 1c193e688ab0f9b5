const HASH_KEYS = 2n ** 128n;

/** The middle of the lane's part of Kinesis's hash keys: however shards are split and merged, it is in one open shard. */
export function hashKeyOf(lane: number, lanes: number): string {
  return String((HASH_KEYS * BigInt(2 * lane + 1)) / BigInt(2 * lanes));
}
