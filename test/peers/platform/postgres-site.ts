import { Moto } from '../moto.ts';
import { Postgres } from '../postgres.ts';
import { inPostgres } from './in-postgres.ts';
import { BUCKET, BUCKET_REGION, makeBucket } from './moto-bucket.ts';
import { siteOn, type Site } from './site.ts';

/** A site whose bucket can be looked at. */
export interface BucketSite extends Site {
  isBucketEmpty(): Promise<boolean>;
}

/** A server of one's own: PostgreSQL and a store that speaks S3's protocol, with streams on the machine. */
export async function postgresSite(): Promise<BucketSite> {
  let endpoint = '';
  const site = await siteOn([Postgres.start(), Moto.start()], async ([postgres, moto]) => {
    endpoint = moto.endpoint;
    const bucket = await makeBucket(moto);
    const objectStore = { adapter: 'aws', ...bucket };
    return { ports: { postgres: postgres.freshConnection(), objectStore, ...inPostgres() } };
  });
  return { ...site, isBucketEmpty: () => isEmpty(endpoint) };
}

async function isEmpty(endpoint: string): Promise<boolean> {
  const { S3 } = await import('@aws-sdk/client-s3');
  const s3 = new S3({ region: BUCKET_REGION, endpoint, forcePathStyle: true });
  const { KeyCount } = await s3.listObjectsV2({ Bucket: BUCKET, MaxKeys: 1 });
  s3.destroy();
  return KeyCount === 0;
}
