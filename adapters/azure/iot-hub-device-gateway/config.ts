import { z } from 'zod';
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
import { iotHubPlaceShape } from '../iot-hub-place.ts';

/** Where devices connect to Azure IoT Hub, whose routes put what they send into an event hub. All of it is made with the site: nothing here creates a part. */
export const iotHubDeviceGatewayConfigSchema = z
  .strictObject({
    host: iotHubPlaceShape.host,
    peerPorts: iotHubPlaceShape.peerPorts,
    ...eventHubsPlaceShape,
    ...hubReadingShape,
    /** The event hub of the routes, for them alone. */
    eventHub: hubName,
    consumerGroup: consumerGroupName.default('$Default'),
    checkpointPrefix: checkpointPrefix.default('gateway/'),
    /** At most so many messages are offered to intake at a time. */
    maxBatchEvents: z.int().min(1).max(10_000).default(500),
    /** A message that intake refused is offered again after this. */
    offerAgainMs: z.int().min(1).default(250),
    /** So many commands are remembered in memory until they expire; of each there is a blob besides. */
    maxRememberedCommands: z.int().min(1).default(10_000),
    /** How long close() waits for messages at intake. */
    drainMs: z.int().min(0).default(5000),
  })
  .refine(isOneEventHubsPlace, EVENT_HUBS_PLACE_ERROR)
  .refine(isOneBlobPlace, BLOB_PLACE_ERROR);

export type IotHubDeviceGatewayConfig = z.infer<typeof iotHubDeviceGatewayConfigSchema>;
