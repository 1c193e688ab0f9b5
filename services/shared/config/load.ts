import { existsSync, readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { OWN_SIMULATOR_SETTINGS } from '#services/edge-simulator/settings.ts';
import { COMMAND_SETTINGS } from './command-settings.ts';
import { ConfigurationError } from './configuration-error.ts';
import { settings, type Configuration, type Setting, type SettingKey } from './settings.ts';

export { ConfigurationError };

export interface ConfigurationSources {
  /** Flags by key of the setting; undefined where the flag was not given. */
  readonly flags?: Partial<Record<SettingKey, unknown>>;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** A YAML file with the settings by key. The default one may be absent; one that was named must be there. */
  readonly file?: string;
}

const DEFAULT_FILE = 'tribo.yaml';
const OWN_VARIABLES = new Set([
  ...Object.values(settings).map((setting: Setting) => setting.env),
  ...[...OWN_SIMULATOR_SETTINGS, ...COMMAND_SETTINGS].map(({ env }) => env),
  // Of the tests and benches.
  ...['TRIBO_DATASETS', 'TRIBO_LONG', 'TRIBO_PEERS_DIR', 'TRIBO_SEED'],
]);

/** Flags win over the environment, the environment over the file, the file over defaults. Throws a ConfigurationError that lists all problems. */
export function loadConfiguration(sources: ConfigurationSources): Configuration {
  const env = sources.env ?? {};
  const path = sources.file ?? env['TRIBO_CONFIG'];
  const file = readFile(path ?? DEFAULT_FILE, path !== undefined);
  const problems = [...unknownKeys(file, path ?? DEFAULT_FILE), ...unknownVariables(env)];
  const values: Record<string, unknown> = {};
  for (const [key, setting] of Object.entries(settings) as [SettingKey, Setting][]) {
    const given = firstGiven(sources.flags?.[key], nonEmpty(env[setting.env]), file[key]);
    const result = setting.schema.safeParse(given);
    if (result.success) values[key] = result.data;
    else problems.push(describeProblem(key, setting, given));
  }
  problems.push(...contradictions(values));
  if (problems.length > 0) throw new ConfigurationError(problems);
  return values as Configuration;
}

function describeProblem(key: SettingKey, setting: Setting, value: unknown): string {
  const shown = /secret|password|smtp|linkKey$/i.test(key) ? 'a value that is not shown' : JSON.stringify(value);
  return `${key} must be ${setting.allowed}, got ${shown}; set ${setting.env}, --${setting.flag} or ${key} in ${DEFAULT_FILE}`;
}

function contradictions(values: Record<string, unknown>): string[] {
  const together = (first: SettingKey, second: SettingKey) =>
    (values[first] === undefined) === (values[second] === undefined)
      ? []
      : [`${first} and ${second} go together: set both ${settings[first].env} and ${settings[second].env}, or neither`];
  const encrypted = (key: 'publicUrl' | 'publicMqttUrl', scheme: string) => {
    const { tlsCert, [key]: address } = values;
    return tlsCert === undefined || typeof address !== 'string' || address.startsWith(scheme)
      ? []
      : [`${key} must begin with ${scheme} where ${settings.tlsCert.env} is set; correct ${settings[key].env}`];
  };
  const { acceptAgeDays, streamRetentionDays } = values as Partial<Configuration>;
  const isAcceptedAfterRetention =
    acceptAgeDays !== undefined && streamRetentionDays !== undefined && acceptAgeDays > streamRetentionDays
      ? [
          `acceptAgeDays must be at most streamRetentionDays, got ${acceptAgeDays} and ${streamRetentionDays}; lower ${settings.acceptAgeDays.env}, or raise ${settings.streamRetentionDays.env} (7 at most)`,
        ]
      : [];
  return [
    ...isAcceptedAfterRetention,
    ...badWindows(values),
    ...together('tlsCert', 'tlsKey'),
    ...encrypted('publicUrl', 'https://'),
    ...encrypted('publicMqttUrl', 'mqtts://'),
    ...together('webhookUrl', 'webhookSecret'),
    ...together('smtpUrl', 'mailTo'),
    ...together('smtpUrl', 'mailFrom'),
    ...badLinks(values),
  ];
}

function badLinks({ linkPort, linkOver, linkAddresses, linkKey, linkKeyFile }: Partial<Configuration>): string[] {
  const isApart = linkPort !== undefined || linkAddresses !== undefined;
  const { linkKey: byText, linkKeyFile: byFile } = settings;
  if (linkKey !== undefined && linkKeyFile !== undefined)
    return [`linkKey and linkKeyFile exclude each other: set ${byText.env} or ${byFile.env}`];
  if (linkOver === 'websocket' && linkPort === undefined)
    return [`linkOver says what linkPort takes, which is not set: set ${settings.linkPort.env} too`];
  if (isApart === (linkKey !== undefined || linkKeyFile !== undefined)) return [];
  return isApart
    ? [`links need a key: set ${byText.env} or ${byFile.env}, the same for all services of the site`]
    : [`a key of links is of no use without them: set ${settings.linkPort.env} or ${settings.linkAddresses.env} too`];
}

/** So many steps make a window at most, and so many may be open to readings that are late: each is kept, for each metric. */
const MAX_STEPS = 60;
const MAX_LATE_STEPS = 3600;

function badWindows({ windowS, windowStepS = windowS, latenessMs }: Partial<Configuration>): string[] {
  if (windowS === undefined || windowStepS === undefined) return [];
  const steps = windowS / windowStepS;
  if (!Number.isInteger(steps) || steps > MAX_STEPS) {
    return [
      `windowStepS must divide windowS into 1 to ${MAX_STEPS} steps, got ${windowStepS} and ${windowS}; correct ${settings.windowStepS.env} or ${settings.windowS.env}`,
    ];
  }
  if (latenessMs === undefined || latenessMs <= MAX_LATE_STEPS * windowStepS * 1000) return [];
  return [
    `latenessMs must be at most ${MAX_LATE_STEPS} steps of windows, got ${latenessMs} and steps of ${windowStepS} s; lower ${settings.latenessMs.env} or raise ${settings.windowStepS.env}`,
  ];
}

function readFile(path: string, required: boolean): Record<string, unknown> {
  if (!existsSync(path)) {
    if (required) throw new ConfigurationError([`${path} is not there; correct TRIBO_CONFIG or --config`]);
    return {};
  }
  let content: unknown;
  try {
    content = parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new ConfigurationError([`${path} is not valid YAML: ${(error as Error).message.split('\n')[0] ?? ''}`]);
  }
  if (content === null || content === undefined) return {};
  if (typeof content !== 'object' || Array.isArray(content))
    throw new ConfigurationError([`${path} must hold settings as "key: value" lines`]);
  return content as Record<string, unknown>;
}

function unknownKeys(file: Record<string, unknown>, path: string): string[] {
  return Object.keys(file)
    .filter((key) => !Object.hasOwn(settings, key))
    .map(
      (key) =>
        `${path}: there is no setting ${JSON.stringify(key)}; the settings are ${Object.keys(settings).join(', ')}`,
    );
}

function unknownVariables(env: Readonly<Record<string, string | undefined>>): string[] {
  return Object.keys(env)
    .filter((name) => name.startsWith('TRIBO_') && !OWN_VARIABLES.has(name))
    .map((name) => `there is no setting ${name}; .env.example lists every one`);
}

function firstGiven(...values: unknown[]): unknown {
  return values.find((value) => value !== undefined);
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}
