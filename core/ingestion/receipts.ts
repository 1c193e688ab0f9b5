import type { MachineKey } from '../domain/ids.ts';
import { KeyedHash, type HashScope } from './keyed-hash.ts';

export interface ReceiptsOptions {
  /** 16 random bytes of this process. */
  readonly key: Uint8Array;
  /** A receipt is kept at least this long, and at most twice as long, unless `maxPerGeneration` ends it sooner. */
  readonly windowMs: number;
  /** Receipts a generation; two generations are held. One receipt takes 16 bytes at a load of 0.37 to 0.75. */
  readonly maxPerGeneration: number;
}

/**
 * Which events were accepted lately, so that the same event twice is stored once (ledger.md, "Receipts"): two generations of a set of
 * keyed 128-bit hashes in typed arrays, bounded by count and by time.
 *
 * What the set no longer holds is never guessed. For each machine it remembers the newest `ts` among the receipts it has dropped: an
 * event with a later `ts` cannot be one of those, whatever any clock did meanwhile; an event at or before it must be looked up among the
 * stored ones ({@link mustVerify}).
 */
export class Receipts {
  readonly #options: ReceiptsOptions;
  readonly #hash: KeyedHash;
  readonly #scopes = new Map<MachineKey, ReceiptScope>();
  #current: Generation;
  #previous: Generation;
  #currentSinceMs: number;
  /** Nothing is known of events at or before it, of any machine: where the log's tail began at start. */
  #floorTs = -Infinity;

  constructor(options: ReceiptsOptions, monotonicMs: number) {
    this.#options = options;
    this.#hash = new KeyedHash(options.key);
    this.#current = new Generation();
    this.#previous = new Generation();
    this.#currentSinceMs = monotonicMs;
  }

  /** The machine's part of the set. Kept for good: a few hundred bytes for each machine that ever sent something it could keep. */
  scope(machine: MachineKey): ReceiptScope {
    let scope = this.#scopes.get(machine);
    if (scope === undefined) {
      scope = {
        hash: this.#hash.scope(machine),
        newestTs: -Infinity,
        previousNewestTs: -Infinity,
        verifyUpToTs: -Infinity,
      };
      this.#scopes.set(machine, scope);
    }
    return scope;
  }

  /** Whether the event was accepted; leaves its hash in {@link words} for {@link add}. */
  has(scope: ReceiptScope, eventId: string): boolean {
    this.#hash.hash(scope.hash, eventId);
    const words = this.#hash.words;
    const w0 = words[0]!;
    const w1 = words[1]!;
    const w2 = words[2]!;
    const w3 = words[3]!;
    return this.#current.has(w0, w1, w2, w3) || this.#previous.has(w0, w1, w2, w3);
  }

  /** The four words of the hash that {@link has} just computed. Overwritten by the next call. */
  get words(): Int32Array {
    return this.#hash.words;
  }

  /** Remembers an event that is durable. `ts` is the event's own time. */
  add(scope: ReceiptScope, ts: number, w0: number, w1: number, w2: number, w3: number): void {
    if (this.#current.size >= this.#options.maxPerGeneration) this.#rotate();
    this.#current.add(w0, w1, w2, w3);
    if (ts > scope.newestTs) scope.newestTs = ts;
  }

  /** True where an event of this time could have been accepted without a receipt being left of it. */
  mustVerify(scope: ReceiptScope, ts: number): boolean {
    return ts <= scope.verifyUpToTs || ts <= this.#floorTs;
  }

  /** An append of this event failed without saying whether it is durable: if it comes again it is looked up. */
  doubt(scope: ReceiptScope, ts: number): void {
    if (ts > scope.verifyUpToTs) scope.verifyUpToTs = ts;
  }

  /** After the log's tail was read back: receipts are complete for events with a later `ts` than this. */
  coverFrom(ts: number): void {
    this.#floorTs = ts;
  }

  /** Drops the older generation when the window has passed. */
  advance(monotonicMs: number): void {
    if (monotonicMs - this.#currentSinceMs < this.#options.windowMs) return;
    this.#rotate();
    this.#currentSinceMs = monotonicMs;
  }

  get size(): number {
    return this.#current.size + this.#previous.size;
  }

  get byteLength(): number {
    return this.#current.byteLength + this.#previous.byteLength;
  }

  #rotate(): void {
    this.#previous = this.#current;
    this.#current = new Generation();
    for (const scope of this.#scopes.values()) {
      if (scope.previousNewestTs > scope.verifyUpToTs) scope.verifyUpToTs = scope.previousNewestTs;
      scope.previousNewestTs = scope.newestTs;
      scope.newestTs = -Infinity;
    }
  }
}

/** One machine's part; the fields are Receipts' own. */
export interface ReceiptScope {
  readonly hash: HashScope;
  /** Newest event time of the current generation, and of the one before. */
  newestTs: number;
  previousNewestTs: number;
  verifyUpToTs: number;
}

const EMPTY = new Int32Array(0);
const SEGMENTS = 256;
const WORDS = 4;
const FIRST_SLOTS = 16;
const MAX_LOAD = 0.75;

/** A set of 128-bit values. In segments that grow one at a time, so that no insert waits for a large table to be rebuilt. */
class Generation {
  readonly #segments: Int32Array[] = Array.from({ length: SEGMENTS }, () => EMPTY);
  readonly #counts = new Int32Array(SEGMENTS);
  size = 0;

  has(w0: number, w1: number, w2: number, w3: number): boolean {
    const table = this.#segments[w0 & (SEGMENTS - 1)]!;
    return (table[find(table, w0, w1, w2, w3)] ?? 0) !== 0;
  }

  add(w0: number, w1: number, w2: number, w3: number): void {
    const segment = w0 & (SEGMENTS - 1);
    let table = this.#segments[segment]!;
    if (this.#counts[segment]! >= (table.length / WORDS) * MAX_LOAD) table = this.#grow(segment, table);
    const at = find(table, w0, w1, w2, w3);
    if (table[at] !== 0) return;
    table[at] = w0;
    table[at + 1] = w1;
    table[at + 2] = w2;
    table[at + 3] = w3;
    this.#counts[segment]!++;
    this.size++;
  }

  get byteLength(): number {
    return this.#segments.reduce((sum, table) => sum + table.byteLength, 0);
  }

  #grow(segment: number, old: Int32Array): Int32Array {
    const table = new Int32Array(old.length === 0 ? FIRST_SLOTS * WORDS : old.length * 2);
    for (let i = 0; i < old.length; i += WORDS) {
      if (old[i] === 0) continue;
      const at = find(table, old[i]!, old[i + 1]!, old[i + 2]!, old[i + 3]!);
      for (let word = 0; word < WORDS; word++) table[at + word] = old[i + word]!;
    }
    this.#segments[segment] = table;
    return table;
  }
}

/** Index of the value's first word, or of the free slot where it would go. The first word of a value is never 0. */
function find(table: Int32Array, w0: number, w1: number, w2: number, w3: number): number {
  const mask = table.length - 1;
  let at = (w1 * WORDS) & mask;
  for (;;) {
    const first = table[at];
    if (first === undefined || first === 0) return at;
    if (first === w0 && table[at + 1] === w1 && table[at + 2] === w2 && table[at + 3] === w3) return at;
    at = (at + WORDS) & mask;
  }
}
