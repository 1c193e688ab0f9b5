import { describe, expect, it } from '@jest/globals';
import type { TenantId } from '#core/domain/ids.ts';
import { acceptedBehindParts, acceptedInParts } from './accepted-in-parts.ts';

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

describe('what a stream without parts has accepted', () => {
  it.each([
    ['nothing but what it says, whatever was settled of it', { '': 90 }, 10],
    ['what was settled before, of the parts of another stream', { '': 2, 'edge.0/1': 3, 'edge.0/2': 4 }, 17],
  ])('counts %s', (_what, settled, accepted) => {
    expect(acceptedBehindParts(of(10), settledOf(settled))).toEqual(of(accepted));
  });

  it('counts a tenant of which it has nothing itself', () => {
    expect(acceptedBehindParts(new Map(), settledOf({ 'edge.0/1': 3 }))).toEqual(of(3));
  });
});
