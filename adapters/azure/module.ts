import { provide, type Offer } from '../provider-module.ts';
import { blobObjectStoreConfigSchema } from './blob-object-store/config.ts';
import { BlobObjectStore } from './blob-object-store/blob-object-store.ts';

/** What a site may have of Azure. */
export const azureOffers: readonly Offer[] = [
  provide('objectStore', 'blob-object-store', blobObjectStoreConfigSchema, async (settings, { closing }) =>
    closing(await BlobObjectStore.open(settings)),
  ),
];
