/**
 * A keyed 128-bit hash of short strings: two independent HalfSipHash-1-3 lanes of 64 bits (Aumasson and Bernstein, "SipHash: a fast
 * short-input PRF", 2012, in its variant for 32-bit words). Keyed, because a device chooses its message ids and must not be able to make
 * them collide with another machine's. Written in 32-bit arithmetic on locals: a native digest of a 40-character id costs several times
 * as much, most of it in crossing into C++ (bench/ingestion.ts prints both).
 */
export class KeyedHash {
  readonly #key: Int32Array;
  /** The hash of the last call, four 32-bit words of which the first is never 0: a field, so that the hot path allocates nothing. */
  readonly words = new Int32Array(4);

  /** @param key 16 bytes from a cryptographic source, drawn anew by each process. */
  constructor(key: Uint8Array) {
    if (key.byteLength !== 16) throw new RangeError(`the key takes 16 bytes, got ${key.byteLength}`);
    this.#key = new Int32Array(key.slice().buffer);
  }

  /** The state after absorbing `prefix`: computed once a machine, so that a message pays for its id alone. */
  scope(prefix: string): HashScope {
    const [k0 = 0, k1 = 0, k2 = 0, k3 = 0] = this.#key;
    const initial = [k0, k1, 0x6c796765 ^ k0, 0x74656462 ^ k1, k2, k3, 0x6c796765 ^ k2, 0x74656462 ^ k3];
    const state = Int32Array.from(initial);
    absorb(state, prefix, state);
    return state;
  }

  /** Hashes `text` after the scope's prefix into {@link words}. */
  hash(scope: HashScope, text: string): void {
    absorb(scope, text, this.#state);
    finish(this.#state, 0, this.words);
    finish(this.#state, 4, this.words);
    if (this.words[0] === 0) this.words[0] = 1;
  }

  readonly #state = new Int32Array(8);
}

/** Four words of state for each of the two lanes. */
export type HashScope = Int32Array;

/** One compression round a word of two UTF-16 units, both lanes in step; the length closes the text, so that no text is another's prefix. */
function absorb(from: HashScope, text: string, into: Int32Array): void {
  let a0 = from[0]!;
  let a1 = from[1]!;
  let a2 = from[2]!;
  let a3 = from[3]!;
  let b0 = from[4]!;
  let b1 = from[5]!;
  let b2 = from[6]!;
  let b3 = from[7]!;
  const length = text.length;
  for (let i = 0; i <= length; i += 2) {
    let word: number;
    if (i + 1 < length) word = text.charCodeAt(i) | (text.charCodeAt(i + 1) << 16);
    else if (i < length) word = text.charCodeAt(i) | (~length << 16);
    else word = ~length;
    a3 ^= word;
    a0 = (a0 + a1) | 0;
    a1 = ((a1 << 5) | (a1 >>> 27)) ^ a0;
    a0 = (a0 << 16) | (a0 >>> 16);
    a2 = (a2 + a3) | 0;
    a3 = ((a3 << 8) | (a3 >>> 24)) ^ a2;
    a0 = (a0 + a3) | 0;
    a3 = ((a3 << 7) | (a3 >>> 25)) ^ a0;
    a2 = (a2 + a1) | 0;
    a1 = ((a1 << 13) | (a1 >>> 19)) ^ a2;
    a2 = (a2 << 16) | (a2 >>> 16);
    a0 ^= word;
    b3 ^= word;
    b0 = (b0 + b1) | 0;
    b1 = ((b1 << 5) | (b1 >>> 27)) ^ b0;
    b0 = (b0 << 16) | (b0 >>> 16);
    b2 = (b2 + b3) | 0;
    b3 = ((b3 << 8) | (b3 >>> 24)) ^ b2;
    b0 = (b0 + b3) | 0;
    b3 = ((b3 << 7) | (b3 >>> 25)) ^ b0;
    b2 = (b2 + b1) | 0;
    b1 = ((b1 << 13) | (b1 >>> 19)) ^ b2;
    b2 = (b2 << 16) | (b2 >>> 16);
    b0 ^= word;
  }
  into[0] = a0;
  into[1] = a1;
  into[2] = a2;
  into[3] = a3;
  into[4] = b0;
  into[5] = b1;
  into[6] = b2;
  into[7] = b3;
}

/** Three closing rounds, twice: 64 bits of one lane. */
function finish(state: Int32Array, lane: 0 | 4, words: Int32Array): void {
  let v0 = state[lane]!;
  let v1 = state[lane + 1]! ^ 0xee;
  let v2 = state[lane + 2]! ^ 0xee;
  let v3 = state[lane + 3]!;
  for (let half = 0; half < 2; half++) {
    for (let round = 0; round < 3; round++) {
      v0 = (v0 + v1) | 0;
      v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
      v0 = (v0 << 16) | (v0 >>> 16);
      v2 = (v2 + v3) | 0;
      v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
      v0 = (v0 + v3) | 0;
      v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
      v2 = (v2 + v1) | 0;
      v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
      v2 = (v2 << 16) | (v2 >>> 16);
    }
    words[(lane >> 1) + half] = v1 ^ v3;
    v1 ^= 0xdd;
  }
}
