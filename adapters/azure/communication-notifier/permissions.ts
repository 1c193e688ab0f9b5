import type { Grant } from '../../permissions.ts';

/** https://learn.microsoft.com/azure/communication-services/quickstarts/identity/service-principal */
export const communicationNotifierPermissions: readonly Grant[] = [
  {
    actions: [
      'Microsoft.Communication/CommunicationServices/read',
      'Microsoft.Communication/CommunicationServices/write',
    ],
    on: 'resource <endpoint>',
    role: 'Communication and Email Service Owner',
  },
];
