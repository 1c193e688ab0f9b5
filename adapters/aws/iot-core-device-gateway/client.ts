import { loadSdk } from '../../sdk.ts';
import { clientSettings, type AwsPlace } from '../aws-place.ts';

/** The one call to IoT Core's broker that the gateway makes: one attempt, throwing what the SDK throws. */
export interface IotDataCalls {
  /** With QoS 1. `expiryS` is for devices of MQTT 5, and for sessions that IoT Core keeps. */
  publish(topic: string, payload: Uint8Array, expiryS: number, signal: AbortSignal): Promise<void>;
  close(): void;
}

/** The SDK is loaded here and nowhere else, so that a site without IoT Core never loads it. */
export async function openIotData(place: AwsPlace): Promise<IotDataCalls> {
  const { IoTDataPlane } = await loadSdk('AWS', () => import('@aws-sdk/client-iot-data-plane'));
  const client = new IoTDataPlane(clientSettings(place));
  return {
    publish: async (topic, payload, messageExpiry, abortSignal) => {
      await client.publish({ topic, payload, qos: 1, messageExpiry }, { abortSignal });
    },
    close: () => client.destroy(),
  };
}
