import { z } from 'zod';
import { channelShape, eventsShape } from '../../channel-config.ts';
import { awsPlaceShape } from '../aws-place.ts';

/** Where events are published to a topic of SNS. */
export const snsNotifierConfigSchema = z.strictObject({
  ...awsPlaceShape,
  ...channelShape('sns'),
  ...eventsShape,
  /** `arn:aws:sns:<region>:<account>:<name>`; one that ends in `.fifo` keeps the order of a machine and drops what comes twice. */
  topicArn: z.string().regex(/^arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]{1,256}(\.fifo)?$/),
});

export type SnsNotifierConfig = z.infer<typeof snsNotifierConfigSchema>;
