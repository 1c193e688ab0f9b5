import type { Grant } from '../../permissions.ts';

/** https://cloud.google.com/secret-manager/docs/access-control */
export const secretManagerSecretStorePermissions: readonly Grant[] = [
  {
    actions: [
      ...['secretmanager.versions.access', 'secretmanager.versions.add', 'secretmanager.versions.list'],
      ...['secretmanager.versions.destroy', 'secretmanager.secrets.create', 'secretmanager.secrets.delete'],
    ],
    on: 'project <projectId>',
    role: 'roles/secretmanager.admin',
    note: 'with the condition that the secret’s name begins with `<prefix>`',
  },
];
