import { Construct } from 'constructs';
import type { AzureStack } from './azure-stack.ts';
import type { IotHub } from './iot-hub.ts';
import type { DeviceRegistrySection } from './ports.ts';

/** Devices are identities of the hub, which the registry makes as people add them: nothing is made beside the hub. */
export class IotHubDeviceRegistry extends Construct {
  readonly section: DeviceRegistrySection;

  constructor(scope: AzureStack, id: string, { hub }: IotHub) {
    super(scope, id);
    this.section = { host: hub.hostname };
  }
}
