import { z } from 'zod';
import { channelShape, eventsShape } from '../../channel-config.ts';

/** Where events are published to a topic of Pub/Sub. Credentials are the application's default ones alone. */
export const pubsubNotifierConfigSchema = z.strictObject({
  ...channelShape('pubsub'),
  ...eventsShape,
  projectId: z.string().min(6).max(30),
  topic: z.string().regex(/^[A-Za-z][A-Za-z0-9._~+%-]{2,254}$/),
  /** Of an emulator on this machine, asked without credentials: `127.0.0.1:8085`. Absent: Google's own. */
  emulatorEndpoint: z
    .string()
    .regex(/^(127\.0\.0\.1|localhost):\d+$/)
    .optional(),
});

export type PubsubNotifierConfig = z.infer<typeof pubsubNotifierConfigSchema>;
