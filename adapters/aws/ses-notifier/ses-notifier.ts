import { createTransport } from 'nodemailer';
import { alarmMail } from '#core/alerting/alarm-mail.ts';
import { PortError } from '#core/errors.ts';
import { isAlarmNotice } from '#core/ports/alarm-journal.ts';
import type { Notification } from '#core/ports/notifier.ts';
import { CloudNotifier } from '../../cloud-notifier.ts';
import { IDENTITY_HEADER, notificationIdentity } from '../../notification-identity.ts';
import { codeOfAwsError, type AwsCodes } from '../aws-errors.ts';
import { openSes } from './client.ts';
import type { SesNotifierConfig } from './config.ts';

const CODES: AwsCodes = {
  BadRequestException: 'invalid_argument',
  NotFoundException: 'not_found',
  // Among others: the sender is of no verified identity.
  MessageRejected: 'failed_precondition',
  MailFromDomainNotVerifiedException: 'failed_precondition',
  AccountSuspendedException: 'failed_precondition',
  SendingPausedException: 'failed_precondition',
  LimitExceededException: 'resource_exhausted',
  TooManyRequestsException: 'resource_exhausted',
  InternalServiceErrorException: 'unavailable',
};

/** Makes mails, and sends none. */
const composer = createTransport({
  streamTransport: true,
  buffer: true,
  disableFileAccess: true,
  disableUrlAccess: true,
});

/** Mails alarms by SES. It gives each attempt a Message-ID of its own: what a receiver may know a notification by is `X-Notification-ID`. */
export class SesNotifier extends CloudNotifier {
  static async open(config: SesNotifierConfig): Promise<SesNotifier> {
    const { name, region, timeoutMs } = config;
    const mails = await openSes(config);
    return new SesNotifier({
      ...{ name, takes: new Set(['alarm'] as const), target: `SES in ${region}`, timeoutMs },
      codeOf: (error) => codeOfAwsError(error, CODES),
      send: async (notification, signal) => mails.send(await mailOf(notification, config), signal),
      close: () => mails.close(),
    });
  }
}

async function mailOf({ id, notice }: Notification, { from, to, publicUrl }: SesNotifierConfig): Promise<Uint8Array> {
  if (!isAlarmNotice(notice)) throw new PortError('invalid_argument', 'mails tell of alarms alone');
  const headers = { 'Auto-Submitted': 'auto-generated', [IDENTITY_HEADER]: notificationIdentity(id) };
  const { message } = await composer.sendMail({ from, to, ...alarmMail(notice, publicUrl), headers });
  return message as Buffer;
}
