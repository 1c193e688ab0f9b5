import { alarmMail } from '#core/alerting/alarm-mail.ts';
import { cloudEvent } from '#core/announcing/cloud-events.ts';
import { isAlarmNotice } from '#core/ports/alarm-journal.ts';
import type { Notification } from '#core/ports/notifier.ts';
import { CloudNotifier } from '../../cloud-notifier.ts';
import { notificationIdentity } from '../../notification-identity.ts';
import { codeOfAwsError, type AwsCodes } from '../aws-errors.ts';
import { openSns } from './client.ts';
import type { SnsNotifierConfig } from './config.ts';

const CODES: AwsCodes = {
  NotFoundException: 'not_found',
  AuthorizationErrorException: 'permission_denied',
  InvalidParameterException: 'invalid_argument',
  InvalidParameterValueException: 'invalid_argument',
  InvalidSecurityException: 'permission_denied',
  EndpointDisabledException: 'failed_precondition',
  KMSAccessDeniedException: 'permission_denied',
  KMSDisabledException: 'failed_precondition',
  KMSInvalidStateException: 'failed_precondition',
  KMSNotFoundException: 'failed_precondition',
  KMSOptInRequired: 'failed_precondition',
  KMSThrottlingException: 'resource_exhausted',
  ThrottledException: 'resource_exhausted',
  InternalErrorException: 'unavailable',
};

/** Publishes alarms, and what else it is to take, to a topic of SNS: a CloudEvent in structured JSON, with its id, type and source as attributes. */
export class SnsNotifier extends CloudNotifier {
  static async open(config: SnsNotifierConfig): Promise<SnsNotifier> {
    const { name, events, topicArn, timeoutMs } = config;
    const topic = await openSns(config);
    return new SnsNotifier({
      ...{ name, takes: new Set(events), target: `topic ${topicArn}`, timeoutMs },
      codeOf: (error) => codeOfAwsError(error, CODES),
      send: (notification, signal) => topic.publish(messageOf(notification, config), signal),
      close: () => topic.close(),
    });
  }
}

function messageOf({ id, notice }: Notification, { topicArn: TopicArn, publicUrl }: SnsNotifierConfig) {
  const event = cloudEvent(id, notice, publicUrl);
  const { type, source } = event;
  return {
    ...{ TopicArn, Message: JSON.stringify(event) },
    // Those of the subscribers that are people's mailboxes see it.
    ...(isAlarmNotice(notice) && { Subject: alarmMail(notice).subject }),
    MessageAttributes: Object.fromEntries(
      Object.entries({ id, type, source }).map(([name, StringValue]) => [name, { DataType: 'String', StringValue }]),
    ),
    ...(TopicArn.endsWith('.fifo') && {
      MessageGroupId: notificationIdentity(source),
      MessageDeduplicationId: notificationIdentity(id),
    }),
  };
}
