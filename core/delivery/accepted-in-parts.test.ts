import { describe, expect, it } from '@jest/globals';
import type { TenantId } from '#core/domain/ids.ts';
import { acceptedInPartitions, acceptedInParts } from './accepted-in-parts.ts';

const north = 'north' as TenantId;
const of = (items: number) => new Map([[north, items]]);
const settledOf = (parts: Readonly<Record<string, number>>) => new Map([[north, new Map(Object.entries(parts))]]);

describe('what a stream in parts has accepted', () => {
  it.each([
    ['what was said of a part', { 'edge.0/1': 2 }, 10],
    ['what was settled of it, where that is more', { 'edge.0/1': 8 }, 12],
    ['what was settled of a part of which nothing was said', { 'edge.0/1': 2, 'edge.1/1': 3 }, 13],
    ['what was settled before, of a stream without parts', { '': 90, 'edge.0/1': 2 }, 100],
  ])('counts %s', (_what, settled, accepted) => {
    const said = new Map([['edge.0/1', of(6)], ['edge.0/2', of(4)]]); // prettier-ignore
    expect(acceptedInParts(said, settledOf(settled))).toEqual(of(accepted));
  });
});

describe('what a log in partitions has accepted', () => {
  it.each([
    ['what a partition says of itself', { 0: 2, 1: 4 }, 10],
    ['no more where more was settled: the log lost it', { 0: 8, 1: 4 }, 10],
    ['what was settled of a partition that is empty, as its events are past retention', { 0: 2, 7: 5 }, 15],
    ['what was settled before, of a stream without parts', { '': 90, 0: 2 }, 100],
  ])('counts %s', (_what, settled, accepted) => {
    const items = new Map([[0, of(6)], [1, of(4)]]); // prettier-ignore
    expect(acceptedInPartitions(items, settledOf(settled))).toEqual(of(accepted));
  });

  it('counts nothing of a tenant that its partition does not know', () => {
    const items = new Map([[0, new Map<TenantId, number>()]]);
    expect(acceptedInPartitions(items, settledOf({ 0: 5 })).get(north) ?? 0).toBe(0);
  });

  it('counts what it has where nothing is known to be settled', () => {
    expect(acceptedInPartitions(new Map([[0, of(6)]]), undefined)).toEqual(of(6));
  });
});
