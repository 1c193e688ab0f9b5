import { z } from 'zod';
import { openEventHubs } from '#adapters/azure/event-hubs-event-stream/client.ts';
import {
  EVENT_HUBS_PLACE_ERROR,
  eventHubsPlaceShape,
  hubName,
  isOneEventHubsPlace,
  type EventHubsPlace,
} from '#adapters/azure/event-hubs-place.ts';
import { onQueuedMessage } from '#adapters/azure/function-trigger.ts';
import { routedEvent } from '#adapters/azure/iot-hub-device-gateway/device-record.ts';
import { PortError } from '#core/errors.ts';
import { RelayedMessages } from '#core/ingestion/relayed-message.ts';
import { placeShape, settingsOf } from '../function-settings.ts';
import { PATIENCE, queuedReadings, type RelayOne } from './queued-readings.ts';

const environmentSchema = z
  .object({
    TRIBO_DEVICE_HUB: hubName,
    TRIBO_DEVICE_NAMESPACE: eventHubsPlaceShape.namespace,
    /** Instead of it, for a peer on this machine. */
    TRIBO_DEVICE_NAMESPACE_PEER: eventHubsPlaceShape.hubsEmulatorConnectionString,
    ...placeShape,
  })
  .transform(({ TRIBO_DEVICE_NAMESPACE, TRIBO_DEVICE_NAMESPACE_PEER, ...settings }) => ({
    ...settings,
    place: { namespace: TRIBO_DEVICE_NAMESPACE, hubsEmulatorConnectionString: TRIBO_DEVICE_NAMESPACE_PEER },
  }))
  .refine(({ place }) => isOneEventHubsPlace(place), { ...EVENT_HUBS_PLACE_ERROR, path: ['TRIBO_DEVICE_NAMESPACE'] });

/** Of one attempt: with all of its tries a call of the function ends before Service Bus gives its message to another. */
const CALL_TIMEOUT_MS = 10_000;

/** The function at Azure: what it reads goes to the event hub behind IoT Hub, as a route of that would put it there. */
export async function composeQueuedReadings(
  env: Readonly<Record<string, string | undefined>>,
): Promise<(text: string) => Promise<void>> {
  const { TRIBO_DEVICE_HUB: hub, TRIBO_TENANT: tenant, TRIBO_SITE: site, place } = settingsOf(environmentSchema, env);
  return queuedReadings(new RelayedMessages({ tenant, site }), await relayTo(hub, place), PATIENCE);
}

/** Has the runtime call the function. It is opened once for all calls of an instance, and anew where that failed. */
export function registerQueuedReadings(env: Readonly<Record<string, string | undefined>>): void {
  let opened: ReturnType<typeof composeQueuedReadings> | undefined;
  // By the names that infra/azure/queue-functions.ts gives the settings.
  onQueuedMessage('sensor-data-processor', { connection: 'TRIBO_QUEUE', queue: 'TRIBO_QUEUE_NAME' }, async (text) => {
    opened ??= composeQueuedReadings(env);
    const take = await opened.catch((error: unknown) => {
      opened = undefined;
      throw error;
    });
    await take(text);
  });
}

async function relayTo(hub: string, place: EventHubsPlace): Promise<RelayOne> {
  const hubs = await openEventHubs({ ...place, timeoutMs: CALL_TIMEOUT_MS });
  return async (message) => {
    // By the device, as IoT Hub does. What is of one is in one partition, in the order of the calls: Service Bus makes several at a time.
    const batch = await hubs.openBatch(hub, { key: message.device });
    if (!batch.tryAdd(routedEvent(message)))
      throw new PortError(
        'invalid_argument',
        `a message of ${message.device} has ${message.payload.byteLength} bytes, which is more than the event hub takes; send less at a time`,
      );
    await batch.send();
  };
}
