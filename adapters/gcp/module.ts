import { provide, type Offer } from '../provider-module.ts';
import { gcsObjectStoreConfigSchema } from './gcs-object-store/config.ts';
import { GcsObjectStore } from './gcs-object-store/gcs-object-store.ts';

/** What a site may have of Google Cloud. */
export const gcpOffers: readonly Offer[] = [
  provide('objectStore', 'gcs-object-store', gcsObjectStoreConfigSchema, async (settings, { closing }) =>
    closing(await GcsObjectStore.open(settings)),
  ),
];
