import type { Grant } from '../../permissions.ts';

/** As for mails by SMTP: https://learn.microsoft.com/azure/communication-services/quickstarts/email/send-email-smtp/smtp-authentication */
export const communicationNotifierPermissions: readonly Grant[] = [
  {
    actions: [
      'Microsoft.Communication/CommunicationServices/read',
      'Microsoft.Communication/CommunicationServices/write',
      'Microsoft.Communication/EmailServices/write',
    ],
    on: 'resource <endpoint>',
    role: 'Communication and Email Service Owner',
  },
];
