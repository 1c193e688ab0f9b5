import type { Grant } from '../../permissions.ts';
import { BLOB_ACTIONS, BLOB_ROLE } from '../blob-place.ts';
import { HUB_RECEIVING } from '../event-hubs-place.ts';

/** Beside those of the registry. https://learn.microsoft.com/azure/iot-hub/authenticate-authorize-azure-ad */
export const iotHubDeviceGatewayPermissions: readonly Grant[] = [
  { ...HUB_RECEIVING, on: 'event hub <eventHub>' },
  { actions: BLOB_ACTIONS, on: 'container <checkpointContainer>', role: BLOB_ROLE },
  {
    actions: [
      'Microsoft.Devices/IotHubs/cloudToDeviceMessages/send/action',
      'Microsoft.Devices/IotHubs/cloudToDeviceMessages/feedback/action',
    ],
    on: 'hub <host>',
    role: 'IoT Hub Data Contributor',
  },
];
