export const BUCKET_REGION = 'eu-central-1';
export const BUCKET = 'tribo-site';

/** Makes the bucket of a site; returns the settings by which an object store has it. */
export async function makeBucket({ endpoint }: { readonly endpoint: string }): Promise<object> {
  const { S3 } = await import('@aws-sdk/client-s3');
  const s3 = new S3({ region: BUCKET_REGION, endpoint, forcePathStyle: true });
  await s3.createBucket({ Bucket: BUCKET, CreateBucketConfiguration: { LocationConstraint: BUCKET_REGION } });
  s3.destroy();
  return { bucket: BUCKET, region: BUCKET_REGION, endpoint, forcePathStyle: true };
}
