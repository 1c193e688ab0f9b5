import type { EmailMessage } from '@azure/communication-email';
import { alarmMail } from '#core/alerting/alarm-mail.ts';
import { PortError, type PortErrorCode } from '#core/errors.ts';
import { isAlarmNotice } from '#core/ports/alarm-journal.ts';
import type { Notification } from '#core/ports/notifier.ts';
import { CloudNotifier } from '../../cloud-notifier.ts';
import { IDENTITY_HEADER, notificationIdentity } from '../../notification-identity.ts';
import { codeOfAzureError, type AzureCodes } from '../azure-errors.ts';
import { openCommunication, type CommunicationCalls } from './client.ts';
import type { CommunicationNotifierConfig } from './config.ts';

const CODES: AzureCodes = {
  Denied: 'permission_denied',
  DomainNotLinked: 'failed_precondition',
  InvalidSenderUserName: 'failed_precondition',
  TooManyRequests: 'resource_exhausted',
};

/**
 * Mails alarms by Azure Communication Services. Of a mail that it took, what becomes of it is asked for while there is time: one that it gives
 * up is an error, one that is still on its way then is sent.
 */
export class CommunicationNotifier extends CloudNotifier {
  static async open(config: CommunicationNotifierConfig): Promise<CommunicationNotifier> {
    return CommunicationNotifier.over(config, await openCommunication(config));
  }

  static over(config: CommunicationNotifierConfig, mails: CommunicationCalls): CommunicationNotifier {
    const { name, endpoint, timeoutMs } = config;
    return new CommunicationNotifier({
      ...{ name, takes: new Set(['alarm'] as const), target: endpoint, timeoutMs },
      codeOf,
      send: async (notification, signal) => {
        const taken = { is: false };
        try {
          const operationId = uuidOf(notificationIdentity(notification.id));
          await mails.send(mailOf(notification, config), operationId, () => (taken.is = true), signal);
        } catch (error) {
          if (!taken.is || isGivenUp(error)) throw error;
        }
      },
      close: () => undefined,
    });
  }
}

function mailOf({ id, notice }: Notification, { from, to, publicUrl }: CommunicationNotifierConfig): EmailMessage {
  if (!isAlarmNotice(notice)) throw new PortError('invalid_argument', 'mails tell of alarms alone');
  const { subject, text } = alarmMail(notice, publicUrl);
  return {
    senderAddress: from,
    recipients: { to: to.map((address) => ({ address })) },
    content: { subject, plainText: text },
    headers: { [IDENTITY_HEADER]: notificationIdentity(id) },
    disableUserEngagementTracking: true,
  };
}

/** The SDK has no class for what its poller says of an operation that failed; all else is of the wire or of an abort. */
function isGivenUp(error: unknown): boolean {
  return error instanceof Error && error.name === 'Error' && error.message.startsWith('The long-running operation');
}

function codeOf(error: unknown): PortErrorCode {
  return isGivenUp(error) ? 'failed_precondition' : codeOfAzureError(error, CODES);
}

/** RFC 9562, of a version that is free for whatever an id is made of. */
function uuidOf(hex: string): string {
  const parts = [hex.slice(0, 8), hex.slice(8, 12), `8${hex.slice(13, 16)}`, `a${hex.slice(17, 20)}`, hex.slice(20)];
  return parts.join('-');
}
