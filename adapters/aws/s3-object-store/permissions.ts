import type { Grant } from '../../permissions.ts';

/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html */
export const s3ObjectStorePermissions: readonly Grant[] = [
  {
    actions: ['s3:PutObject', 's3:GetObject', 's3:DeleteObject', 's3:AbortMultipartUpload'],
    on: 'arn:aws:s3:::<bucket>/<prefix>*',
  },
  { actions: ['s3:ListBucket'], on: 'arn:aws:s3:::<bucket>' },
  {
    actions: ['kms:GenerateDataKey', 'kms:Decrypt'],
    on: 'its key',
    note: 'where the bucket is encrypted with a key of one’s own',
  },
];
