import { z } from 'zod';
import { instantMsSchema, nameSchema, pageQuerySchema, pageSchema } from './common.ts';

export const machineAddressInDeviceSchema = z
  .strictObject({ site: nameSchema, machine: nameSchema })
  .meta({ id: 'MachineAddress', examples: [{ site: 'akron', machine: 'press-7' }] });

export const deviceSchema = z
  .object({
    id: z.string(),
    machines: z.array(machineAddressInDeviceSchema).meta({ description: 'The machines it may speak for' }),
    enabled: z.boolean(),
    createdMs: instantMsSchema,
    online: z.boolean().optional().meta({
      description:
        'Whether it is connected; absent: it has not connected by MQTT, or not yet come back after the platform was restarted',
    }),
    sinceMs: instantMsSchema.optional().meta({ description: 'Since when it is online, or is not' }),
  })
  .meta({ id: 'Device' });

export const deviceListQuerySchema = z.object(pageQuerySchema(500, 500));
export const devicesSchema = pageSchema(deviceSchema).meta({ id: 'Devices' });
export const deviceAddressSchema = z.object({ device: nameSchema });

export const addDeviceRequestSchema = z
  .strictObject({ id: nameSchema, machines: z.array(machineAddressInDeviceSchema).min(1).max(1000) })
  .meta({ id: 'AddDevice', examples: [{ id: 'gateway-1', machines: [{ site: 'akron', machine: 'press-7' }] }] });

/** How a device connects where that is elsewhere than at the platform's own broker. */
export const deviceConnectionSchema = z
  .object({
    url: z.string().meta({ examples: ['mqtts://broker.example:8883'] }),
    mqttVersion: z.enum(['3.1.1', '5']),
    clientId: z.string(),
    caFile: z.string().optional().meta({ description: 'The authority to trust, as the platform has it' }),
    certificate: z.enum(['issued by the site', 'the secret']).optional(),
    username: z.string().optional(),
    password: z.string().optional().meta({ description: 'To try with; the device makes its own from its secret' }),
    passwordExpiresMs: instantMsSchema.optional(),
    telemetryTopics: z.array(z.string()),
    commandTopics: z.array(z.string()),
    isKnownToHttp: z.boolean().meta({ description: 'Whether the HTTP API takes its secret as a password, too' }),
  })
  .meta({ id: 'DeviceConnection' });

export const addedDeviceSchema = z
  .object({
    device: deviceSchema,
    secret: z
      .string()
      .meta({ description: 'Shown once, and kept only as a hash: user name is the device’s id, password is this' }),
    topics: z
      .array(z.string())
      .meta({ description: 'Where it may publish telemetry', examples: [['tribo/v1/demo/akron/press-7/telemetry']] }),
    connection: deviceConnectionSchema
      .optional()
      .meta({ description: 'Where it connects; absent: to the broker of the platform, by id and secret' }),
  })
  .meta({ id: 'AddedDevice' });

export const bindDeviceRequestSchema = z
  .strictObject({ machines: z.array(machineAddressInDeviceSchema).min(1).max(1000) })
  .meta({ id: 'BindDevice', description: 'Replaces what it is bound to' });

export type DeviceView = z.infer<typeof deviceSchema>;
export type AddedDevice = z.infer<typeof addedDeviceSchema>;
