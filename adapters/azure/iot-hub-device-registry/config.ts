import { z } from 'zod';
import { iotHubPlaceShape } from '../iot-hub-place.ts';

/** Where devices are those of an Azure IoT Hub. The hub is made with the site: nothing here creates one. */
export const iotHubDeviceRegistryConfigSchema = z.strictObject({
  ...iotHubPlaceShape,
  /** The identity, of no device, by which those who change devices tell each other. It is made where it is not there, and cannot connect. */
  changesDevice: z
    .string()
    .regex(/^[A-Za-z0-9_.-]{1,64}$/)
    .default('tribo-changes'),
  /** How often is asked what others changed. */
  changePollMs: z.int().min(10).max(600_000).default(10_000),
});

export type IotHubDeviceRegistryConfig = z.infer<typeof iotHubDeviceRegistryConfigSchema>;
