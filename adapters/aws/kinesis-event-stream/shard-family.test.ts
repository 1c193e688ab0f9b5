import { describe, expect, it } from '@jest/globals';
import type { Shard } from './client.ts';
import type { ShardLease } from './lease-table.ts';
import { childLeases, outlivedLeases, readyLeases, waitsForUnleased } from './shard-family.ts';

/** Shard 0 was split into 2 and 3, and 3 merged with 1 into 4. */
const listed: readonly Shard[] = [shard('0'), shard('1'), shard('2', '0'), shard('3', '0'), shard('4', '3', '1')];

function shard(id: string, ...parents: string[]): Shard {
  return { id, parents, isOpen: false, firstHashKey: '0' };
}

function lease(id: string, isEnded: boolean, ...parents: string[]): ShardLease {
  const unowned = { owner: undefined, fence: 0, renewals: 0, leaseMs: 0, wantedBy: undefined };
  return { shard: id, position: undefined, parents, isEnded, ...unowned };
}

const namesOf = (leases: readonly { readonly shard: string }[]) => leases.map((each) => each.shard);

describe('a shard that has ended', () => {
  it('is followed by those that it was split into', () => {
    expect(childLeases('0', listed, [lease('0', true), lease('1', false)])).toEqual([
      { shard: '2', parents: ['0'] },
      { shard: '3', parents: ['0'] },
    ]);
  });

  it('is followed by a merged one that waits for the other parent too, also while only a grandparent has a lease', () => {
    expect(childLeases('1', listed, [lease('0', false), lease('1', true)])).toEqual([
      { shard: '4', parents: ['3', '1'] },
    ]);
  });

  it('is followed by a merged one that waits for no parent from before the group was declared', () => {
    const known = [lease('1', true)];
    expect(childLeases('1', listed, known)).toEqual([{ shard: '4', parents: ['1'] }]);
  });

  it('is not followed by what has a lease', () => {
    expect(childLeases('0', listed, [lease('0', true), lease('2', true, '0'), lease('3', false, '0')])).toEqual([]);
  });
});

describe('a shard may be read', () => {
  it.each([
    ['once its parents are settled', [lease('3', true), lease('1', true), lease('4', false, '3', '1')], ['4']],
    ['not while one is not', [lease('3', false), lease('1', true), lease('4', false, '3', '1')], ['3']],
    ['not while one has no lease yet', [lease('0', false), lease('1', true), lease('4', false, '3', '1')], ['0']],
    ['when one is past the retention', [lease('1', true), lease('4', false, 'gone', '1')], ['4']],
  ])('%s', (_when, known, ready) => {
    expect(namesOf(readyLeases(known, listed))).toEqual(ready);
  });

  it('after it was asked of a parent without a lease whether that is listed', () => {
    expect(waitsForUnleased([lease('0', false), lease('4', false, '3')])).toBe(true);
    expect(waitsForUnleased([lease('3', true), lease('4', false, '3')])).toBe(false);
  });
});

it('a lease is let go of once its shard is past the retention, settled, and nobody waits for it', () => {
  const known = [lease('old', true), lease('older', true), lease('0', true), lease('2', false, 'older')];
  expect(namesOf(outlivedLeases(known, listed))).toEqual(['old']);
});
