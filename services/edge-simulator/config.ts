import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { isName } from '#core/domain/ids.ts';
import type { LevelWithSilent } from 'pino';
import type { SimulatorOptions } from './composition.ts';
import { DEMO_MACHINES } from './plant.ts';
import { PROFILES } from './profiles.ts';
import { systemErrorCode } from './system-error.ts';

interface Setting {
  readonly env: string;
  readonly schema: z.ZodType;
  /** Completes "must be ...". */
  readonly allowed: string;
  readonly help: string;
}

const text = z.string().min(1);
const port = z.coerce.number().int().min(1).max(65_535);
const name = z.string().refine(isName);
const PORT = 'a port number, 1 to 65535';
const NAME = '1 to 64 of A-Z a-z 0-9 _ . -';

/** Settings of the simulator as a process of its own; those shared with the platform have the platform's names. The key is the flag. */
const SIMULATOR_SETTINGS = {
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
    env: 'SIMULATOR_TLS',
    schema: z.enum(['true', 'false']).default('false'),
    allowed: 'true or false',
    help: 'Connect by TLS.',
  },
  ca: {
    env: 'SIMULATOR_CA',
    schema: text.optional(),
    allowed: 'the path of a PEM file',
    help: 'Authority to trust, where systems do not know it.',
  },
  tenant: { env: 'TRIBO_TENANT', schema: name.default('demo'), allowed: NAME, help: 'Tenant of the plant.' },
  site: { env: 'TRIBO_SITE', schema: name.default('plant-1'), allowed: NAME, help: 'Site of the plant.' },
  credentials: {
    env: 'SIMULATOR_CREDENTIALS',
    schema: text.optional(),
    allowed: 'the path of a JSON file',
    help: 'Devices with their secrets: {"devices":[{"id","secret","machines":[]}]} (MQTT).',
  },
  'token-file': {
    env: 'SIMULATOR_TOKEN_FILE',
    schema: text.optional(),
    allowed: 'the path of a file',
    help: 'File with the bearer token (HTTP).',
  },
  'data-dir': {
    env: 'SIMULATOR_DATA_DIR',
    schema: text.default('.tribo/edge-simulator'),
    allowed: 'a folder',
    help: 'Where messages wait for the platform.',
  },
  'max-queue-mib': {
    env: 'SIMULATOR_MAX_QUEUE_MIB',
    schema: z.coerce.number().min(1).max(65_536).default(64),
    allowed: 'a number, 1 to 65536',
    help: 'Bound of what waits for each device; the oldest is dropped and counted.',
  },
  seed: {
    env: 'SIMULATOR_SEED',
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
    env: 'SIMULATOR_PROFILE',
    schema: z.enum(Object.keys(PROFILES) as [keyof typeof PROFILES]).default('demo'),
    allowed: Object.keys(PROFILES).join(' or '),
    help: 'How much the machines say.',
  },
  machines: {
    env: 'SIMULATOR_MACHINES',
    schema: z
      .string()
      .transform((list) => list.split(','))
      .refine((ids) => ids.every((id) => DEMO_MACHINES.some(({ description }) => description.id === id)))
      .optional(),
    allowed: `a list of ${DEMO_MACHINES.map(({ description }) => description.id).join(',')}`,
    help: 'Which machines run; all by default.',
  },
  'ack-log': {
    env: 'SIMULATOR_ACK_LOG',
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
  'run-id': { env: 'SIMULATOR_RUN_ID', schema: name.optional(), allowed: NAME, help: 'Begin of all message ids.' },
} as const satisfies Record<string, Setting>;

type Key = keyof typeof SIMULATOR_SETTINGS;
type Values = { [K in Key]: z.infer<(typeof SIMULATOR_SETTINGS)[K]['schema']> };

/** What the simulator is told besides what it simulates, as a process of its own. */
export interface SimulatorProcessOptions extends SimulatorOptions {
  readonly logLevel: LevelWithSilent;
  /** 0 takes any free one. */
  readonly operationPort: number;
}

/** Everything that is wrong with the configuration, one line each: what, its value, what is allowed, where to change it. */
export class SimulatorConfigError extends Error {
  override readonly name = 'SimulatorConfigError';
}

/** Options from flags and environment; flags win. Reads the files they name. @throws SimulatorConfigError */
export function parseSimulatorConfig(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): SimulatorProcessOptions {
  const values = parseValues(readFlags(args), env);
  const machines = values.machines && DEMO_MACHINES.filter(({ description: { id } }) => values.machines?.includes(id));
  return {
    transport: transportOf(values),
    tenant: values.tenant,
    site: values.site,
    dataDir: values['data-dir'],
    maxQueueBytes: values['max-queue-mib'] * 1024 * 1024,
    seed: values.seed,
    speed: values.speed,
    profile: values.profile,
    machines,
    ackLog: values['ack-log'],
    runId: values['run-id'],
    logLevel: values['log-level'],
    operationPort: values['operation-port'],
  };
}

export function simulatorHelp(): string {
  const lines = Object.entries(SIMULATOR_SETTINGS).map(
    ([flag, { env, help, allowed }]) =>
      `  --${flag} (${env})\n      ${help} ${allowed[0]?.toUpperCase() ?? ''}${allowed.slice(1)}.`,
  );
  return `Simulated machines that send to a Tribo platform.\n\nnode services/edge-simulator/main.ts [flags]\n\n${lines.join('\n')}\n`;
}

function readFlags(args: readonly string[]): Readonly<Record<string, string | undefined>> {
  const options = Object.fromEntries(
    Object.keys(SIMULATOR_SETTINGS).map((flag) => [flag, { type: 'string' as const }]),
  );
  try {
    return parseArgs({ args: [...args], options }).values;
  } catch (error) {
    throw new SimulatorConfigError(`${(error as Error).message}; --help lists the flags`);
  }
}

function parseValues(
  flags: Readonly<Record<string, string | undefined>>,
  env: Readonly<Record<string, string | undefined>>,
): Values {
  const problems: string[] = [];
  const values = Object.entries<Setting>(SIMULATOR_SETTINGS).map(([flag, { env: variable, schema, allowed }]) => {
    const given = flags[flag] ?? (env[variable] === '' ? undefined : env[variable]);
    const result = schema.safeParse(given);
    if (!result.success)
      problems.push(`${flag} must be ${allowed}, got ${JSON.stringify(given)}; set ${variable} or --${flag}`);
    return [flag, result.data];
  });
  if (problems.length > 0) throw new SimulatorConfigError(problems.join('\n'));
  return Object.fromEntries(values) as Values;
}

function transportOf(values: Values): SimulatorOptions['transport'] {
  const { ca: caFile } = values;
  // It is read when it is needed: a file that is not there is said now.
  if (caFile !== undefined) readNamedFile('ca', caFile);
  if (values.mode === 'http') {
    const tokenFile = values['token-file'];
    return {
      mode: 'http',
      url: `${values.tls === 'true' ? 'https' : 'http'}://${values.host}:${values['http-port']}`,
      token: tokenFile === undefined ? undefined : readNamedFile('token-file', tokenFile).trim(),
      caFile,
    };
  }
  return {
    mode: 'mqtt',
    url: `${values.tls === 'true' ? 'mqtts' : 'mqtt'}://${values.host}:${values['mqtt-port']}`,
    devices: values.credentials === undefined ? undefined : readCredentials(values.credentials),
    caFile,
  };
}

const credentialsSchema = z.strictObject({
  devices: z
    .array(z.strictObject({ id: name, secret: text, machines: z.array(name).min(1).max(1000) }))
    .min(1)
    .max(1000),
});

function readCredentials(path: string): z.infer<typeof credentialsSchema>['devices'] {
  const content = readNamedFile('credentials', path);
  let json: unknown;
  try {
    json = JSON.parse(content);
  } catch {
    // The parser's message would show a piece of the file, and so maybe of a secret.
    throw new SimulatorConfigError(`${path} is not JSON; correct it, or name another file with --credentials`);
  }
  const result = credentialsSchema.safeParse(json);
  if (result.success) return result.data.devices;
  const [issue] = result.error.issues;
  throw new SimulatorConfigError(
    `${path}: ${issue?.path.join('.') ?? ''} ${issue?.message ?? ''}; it must hold {"devices":[{"id","secret","machines":[]}]}`,
  );
}

function readNamedFile(flag: Key, path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new SimulatorConfigError(
      `${path} cannot be read (${systemErrorCode(error) ?? 'unknown'}); correct ${SIMULATOR_SETTINGS[flag].env} or --${flag}`,
    );
  }
}
