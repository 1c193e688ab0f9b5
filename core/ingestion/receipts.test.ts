import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { MachineKey } from '../domain/ids.ts';
import { KeyedHash } from './keyed-hash.ts';
import { Receipts, type ReceiptScope } from './receipts.ts';

const KEY = Uint8Array.from({ length: 16 }, (_, i) => i * 17);
const PRESS = 'acme/akron/press-7' as MachineKey;
const PUMP = 'acme/akron/pump-2' as MachineKey;

function make(maxPerGeneration = 1000, windowMs = 60_000): Receipts {
  return new Receipts({ key: KEY, windowMs, maxPerGeneration }, 0);
}

function add(receipts: Receipts, scope: ReceiptScope, id: string, ts: number): void {
  receipts.has(scope, id);
  const [w0 = 0, w1 = 0, w2 = 0, w3 = 0] = receipts.words;
  receipts.add(scope, ts, w0, w1, w2, w3);
}

describe('receipts', () => {
  it('agree with a set, whatever the ids', () => {
    const step = fc.tuple(fc.constantFrom(PRESS, PUMP), fc.string({ maxLength: 6 }));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
        const receipts = make();
        const model = new Set<string>();
        for (const [machine, id] of steps) {
          const scope = receipts.scope(machine);
          if (receipts.has(scope, id) !== model.has(`${machine} ${id}`)) return false;
          add(receipts, scope, id, 0);
          model.add(`${machine} ${id}`);
        }
        return receipts.size === model.size;
      }),
    );
  });

  it('hold 300,000 ids without a false answer, in less than 48 bytes each', () => {
    const receipts = make(1_000_000);
    const scope = receipts.scope(PRESS);
    for (let i = 0; i < 300_000; i++) add(receipts, scope, `id-${i}`, i);
    for (let i = 0; i < 300_000; i++) if (!receipts.has(scope, `id-${i}`)) throw new Error(`id-${i} is missing`);
    for (let i = 300_000; i < 400_000; i++)
      if (receipts.has(scope, `id-${i}`)) throw new Error(`id-${i} was never added`);
    expect(receipts.byteLength / receipts.size).toBeLessThan(48);
  });

  it('are bounded by count: two generations at most', () => {
    const receipts = make(100);
    const scope = receipts.scope(PRESS);
    for (let i = 0; i < 1000; i++) add(receipts, scope, `id-${i}`, i);
    expect(receipts.size).toBeLessThanOrEqual(200);
    expect(receipts.has(scope, 'id-999')).toBe(true);
    expect(receipts.has(scope, 'id-899')).toBe(true);
    expect(receipts.has(scope, 'id-0')).toBe(false);
  });

  it('are kept for the window and dropped after twice as long', () => {
    const receipts = make(100, 1000);
    const scope = receipts.scope(PRESS);
    add(receipts, scope, 'a', 0);
    receipts.advance(1000);
    expect(receipts.has(scope, 'a')).toBe(true);
    receipts.advance(2000);
    expect(receipts.has(scope, 'a')).toBe(false);
  });

  it('say of every event that was dropped, or came with a ts as old, that it must be looked up', () => {
    const event = fc.record({ machine: fc.constantFrom(PRESS, PUMP), ts: fc.integer({ min: 0, max: 500 }) });
    fc.assert(
      fc.property(fc.array(event, { maxLength: 300 }), fc.integer({ min: 1, max: 40 }), (events, max) => {
        const receipts = make(max);
        events.forEach(({ machine, ts }, i) => add(receipts, receipts.scope(machine), `id-${i}`, ts));
        return events.every(({ machine, ts }, i) => {
          const scope = receipts.scope(machine);
          return receipts.has(scope, `id-${i}`) || receipts.mustVerify(scope, ts);
        });
      }),
    );
  });

  it('do not send a machine whose times rise to the store, however many receipts were dropped', () => {
    const receipts = make(50);
    const scope = receipts.scope(PRESS);
    for (let i = 0; i < 1000; i++) {
      if (receipts.mustVerify(scope, i)) throw new Error(`event ${i} would be looked up`);
      add(receipts, scope, `id-${i}`, i);
    }
  });

  it('look an event up after an append of it failed', () => {
    const receipts = make();
    receipts.doubt(receipts.scope(PRESS), 1000);
    expect(receipts.mustVerify(receipts.scope(PRESS), 1000)).toBe(true);
    expect(receipts.mustVerify(receipts.scope(PRESS), 1001)).toBe(false);
    expect(receipts.mustVerify(receipts.scope(PUMP), 1000)).toBe(false);
  });
});

describe('the keyed hash', () => {
  const words = (key: Uint8Array, prefix: string, text: string) => {
    const keyed = new KeyedHash(key);
    keyed.hash(keyed.scope(prefix), text);
    return [...keyed.words].join();
  };

  it('depends on the key, the prefix and the text, and on where the prefix ends', () => {
    const other = KEY.map((byte) => byte ^ 1);
    const hashes = [words(KEY, 'ab', 'c'), words(KEY, 'a', 'bc'), words(KEY, 'abc', ''), words(other, 'ab', 'c')];
    expect(new Set(hashes).size).toBe(4);
    expect(words(KEY, 'ab', 'c')).toBe(hashes[0]);
  });

  it('changes about half of its bits with any bit of the text', () => {
    const bits = (text: string) => words(KEY, 'p', text).split(',').map(Number);
    let changed = 0;
    const samples = 200;
    for (let i = 0; i < samples; i++) {
      const before = bits(`message-${i}`);
      const after = bits(`message-${i}`.replace('m', 'l'));
      before.forEach((word, at) => {
        for (let diff = word ^ (after[at] ?? 0); diff !== 0; diff &= diff - 1) changed++;
      });
    }
    expect(changed / samples).toBeGreaterThan(60);
    expect(changed / samples).toBeLessThan(68);
  });

  it('refuses a key of another length', () => {
    expect(() => new KeyedHash(new Uint8Array(8))).toThrow(RangeError);
  });
});
