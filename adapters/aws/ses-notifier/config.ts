import { z } from 'zod';
import { channelShape, mailShape } from '../../channel-config.ts';
import { awsPlaceShape } from '../aws-place.ts';

/** Where alarms are mailed by SES. */
export const sesNotifierConfigSchema = z.strictObject({
  ...awsPlaceShape,
  ...channelShape('ses'),
  /** `from` is of an identity that is verified in the account. */
  ...mailShape,
  /** A configuration set, for its event destinations and its dedicated addresses. */
  configurationSet: z
    .string()
    .regex(/^[A-Za-z0-9_-]{1,64}$/)
    .optional(),
});

export type SesNotifierConfig = z.infer<typeof sesNotifierConfigSchema>;
