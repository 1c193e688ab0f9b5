import type { Grant } from '../../permissions.ts';

/** Several identities are made and changed at once, for which the hub asks for delete too. https://learn.microsoft.com/azure/iot-hub/authenticate-authorize-azure-ad */
export const iotHubDeviceRegistryPermissions: readonly Grant[] = [
  {
    actions: [
      'Microsoft.Devices/IotHubs/devices/read',
      'Microsoft.Devices/IotHubs/devices/write',
      'Microsoft.Devices/IotHubs/devices/delete',
    ],
    on: 'hub <host>',
    role: 'IoT Hub Registry Contributor',
  },
  {
    actions: ['Microsoft.Devices/IotHubs/twins/read', 'Microsoft.Devices/IotHubs/twins/write'],
    on: 'hub <host>',
    role: 'IoT Hub Twin Contributor',
  },
];
