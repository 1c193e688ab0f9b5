import { z } from 'zod';
import { awsPlaceShape } from '../aws-place.ts';
import { MACHINES_A_POLICY } from './device-policy.ts';

const name = z.string().regex(/^[A-Za-z0-9:_-]{1,128}$/);

/** Where devices are things of AWS IoT Core. Thing type and policies are made with the site: nothing here creates one. */
export const iotCoreDeviceRegistryConfigSchema = z.strictObject({
  ...awsPlaceShape,
  /** Of the devices' things, with `tenant` among its searchable attributes. */
  thingType: name,
  /** The policies of `devicePolicy`, in their order: a device speaks for at most seven machines a policy. */
  policies: z.array(name).min(1).max(4),
  /** The thing, of no device, by which those who change devices tell each other. It is made where it is not there. */
  changesThing: name,
  /** How often is asked what others changed. */
  changePollMs: z.int().min(10).max(600_000).default(10_000),
});

export type IotCoreDeviceRegistryConfig = z.infer<typeof iotCoreDeviceRegistryConfigSchema>;

/** How many machines a device speaks for at most. */
export function maxMachines({ policies }: Pick<IotCoreDeviceRegistryConfig, 'policies'>): number {
  return policies.length * MACHINES_A_POLICY;
}
