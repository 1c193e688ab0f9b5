import { z } from 'zod';
import { STREAMS } from '#core/domain/event.ts';
import { awsPlaceShape } from '../aws-place.ts';

/** Where streams are those of Kinesis Data Streams, with the state of their groups in a table of DynamoDB whose keys are `pk` and `sk`, both strings. */
export const kinesisEventStreamConfigSchema = z.strictObject({
  ...awsPlaceShape,
  /** The Kinesis stream of each of the platform's streams. They are made with the site: nothing here creates one. */
  streams: z.partialRecord(z.enum(STREAMS), z.string().regex(/^[A-Za-z0-9_.-]{1,128}$/)),
  /** The table of leases, checkpoints and counts. */
  stateTable: z.string().min(3).max(255),
  /** Of the table, where it is not that of the streams. */
  stateEndpoint: z.url().optional(),
  /** Name of this publisher in the events' envelope; two processes that publish to one stream have two. */
  source: z
    .string()
    .regex(/^[A-Za-z0-9_.-]{1,64}$/)
    .default('kinesis'),
  /**
   * Machines are dealt to so many lanes, each of which is in one shard at a time: more shards than lanes are of no use. The same for all publishers
   * of a stream; changed only while the stream is drained, as a machine may then go to another shard.
   */
  lanes: z.int().min(1).max(500).default(16),
  /** A request's limit: Kinesis's 10 MiB. */
  maxRequestBytes: z.int().min(1_048_576).max(10_485_760).default(10_485_760),
  /** Payload bytes handed over by `publish` but not yet durable, a stream; beyond it publish is refused. */
  maxPendingBytes: z.int().min(1_048_576).default(33_554_432),
  /**
   * How often a subscription reads a shard. A shard takes five reads a second, of all its groups together: by default three groups, as many as
   * any stream has, make three, and two are left for those that go over to another worker in that second.
   */
  pollMs: z.int().min(10).max(60_000).default(1_000),
  /** A consumer that is not heard of for so long loses its shards. */
  leaseMs: z.int().min(300).max(300_000).default(10_000),
  /** How often a shard's progress is saved while it advances: what a crash may deliver again. */
  checkpointIntervalMs: z.int().min(10).max(60_000).default(1_000),
  /** How long the streams keep events: theirs by default. What has waited for three quarters of it shuts intake. */
  retentionMs: z.int().min(86_400_000).max(31_536_000_000).default(86_400_000),
  /** How often a publisher says what it made durable: what one that is killed leaves unsaid. */
  accountEveryMs: z.int().min(10).max(60_000).default(1_000),
  /** A shard is not read further while more of it waits behind failed events. */
  maxHeldEvents: z.int().min(1).default(10_000),
  maxHeldBytes: z.int().min(1_048_576).default(16_777_216),
});

export type KinesisEventStreamConfig = z.infer<typeof kinesisEventStreamConfigSchema>;
