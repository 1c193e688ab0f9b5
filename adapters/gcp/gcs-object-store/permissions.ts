import type { Grant } from '../../permissions.ts';

/** https://cloud.google.com/storage/docs/access-control/iam-json */
export const gcsObjectStorePermissions: readonly Grant[] = [
  {
    actions: [...['storage.objects.create', 'storage.objects.get', 'storage.objects.delete', 'storage.objects.list']],
    on: 'bucket <bucket>',
    role: 'roles/storage.objectUser',
  },
];
