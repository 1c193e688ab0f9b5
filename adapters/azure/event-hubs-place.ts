import { z } from 'zod';
import { judgedOnceRead } from '../judged-once-read.ts';
import { blobPlaceShape, containerName } from './blob-place.ts';

/** In which namespace event hubs are. Credentials come from DefaultAzureCredential alone: a managed identity in production. */
export const eventHubsPlaceShape = {
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
};

export const hubName = z.string().regex(/^[A-Za-z0-9]([A-Za-z0-9_.-]{0,254}[A-Za-z0-9])?$/);
export const consumerGroupName = z.string().regex(/^(\$Default|[A-Za-z0-9]([A-Za-z0-9_.-]{0,48}[A-Za-z0-9])?)$/);
/** Begin of the names of blobs; ends in `/`. */
export const checkpointPrefix = z.string().regex(/^([A-Za-z0-9_.=+@-]+\/)*$/);

/** How hubs are read, with what is settled of them in blobs. */
export const hubReadingShape = {
  ...blobPlaceShape,
  /** Of the blobs that say what groups have settled. */
  checkpointContainer: containerName,
  /** How long one call may take. The SDK sees the end of a connection only so: a send that was under way is given up then. */
  timeoutMs: z.int().min(2_000).max(300_000).default(15_000),
  /** How long a receiver waits before it looks whether its link is still there. */
  receiveWaitMs: z.int().min(50).max(60_000).default(1_000),
  /** A consumer that is not heard of for so long loses its partitions. */
  leaseMs: z.int().min(300).max(600_000).default(60_000),
  /** How often a partition's progress is saved while it advances: what a crash may deliver again. */
  checkpointIntervalMs: z.int().min(10).max(600_000).default(10_000),
  /** A partition is not read further while more of it waits to be delivered, or behind failed events. */
  maxHeldEvents: z.int().min(1).default(10_000),
  maxHeldBytes: z.int().min(1_048_576).default(16_777_216),
};

export interface EventHubsPlace {
  readonly namespace?: string | undefined;
  readonly hubsEmulatorConnectionString?: string | undefined;
}

/** What reading a hub takes. */
export const HUB_RECEIVING = {
  actions: ['Microsoft.EventHub/namespaces/messages/receive/action'],
  role: 'Azure Event Hubs Data Receiver',
};

export const EVENT_HUBS_PLACE_ERROR = {
  error: 'give namespace (or, for a development emulator, hubsEmulatorConnectionString), and not both',
  path: ['namespace'],
  ...judgedOnceRead(eventHubsPlaceShape),
};

export function isOneEventHubsPlace({ namespace, hubsEmulatorConnectionString }: EventHubsPlace): boolean {
  return (namespace === undefined) !== (hubsEmulatorConnectionString === undefined);
}
