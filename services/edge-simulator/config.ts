import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { isName } from '#core/domain/ids.ts';
import type { LevelWithSilent } from 'pino';
import type { SimulatorOptions } from './composition.ts';
import { DEMO_MACHINES } from './plant.ts';
import { SIMULATOR_SETTINGS, type SimulatorSetting } from './settings.ts';
import { systemErrorCode } from './system-error.ts';
import type { MqttDevice } from './transport/mqtt-uplink.ts';

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
  const values = Object.entries<SimulatorSetting>(SIMULATOR_SETTINGS).map(
    ([flag, { env: variable, schema, allowed }]) => {
      const given = flags[flag] ?? (env[variable] === '' ? undefined : env[variable]);
      const result = schema.safeParse(given);
      if (!result.success)
        problems.push(`${flag} must be ${allowed}, got ${JSON.stringify(given)}; set ${variable} or --${flag}`);
      return [flag, result.data];
    },
  );
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
  const devices = values.credentials === undefined ? undefined : readCredentials(values.credentials);
  if (values['iot-hub'] !== undefined && devices?.every(({ secret }) => secret !== undefined) !== true)
    throw new SimulatorConfigError(
      'at an IoT Hub each device needs its key as its secret; name a file with those by --credentials',
    );
  return {
    mode: 'mqtt',
    url: `${values.tls === 'true' ? 'mqtts' : 'mqtt'}://${values.host}:${values['mqtt-port']}`,
    devices,
    caFile,
    topicRoot: values['topic-root'],
    iotHub: values['iot-hub'],
  };
}

const name = z.string().refine(isName);
const text = z.string().min(1).optional();
const deviceSchema = z
  .strictObject({
    id: name,
    secret: text,
    certificateFile: text,
    keyFile: text,
    machines: z.array(name).min(1).max(1000),
  })
  .refine(
    ({ secret, certificateFile, keyFile }) =>
      (certificateFile === undefined) === (keyFile === undefined) && (secret ?? keyFile) !== undefined,
    { error: 'needs a secret, or both certificateFile and keyFile' },
  );
const credentialsSchema = z.strictObject({ devices: z.array(deviceSchema).min(1).max(1000) });

function readCredentials(path: string): readonly MqttDevice[] {
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
    `${path}: ${issue?.path.join('.') ?? ''} ${issue?.message ?? ''}; it must hold {"devices":[{"id","secret","machines":[]}]}, or certificateFile and keyFile instead of the secret`,
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
