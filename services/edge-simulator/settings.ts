import { z } from 'zod';
import { isName } from '#core/domain/ids.ts';
import { settings, type Setting } from '../shared/config/settings.ts';
import { DEMO_MACHINES } from './plant.ts';
import { PROFILES } from './profiles.ts';

/** As a setting of the platform; its key is the flag. */
export type SimulatorSetting = Omit<Setting, 'flag' | 'example'>;

const text = z.string().min(1);
const port = z.coerce.number().int().min(1).max(65_535);
const name = z.string().refine(isName);
const PORT = 'a port number, 1 to 65535';
const NAME = '1 to 64 of A-Z a-z 0-9 _ . -';

/** Settings of the simulator as a process of its own; those shared with the platform have the platform's names. */
export const SIMULATOR_SETTINGS = {
  mode: {
    env: 'INGESTION_MODE',
    schema: z.enum(['mqtt', 'http']).default('mqtt'),
    allowed: 'mqtt or http',
    help: 'How to send.',
  },
  host: {
    env: 'TRIBO_HOST',
    schema: text.default('127.0.0.1'),
    allowed: 'a host name or address',
    help: 'Where the platform is.',
  },
  'mqtt-port': { env: 'TRIBO_MQTT_PORT', schema: port.default(1883), allowed: PORT, help: 'Port of its broker.' },
  'http-port': { env: 'TRIBO_HTTP_PORT', schema: port.default(8080), allowed: PORT, help: 'Port of its API.' },
  tls: {
    env: 'TRIBO_SIMULATOR_TLS',
    schema: z.enum(['true', 'false']).default('false'),
    allowed: 'true or false',
    help: 'Connect by TLS.',
  },
  ca: {
    env: 'TRIBO_SIMULATOR_CA',
    schema: text.optional(),
    allowed: 'the path of a PEM file',
    help: 'Authority to trust, where systems do not know it.',
  },
  tenant: { env: 'TRIBO_TENANT', schema: name.default('demo'), allowed: NAME, help: 'Tenant of the plant.' },
  site: { env: 'TRIBO_SITE', schema: name.default('plant-1'), allowed: NAME, help: 'Site of the plant.' },
  credentials: {
    env: 'TRIBO_SIMULATOR_CREDENTIALS',
    schema: text.optional(),
    allowed: 'the path of a JSON file',
    help: 'Devices with their secrets: {"devices":[{"id","secret","machines":[]}]}; with certificateFile and keyFile for a broker that asks for a certificate (MQTT).',
  },
  'topic-root': {
    env: 'TRIBO_SIMULATOR_TOPIC_ROOT',
    schema: name.optional(),
    allowed: NAME,
    help: 'First level of topics at an MQTT broker of the site, such as device; not at the broker of the platform (MQTT).',
  },
  'iot-hub': {
    env: 'TRIBO_SIMULATOR_IOT_HUB',
    schema: z
      .string()
      .regex(/^[A-Za-z0-9-]{3,50}\.azure-devices\.(net|us|cn)$/)
      .optional(),
    allowed: '<hub>.azure-devices.net',
    help: 'Azure IoT Hub that devices connect to, by its topics and tokens of their keys; say the same as host, with mqtt-port 8883 and tls (MQTT).',
  },
  'token-file': {
    env: 'TRIBO_SIMULATOR_TOKEN_FILE',
    schema: text.optional(),
    allowed: 'the path of a file',
    help: 'File with the bearer token (HTTP).',
  },
  'data-dir': {
    env: 'TRIBO_SIMULATOR_DATA_DIR',
    schema: text.default('.tribo/edge-simulator'),
    allowed: 'a folder',
    help: 'Where messages wait for the platform.',
  },
  'max-queue-mib': {
    env: 'TRIBO_SIMULATOR_MAX_QUEUE_MIB',
    schema: z.coerce.number().min(1).max(65_536).default(64),
    allowed: 'a number, 1 to 65536',
    help: 'Bound of what waits for each device; the oldest is dropped and counted.',
  },
  seed: {
    env: 'TRIBO_SIMULATOR_SEED',
    schema: z.coerce
      .number()
      .int()
      .min(0)
      .max(2 ** 31)
      .default(1),
    allowed: 'a whole number, 0 to 2147483648',
    help: 'Same seed, same plant.',
  },
  speed: {
    env: 'TRIBO_DEMO_SPEED',
    schema: z.coerce.number().positive().max(1000).default(1),
    allowed: 'a number above 0, at most 1000',
    help: 'How fast machines age; 1 shows a bearing fault within two minutes.',
  },
  profile: {
    env: 'TRIBO_SIMULATOR_PROFILE',
    schema: z.enum(Object.keys(PROFILES) as [keyof typeof PROFILES]).default('demo'),
    allowed: Object.keys(PROFILES).join(' or '),
    help: 'How much the machines say.',
  },
  machines: {
    env: 'TRIBO_SIMULATOR_MACHINES',
    schema: z
      .string()
      .transform((list) => list.split(','))
      .refine((ids) => ids.every((id) => DEMO_MACHINES.some(({ description }) => description.id === id)))
      .optional(),
    allowed: `a list of ${DEMO_MACHINES.map(({ description }) => description.id).join(',')}`,
    help: 'Which machines run; all by default.',
  },
  'ack-log': {
    env: 'TRIBO_SIMULATOR_ACK_LOG',
    schema: text.optional(),
    allowed: 'the path of a file',
    help: 'File for the ids that were acknowledged, synced.',
  },
  'log-level': {
    env: 'TRIBO_LOG_LEVEL',
    schema: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']).default('info'),
    allowed: 'trace, debug, info, warn, error or silent',
    help: 'How much the structured log on standard error says.',
  },
  'operation-port': {
    env: 'TRIBO_OPERATION_PORT',
    schema: z.coerce.number().int().min(0).max(65_535).default(0),
    allowed: 'a port number, 0 to 65535 (0 takes any free one)',
    help: 'Loopback port for health and metrics; the port taken is in run/edge-simulator.json of the data folder.',
  },
  'run-id': {
    env: 'TRIBO_SIMULATOR_RUN_ID',
    schema: name.optional(),
    allowed: NAME,
    help: 'Begin of all message ids.',
  },
} as const satisfies Record<string, SimulatorSetting>;

/** Those that the platform has not: what is set of them is for a simulator of one's own, and is kept from the demo's. */
export const OWN_SIMULATOR_SETTINGS: readonly (SimulatorSetting & { readonly flag: string })[] = Object.entries(
  SIMULATOR_SETTINGS,
)
  .map(([flag, setting]) => ({ flag, ...setting }))
  .filter(({ env }) => !Object.values<Setting>(settings).some((shared) => shared.env === env));
