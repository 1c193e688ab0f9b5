import { describe, expect, it } from '@jest/globals';
import { subnetRange } from './subnet-range.ts';

describe('parts of a network', () => {
  it.each([
    { range: '10.40.0.0/16', part: 0, is: '10.40.0.0/20' },
    { range: '10.40.0.0/16', part: 4, is: '10.40.64.0/20' },
    { range: '10.40.0.0/16', part: 15, is: '10.40.240.0/20' },
    { range: '192.168.16.0/20', part: 3, is: '192.168.19.0/24' },
    { range: '172.16.128.0/17', part: 9, is: '172.16.200.0/21' },
  ])('number $part of $range is $is', ({ range, part, is }) => {
    expect(subnetRange(range, part)).toBe(is);
  });

  it('has no part beyond the sixteenth', () => {
    expect(() => subnetRange('10.40.0.0/16', 16)).toThrow('a network has the parts 0..15, got 16');
  });
});
