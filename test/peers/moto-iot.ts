import { devicePolicy, type IotArn } from '#adapters/aws/iot-core-device-registry/device-policy.ts';
import type { Moto } from './moto.ts';

const THING_TYPE = 'tribo-device';

/** As a stack makes it for devices, once a region: the type of their things, and their policies. */
export async function makeIotSite({ endpoint }: Moto, region: string) {
  const { IoT } = await import('@aws-sdk/client-iot');
  const iot = new IoT({ region, endpoint });
  const { thingTypeArn } = await iot.createThingType({
    thingTypeName: THING_TYPE,
    thingTypeProperties: { searchableAttributes: ['tenant'] },
  });
  const arn = thingTypeArn!.split(':').slice(0, 5).join(':') as IotArn;
  const policies = ['tribo-device-0', 'tribo-device-1'];
  for (const [index, policyName] of policies.entries())
    await iot.createPolicy({ policyName, policyDocument: devicePolicy(arn, index) });
  return { iot, arn, settings: { region, endpoint, thingType: THING_TYPE, policies, changesThing: 'tribo-changes' } };
}
