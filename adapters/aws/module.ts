import { provide, type Offer } from '../provider-module.ts';
import { s3ObjectStoreConfigSchema } from './s3-object-store/config.ts';
import { S3ObjectStore } from './s3-object-store/s3-object-store.ts';

/** What a site may have of AWS. */
export const awsOffers: readonly Offer[] = [
  provide('objectStore', 's3-object-store', s3ObjectStoreConfigSchema, async (settings, { closing }) =>
    closing(await S3ObjectStore.open(settings)),
  ),
];
