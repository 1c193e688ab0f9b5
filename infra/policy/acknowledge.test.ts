import { App, TerraformStack } from 'cdktf';
import { describe, expect, it } from '@jest/globals';
import { DataAwsAvailabilityZones } from '@cdktf/provider-aws/lib/data-aws-availability-zones/index.js';
import { S3Bucket } from '@cdktf/provider-aws/lib/s3-bucket/index.js';
import { acknowledge } from './acknowledge.ts';

function stack(): TerraformStack {
  return new TerraformStack(new App({ stackTraces: false }), 'data');
}

describe('an exception from a check', () => {
  it('is in the comment of the resource beside its place, one after another', () => {
    const of = stack();
    const bucket = acknowledge(new S3Bucket(of, 'bucket'), { CKV_AWS_18: 'It has the logs' });
    acknowledge(bucket, { CKV2_AWS_62: 'Nobody listens' });
    expect(of.toTerraform()).toMatchObject({
      resource: {
        aws_s3_bucket: {
          bucket: {
            '//': {
              metadata: { path: 'data/bucket' },
              acknowledged: { CKV_AWS_18: 'It has the logs', CKV2_AWS_62: 'Nobody listens' },
            },
          },
        },
      },
    });
  });

  it('is in the comment of a data source too', () => {
    const of = stack();
    acknowledge(new DataAwsAvailabilityZones(of, 'zones'), { CKV_AWS_394: 'The first by name' });
    expect(of.toTerraform()).toMatchObject({
      data: {
        aws_availability_zones: {
          zones: { '//': { metadata: { path: 'data/zones' }, acknowledged: { CKV_AWS_394: 'The first by name' } } },
        },
      },
    });
  });

  it.each([
    ['AWS_18', 'It has the logs', 'data/bucket: AWS_18 is not the name of a check'],
    ['CKV_AWS_18', ' ', 'data/bucket: say why CKV_AWS_18 does not apply'],
  ])('%s: "%s" is refused', (check, reason, message) => {
    const bucket = new S3Bucket(stack(), 'bucket');
    expect(() => acknowledge(bucket, { [check]: reason })).toThrow(message);
  });
});
