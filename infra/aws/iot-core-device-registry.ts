import { Construct } from 'constructs';
import { IotPolicy } from '@cdktf/provider-aws/lib/iot-policy/index.js';
import { IotThingType } from '@cdktf/provider-aws/lib/iot-thing-type/index.js';
import { devicePolicy } from '../../adapters/aws/iot-core-device-registry/device-policy.ts';
import type { AwsStack } from './aws-stack.ts';
import { DeviceAuthorities } from './device-authorities.ts';
import { verbatim } from './policy.ts';
import type { DeviceRegistrySection } from './ports.ts';

/** Of seven machines each: more than a gateway of a plant speaks for. */
const POLICIES = 2;

/**
 * The type of the devices' things, and the policies that let each connect under its own id and use the topics of its own machines alone; with
 * `devices.authorities`, the authorities by whose certificates devices register themselves.
 */
export class IotCoreDeviceRegistry extends Construct {
  readonly section: DeviceRegistrySection;

  constructor(scope: AwsStack, id: string) {
    super(scope, id);
    const { names, region, environment } = scope.site;
    const thingType = names.of('device', 128);
    const type = new IotThingType(this, 'thing-type', {
      name: thingType,
      properties: { description: `Devices of ${names.base}`, searchableAttributes: ['tenant'] },
    });
    const arn = `arn:${scope.partition}:iot:${region}:${scope.account}` as const;
    const policies = Array.from({ length: POLICIES }, (_, number) => names.of(`device-${number}`, 128));
    const documents = policies.map(
      (name, number) => new IotPolicy(this, `policy-${number}`, { name, policy: verbatim(devicePolicy(arn, number)) }),
    );
    if (environment.devices)
      new DeviceAuthorities(this, 'authorities', scope, {
        ...{ authorities: environment.devices.authorities, thingType, policies },
        after: [type, ...documents],
      });
    this.section = { thingType, policies, changesThing: names.of('changes', 128) };
  }
}
