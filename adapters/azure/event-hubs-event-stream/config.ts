import { z } from 'zod';
import { STREAMS } from '#core/domain/event.ts';
import { BLOB_PLACE_ERROR, isOneBlobPlace } from '../blob-place.ts';
import {
  checkpointPrefix,
  consumerGroupName,
  EVENT_HUBS_PLACE_ERROR,
  eventHubsPlaceShape,
  hubName,
  hubReadingShape,
  isOneEventHubsPlace,
} from '../event-hubs-place.ts';

const WEEK_MS = 604_800_000;

/**
 * Where streams are event hubs, and what groups have settled of them is in blobs. Credentials come from DefaultAzureCredential alone: a managed
 * identity in production.
 */
export const eventHubsEventStreamConfigSchema = z
  .strictObject({
    ...eventHubsPlaceShape,
    /** The event hub of each of the platform's streams. They are made with the site: nothing here creates one. */
    streams: z.partialRecord(z.enum(STREAMS), hubName),
    /** The consumer group of a group of the platform, where it is not of its name. No two groups of a stream share one. */
    consumerGroups: z.record(z.string(), consumerGroupName).default({}),
    /** The consumer group of readers that are no group of the platform. */
    tailConsumerGroup: consumerGroupName.default('$Default'),
    checkpointPrefix: checkpointPrefix.default('streams/'),
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
    ...hubReadingShape,
    /** How often a publisher says what it made durable: what one that is killed leaves unsaid. */
    accountEveryMs: z.int().min(10).max(60_000).default(1_000),
    /** Payload bytes handed over by `publish` but not yet durable, a stream; beyond it publish is refused. */
    maxPendingBytes: z.int().min(1_048_576).default(33_554_432),
  })
  .refine(isOneEventHubsPlace, EVENT_HUBS_PLACE_ERROR)
  .refine(isOneBlobPlace, BLOB_PLACE_ERROR);

export type EventHubsEventStreamConfig = z.infer<typeof eventHubsEventStreamConfigSchema>;
