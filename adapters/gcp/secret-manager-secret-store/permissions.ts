import type { Grant } from '../../permissions.ts';

/** https://cloud.google.com/secret-manager/docs/access-control */
export const secretManagerSecretStorePermissions: readonly Grant[] = [
  {
    actions: [
      ...['secretmanager.versions.access', 'secretmanager.versions.add', 'secretmanager.versions.list'],
      ...['secretmanager.versions.destroy', 'secretmanager.secrets.delete'],
    ],
    on: 'project <projectId>',
    note: 'with the condition that the secret’s name begins with `<prefix>`',
  },
  {
    // Asked of the project, so that a condition on the secret's name would refuse it.
    actions: ['secretmanager.secrets.create'],
    on: 'project <projectId>',
  },
];
