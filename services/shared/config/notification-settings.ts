import type { NoticeKind } from '#core/ports/alarm-journal.ts';
import type { Configuration } from './settings.ts';

/** Where alarms and the like are told besides the log; what is not configured whole is absent. */
export interface NotificationSettings {
  readonly webhook?: { readonly url: string; readonly secret: string; readonly events: NoticeKind[] };
  readonly mail?: { readonly url: string; readonly from: string; readonly to: readonly string[] };
}

export function notificationSettings(configuration: Configuration): NotificationSettings {
  const { webhookUrl, webhookSecret, webhookEvents, smtpUrl, mailFrom, mailTo } = configuration;
  const webhook = webhookUrl !== undefined && webhookSecret !== undefined;
  const mail = smtpUrl !== undefined && mailFrom !== undefined && mailTo !== undefined;
  return {
    ...(webhook && {
      webhook: { url: webhookUrl, secret: webhookSecret, events: webhookEvents.split(',') as NoticeKind[] },
    }),
    ...(mail && { mail: { url: smtpUrl, from: mailFrom, to: [mailTo] } }),
  };
}
