import { z } from 'zod';
import { STREAMS } from '#core/domain/event.ts';
import { BLOB_PLACE_ERROR, blobPlaceShape, containerName, isOneBlobPlace } from '../blob-place.ts';

const WEEK_MS = 604_800_000;
const hubName = z.string().regex(/^[A-Za-z0-9]([A-Za-z0-9_.-]{0,254}[A-Za-z0-9])?$/);
const consumerGroupName = z.string().regex(/^(\$Default|[A-Za-z0-9]([A-Za-z0-9_.-]{0,48}[A-Za-z0-9])?)$/);

/**
 * Where streams are event hubs, and what groups have settled of them is in blobs. Credentials come from DefaultAzureCredential alone: a managed
 * identity in production.
 */
export const eventHubsEventStreamConfigSchema = z
  .strictObject({
    /** Of the hubs, such as `akronplant.servicebus.windows.net`. */
    namespace: z
      .string()
      .regex(/^[A-Za-z0-9-]+(\.[a-z0-9-]+)+$/, 'must be a host, without sb://')
      .optional(),
    /** Instead of it, for a development emulator or test peer alone: its connection string, which must name an endpoint on this machine. */
    hubsEmulatorConnectionString: z
      .string()
      .regex(/^Endpoint=sb:\/\/(127\.0\.0\.1|localhost)[:/;].*UseDevelopmentEmulator=true/, {
        error:
          'must name an Endpoint on this machine and UseDevelopmentEmulator: a key of an Azure namespace is no setting',
      })
      .optional(),
    /** The event hub of each of the platform's streams. They are made with the site: nothing here creates one. */
    streams: z.partialRecord(z.enum(STREAMS), hubName),
    /** The consumer group of a group of the platform, where it is not of its name. No two groups of a stream share one. */
    consumerGroups: z.record(z.string(), consumerGroupName).default({}),
    /** The consumer group of readers that are no group of the platform. */
    tailConsumerGroup: consumerGroupName.default('$Default'),
    ...blobPlaceShape,
    /** Of the blobs that say what groups have settled. */
    checkpointContainer: containerName,
    /** Begin of their names; ends in `/`. */
    checkpointPrefix: z
      .string()
      .regex(/^([A-Za-z0-9_.=+@-]+\/)*$/)
      .default('streams/'),
    /** Name of this publisher in the events' envelope. */
    source: z
      .string()
      .regex(/^[A-Za-z0-9_.-]{1,64}$/)
      .default('event-hubs'),
    /** The hubs' retention, by which a group's lag is judged. */
    retentionMs: z
      .int()
      .min(3_600_000)
      .max(90 * 86_400_000)
      .default(WEEK_MS),
    /** How long one call may take. The SDK sees the end of a connection only so: a send that was under way is given up then. */
    timeoutMs: z.int().min(2_000).max(300_000).default(15_000),
    /** How long a receiver waits before it looks whether its link is still there. */
    receiveWaitMs: z.int().min(50).max(60_000).default(1_000),
    /** A consumer that is not heard of for so long loses its partitions. */
    leaseMs: z.int().min(300).max(600_000).default(60_000),
    /** How often a partition's progress is saved while it advances: what a crash may deliver again. */
    checkpointIntervalMs: z.int().min(10).max(600_000).default(10_000),
    /** Payload bytes handed over by `publish` but not yet durable, a stream; beyond it publish is refused. */
    maxPendingBytes: z.int().min(1_048_576).default(33_554_432),
    /** A partition is not read further while more of it waits to be delivered, or behind failed events. */
    maxHeldEvents: z.int().min(1).default(10_000),
    maxHeldBytes: z.int().min(1_048_576).default(16_777_216),
  })
  .refine((config) => (config.namespace === undefined) !== (config.hubsEmulatorConnectionString === undefined), {
    error: 'give namespace (or, for a development emulator, hubsEmulatorConnectionString), and not both',
    path: ['namespace'],
  })
  .refine(isOneBlobPlace, BLOB_PLACE_ERROR);

export type EventHubsEventStreamConfig = z.infer<typeof eventHubsEventStreamConfigSchema>;
