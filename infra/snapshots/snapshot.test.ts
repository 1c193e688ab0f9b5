import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { linesOf, snapshots } from './snapshot.ts';

const KEPT = join(import.meta.dirname, 'kept');
const made = snapshots();

describe('the stacks of an environment at a cloud', () => {
  it.each([...made.keys()])(
    '%s are what is kept: npm run snapshots renews it, and the difference is to be read',
    (name) => {
      const file = join(KEPT, `${name}.txt`);
      const kept = existsSync(file) ? readFileSync(file, 'utf8') : '';
      expect(made.get(name)!.split('\n')).toEqual(kept.split('\n'));
    },
  );

  it('have nothing kept of what is not made any more', () => {
    const names = readdirSync(KEPT).map((file) => file.replace(/\.txt$/, ''));
    expect(names.filter((name) => !made.has(name))).toEqual([]);
  });
});

describe('a line of a snapshot', () => {
  const bucket = {
    '//': { metadata: { path: 'data/store/bucket' } },
    bucket: 'objects',
    force_destroy: false,
    rule: [{ days: 7, key: '${aws_kms_key.key.arn}' }],
    tags: { Site: 'akron' },
  };
  const line = (block: object): string => linesOf({ resource: { aws_s3_bucket: { b: { ...bucket, ...block } } } })[0]!;

  it('has type, place, digest and the values that say something by themselves', () => {
    expect(line({})).toMatch(
      /^aws_s3_bucket data\/store\/bucket [0-9a-f]{10} bucket="objects" force_destroy=false rule\.0\.days=7$/,
    );
  });

  it.each([
    ['a value', { force_destroy: true }],
    ['a reference', { rule: [{ days: 7, key: '${aws_kms_key.other.arn}' }] }],
    ['a long text', { policy: 'x'.repeat(100) }],
  ])('is another with %s that changed', (_, block) => {
    expect(line(block)).not.toBe(line({}));
  });

  it('is the same with other tags, which are asserted apart', () => {
    expect(line({ tags: { Site: 'gent' } })).toBe(line({}));
  });
});
