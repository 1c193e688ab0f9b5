import { z } from 'zod';
import { channelShape, mailShape } from '../../channel-config.ts';

const RESOURCE = /^https:\/\/([a-z0-9-]+(\.[a-z0-9-]+)*\.communication\.azure\.(com|us)|127\.0\.0\.1:\d+)\/?$/i;

/** Where alarms are mailed by Azure Communication Services. Credentials come from DefaultAzureCredential alone: a managed identity in production. */
export const communicationNotifierConfigSchema = z.strictObject({
  ...channelShape('communication'),
  /** `from` is of a domain that is connected to the resource. */
  ...mailShape,
  /** Of the resource, such as `https://akron.europe.communication.azure.com`. */
  endpoint: z.string().regex(RESOURCE, { error: 'must be https://<resource>.communication.azure.com' }),
});

export type CommunicationNotifierConfig = z.infer<typeof communicationNotifierConfigSchema>;
