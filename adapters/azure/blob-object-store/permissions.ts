import type { Grant } from '../../permissions.ts';
import { BLOB_ACTIONS, BLOB_ROLE } from '../blob-place.ts';

export const blobObjectStorePermissions: readonly Grant[] = [
  { actions: BLOB_ACTIONS, on: 'container <container>', role: BLOB_ROLE },
];
