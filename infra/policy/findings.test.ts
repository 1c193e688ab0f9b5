import { describe, expect, it } from '@jest/globals';
import { crashesOf } from './checkov.ts';
import { judge, type Finding, type Scan, type ScannedStack } from './findings.ts';

const finding: Finding = {
  stack: 'akron.dev/aws/data',
  check: 'CKV_AWS_18',
  says: 'Ensure the S3 bucket has access logging enabled',
  block: 'store_bucket_1A2B',
};

function scanned(name: string, acknowledged?: Readonly<Record<string, string>>): ScannedStack {
  const metadata = { path: 'data/store/bucket' };
  return { name, json: { resource: { aws_s3_bucket: { store_bucket_1A2B: { '//': { metadata, acknowledged } } } } } };
}

function scanOf(...findings: readonly Finding[]): Scan {
  const asked = new Map([
    ['akron.dev/aws/data', 4],
    ['akron.prod/aws/data', 4],
  ]);
  return { findings, asked, unread: [] };
}

describe('what checkov finds', () => {
  it('is a fault, by stack, type and place, with what to do', () => {
    expect(judge([scanned('akron.dev/aws/data')], scanOf(finding))).toEqual([
      'akron.dev/aws/data: aws_s3_bucket data/store/bucket: CKV_AWS_18: Ensure the S3 bucket has access logging enabled; mend it, or acknowledge(...) it with the reason at the construct',
    ]);
  });

  it('is none where it is acknowledged at the construct', () => {
    const stacks = [scanned('akron.dev/aws/data', { CKV_AWS_18: 'It has the logs' })];
    expect(judge(stacks, scanOf(finding))).toEqual([]);
  });

  it('is a fault where another check is acknowledged, which is one too', () => {
    const stacks = [scanned('akron.dev/aws/data', { CKV_AWS_144: 'One region' })];
    expect(judge(stacks, scanOf(finding))).toEqual([
      expect.stringContaining('CKV_AWS_18: Ensure'),
      'aws_s3_bucket data/store/bucket: CKV_AWS_144 is acknowledged and found nowhere: take the exception away',
    ]);
  });

  it('is also what a check that failed by itself might have found', () => {
    const log = [
      '2026-11-23 17:28:29 [MainThread  ] [ERROR]  Failed to run check CKV_AWS_18 on /akron.dev/aws/data/cdk.tf.json:aws_s3_bucket.store_bucket_1A2B',
      'Traceback (most recent call last):',
      "TypeError: 'int' object is not subscriptable",
    ];
    const crashes = crashesOf(log.join('\n'));
    expect(crashes).toEqual([{ ...finding, says: 'the check itself fails' }]);
    expect(judge([scanned('akron.dev/aws/data')], scanOf(...crashes))).toHaveLength(1);
  });

  it('may be acknowledged for all environments where some have it', () => {
    const acknowledged = { CKV_AWS_18: 'It has the logs' };
    const stacks = [scanned('akron.dev/aws/data', acknowledged), scanned('akron.prod/aws/data', acknowledged)];
    expect(judge(stacks, scanOf(finding))).toEqual([]);
  });

  it('is a fault at a block that is not of the stack', () => {
    expect(judge([scanned('akron.dev/aws/data')], scanOf({ ...finding, block: 'other' }))).toEqual([
      expect.stringContaining('akron.dev/aws/data: other: CKV_AWS_18'),
    ]);
  });

  it('shows nothing of a stack that it was not asked of, or could not read', () => {
    const scan = { findings: [], asked: new Map(), unread: ['akron.dev/aws/data/cdk.tf.json'] };
    expect(judge([scanned('akron.dev/aws/data')], scan)).toEqual([
      'akron.dev/aws/data/cdk.tf.json: checkov could not read it',
      'akron.dev/aws/data: checkov asked nothing of it',
    ]);
  });
});
