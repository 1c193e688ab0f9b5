import { hostname } from 'node:os';
import { z } from 'zod';

const DAY_MS = 86_400_000;

/** Streams as topics of Pub/Sub, groups as subscriptions. Credentials are the application's default ones alone. */
export const pubsubEventStreamConfigSchema = z.strictObject({
  projectId: z.string().min(6).max(30),
  /** The topic of a stream is named this and the stream's name; a subscription that, a dot and the group's name. */
  topicPrefix: z
    .string()
    .regex(/^[a-z][a-z0-9-]{0,62}$/)
    .default('tribo-'),
  /** The name under which this process publishes, unique among those that publish to the same stream. */
  source: z.string().min(1).max(64).default(hostname()),
  /**
   * So many ordering keys a stream: a machine is always in the same one. Each takes 1 MB/s and is numbered for itself. To be changed
   * only when every group has settled all, as the order of a machine is not kept over the change.
   */
  lanes: z.int().min(1).max(4096).default(64),
  /** How long the first events of a request wait for more of their lane: each request costs time, and as much as 1,000 bytes do. */
  gatherMs: z.int().min(0).max(1000).default(5),
  /** How long a killed consumer's events stay leased before they are delivered again. */
  ackDeadlineSeconds: z.int().min(10).max(600).default(60),
  /** How long what a group has not settled is kept. */
  retentionMs: z
    .int()
    .min(600_000)
    .max(31 * DAY_MS)
    .default(7 * DAY_MS),
  /** How often a publisher says what it made durable: what one that is killed leaves unsaid. */
  accountEveryMs: z.int().min(10).max(60_000).default(1_000),
  /** What is settled is acknowledged so often, once that is saved: a subscription takes `maxHeldEvents` in that time at most. */
  ackEveryMs: z.int().min(10).max(5_000).default(250),
  /** A topic for events that were delivered too often, as the id of one in the project; it and its rights are the stack's. */
  deadLetterTopic: z.string().min(3).max(255).optional(),
  maxDeliveryAttempts: z.int().min(5).max(100).default(100),
  /** A subscription stops taking in when more events wait in it. */
  maxHeldEvents: z.int().min(1).max(100_000).default(10_000),
  maxHeldBytes: z.int().min(1_048_576).max(1_073_741_824).default(67_108_864),
  /** Of an emulator on this machine, asked without credentials: `127.0.0.1:8085`. Absent: Google's own. */
  emulatorEndpoint: z
    .string()
    .regex(/^(127\.0\.0\.1|localhost):\d+$/)
    .optional(),
  /** How long one call may take. */
  timeoutMs: z.int().min(100).max(300_000).default(30_000),
});

export type PubsubEventStreamConfig = z.infer<typeof pubsubEventStreamConfigSchema>;
