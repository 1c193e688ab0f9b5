import type { Configuration } from './settings.ts';

/** Where alarms are told besides the log; what is not configured whole is absent. */
export interface NotificationSettings {
  readonly webhook?: { readonly url: string; readonly secret: string };
  readonly mail?: { readonly url: string; readonly from: string; readonly to: readonly string[] };
}

export function notificationSettings(configuration: Configuration): NotificationSettings {
  const { webhookUrl, webhookSecret, smtpUrl, mailFrom, mailTo } = configuration;
  const webhook = webhookUrl !== undefined && webhookSecret !== undefined;
  const mail = smtpUrl !== undefined && mailFrom !== undefined && mailTo !== undefined;
  return {
    ...(webhook && { webhook: { url: webhookUrl, secret: webhookSecret } }),
    ...(mail && { mail: { url: smtpUrl, from: mailFrom, to: [mailTo] } }),
  };
}
