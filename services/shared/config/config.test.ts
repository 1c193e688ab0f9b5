import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import { SIMULATOR_SETTINGS } from '#services/edge-simulator/settings.ts';
import { envExample } from './env-example.ts';
import { ConfigurationError, loadConfiguration, type ConfigurationSources } from './load.ts';
import { settings } from './settings.ts';

function problemsOf(sources: ConfigurationSources): readonly string[] {
  try {
    loadConfiguration(sources);
  } catch (error) {
    if (error instanceof ConfigurationError) return error.problems;
    throw error;
  }
  return [];
}

function withFile(text: string, run: (path: string) => void): void {
  const folder = mkdtempSync(join(tmpdir(), 'tribo-config-'));
  try {
    const path = join(folder, 'tribo.yaml');
    writeFileSync(path, text);
    run(path);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe('configuration', () => {
  it('listens on loopback by default', () => {
    expect(loadConfiguration({})).toMatchObject({
      host: '127.0.0.1',
      mqttPort: 1883,
      httpPort: 8080,
      dataDir: '.tribo',
      demo: true,
    });
  });

  it('lets a flag win over the environment, and the environment over the file', () => {
    withFile('mqttPort: 1\nhttpPort: 2\nsite: akron\n', (file) => {
      const configuration = loadConfiguration({
        file,
        env: { TRIBO_MQTT_PORT: '3', TRIBO_HTTP_PORT: '4' },
        flags: { mqttPort: '5' },
      });
      expect(configuration).toMatchObject({ mqttPort: 5, httpPort: 4, site: 'akron' });
    });
  });

  it.each([
    [
      { TRIBO_HTTP_PORT: '99999' },
      /^httpPort must be a port number.* got "99999"; set TRIBO_HTTP_PORT, --http-port or httpPort in tribo.yaml$/,
    ],
    [{ TRIBO_DEMO: 'maybe' }, /^demo must be true or false, got "maybe"/],
    [{ TRIBO_LOG_LEVEL: 'loud' }, /^logLevel must be trace, debug, .* got "loud"/],
    [{ TRIBO_HTTPPORT: '80' }, /^there is no setting TRIBO_HTTPPORT/],
    [
      { TRIBO_LINK_ADDRESSES: 'ml-service=https://ml.example', TRIBO_LINK_KEY: 'a-long-random-text-of-32-or-more' },
      /^linkAddresses must be a list/,
    ],
    [
      { TRIBO_LINK_ADDRESSES: 'ml-service=wss://ml.example?x=1', TRIBO_LINK_KEY: 'a-long-random-text-of-32-or-more' },
      /^linkAddresses must be a list/,
    ],
    [
      { TRIBO_LINK_ADDRESSES: 'ml-service=ml.internal', TRIBO_LINK_KEY: 'a-long-random-text-of-32-or-more' },
      /^linkAddresses must be a list/,
    ],
    [{ TRIBO_LINK_OVER: 'udp' }, /^linkOver must be tcp or websocket, got "udp"/],
    [{ TRIBO_LINK_OVER: 'websocket' }, /^linkOver says what linkPort takes, .* set TRIBO_LINK_PORT too$/],
    [
      { TRIBO_PUBLIC_URL: 'tribo.example' },
      /^publicUrl must be http:\/\/ or https:\/\/ .* got "tribo.example"; set TRIBO_PUBLIC_URL/,
    ],
    [{ TRIBO_PUBLIC_URL: 'ftp://tribo.example' }, /^publicUrl must be/],
    [{ TRIBO_PUBLIC_URL: 'https://tribo.example/plant' }, /^publicUrl must be .* no path/],
    [{ TRIBO_PUBLIC_URL: 'https://me:secret@tribo.example' }, /^publicUrl must be/],
    [{ TRIBO_PUBLIC_URL: 'https://tribo.example?x=1' }, /^publicUrl must be/],
    [{ TRIBO_PUBLIC_URL: 'https://tribo.example:99999' }, /^publicUrl must be/],
    [{ TRIBO_PUBLIC_MQTT_URL: 'https://tribo.example' }, /^publicMqttUrl must be mqtt:\/\/ or mqtts:\/\//],
    [
      { TRIBO_TLS_CERT: 'a.pem', TRIBO_TLS_KEY: 'a.key', TRIBO_PUBLIC_URL: 'http://tribo.example' },
      /^publicUrl must begin with https:\/\/ where TRIBO_TLS_CERT is set; correct TRIBO_PUBLIC_URL$/,
    ],
    [
      { TRIBO_TLS_CERT: 'a.pem', TRIBO_TLS_KEY: 'a.key', TRIBO_PUBLIC_MQTT_URL: 'mqtt://tribo.example' },
      /^publicMqttUrl must begin with mqtts:/,
    ],
    [{ TRIBO_TLS_CERT: 'a.pem' }, /^tlsCert and tlsKey go together/],
    [
      { TRIBO_ACCEPT_AGE_DAYS: '8' },
      /^acceptAgeDays must be at most streamRetentionDays, got 8 and 7; lower TRIBO_ACCEPT_AGE_DAYS, or raise TRIBO_STREAM_RETENTION_DAYS/,
    ],
    [{ TRIBO_STREAM_RETENTION_DAYS: '3' }, /TRIBO_ACCEPT_AGE_DAYS.*TRIBO_STREAM_RETENTION_DAYS/],
    [{ TRIBO_WINDOW_S: '4' }, /^windowS must be whole seconds, 5 to 86400/],
    [
      { TRIBO_WINDOW_STEP_S: '7' },
      /^windowStepS must divide windowS into 1 to 60 steps, got 7 and 60; correct TRIBO_WINDOW_STEP_S or TRIBO_WINDOW_S$/,
    ],
    [{ TRIBO_WINDOW_STEP_S: '120' }, /^windowStepS must divide/],
    [{ TRIBO_WINDOW_S: '3600', TRIBO_WINDOW_STEP_S: '10' }, /^windowStepS must divide .* 10 and 3600/],
    [
      { TRIBO_WINDOW_STEP_S: '1', TRIBO_LATENESS_MS: '86400000' },
      /^latenessMs must be at most 3600 steps of windows.*; lower TRIBO_LATENESS_MS or raise TRIBO_WINDOW_STEP_S$/,
    ],
    [{ TRIBO_SIMULATOR_SEEDS: '1' }, /^there is no setting TRIBO_SIMULATOR_SEEDS/],
    [
      { TRIBO_WEBHOOK_URL: 'https://x.example', TRIBO_WEBHOOK_SECRET: 'short' },
      /^webhookSecret must be at least 16 characters, got a value that is not shown/,
    ],
  ])('answers %j with key, value, what is allowed and where to change it', (env, expected) => {
    expect(problemsOf({ env })).toEqual(expect.arrayContaining([expect.stringMatching(expected)]));
  });

  it.each([
    ['https://Tribo.Example:8443/', 'https://tribo.example:8443'],
    ['https://tribo.example:443', 'https://tribo.example'],
    ['http://[::1]:8080', 'http://[::1]:8080'],
  ])('takes %s as the origin %s', (given, publicUrl) => {
    expect(loadConfiguration({ env: { TRIBO_PUBLIC_URL: given } })).toMatchObject({ publicUrl });
    expect(loadConfiguration({ env: { TRIBO_PUBLIC_URL: publicUrl } })).toMatchObject({ publicUrl });
  });

  it.each([
    ['mqtts://tribo.example', 'mqtts://tribo.example:8883'],
    ['mqtt://tribo.example', 'mqtt://tribo.example:1883'],
    ['mqtts://tribo.example:18883', 'mqtts://tribo.example:18883'],
  ])('takes %s as the broker at %s', (given, publicMqttUrl) => {
    expect(loadConfiguration({ env: { TRIBO_PUBLIC_MQTT_URL: given } })).toMatchObject({ publicMqttUrl });
  });

  it('takes readings as old as the streams keep what was processed', () => {
    const env = { TRIBO_ACCEPT_AGE_DAYS: '3', TRIBO_STREAM_RETENTION_DAYS: '3' };
    expect(loadConfiguration({ env })).toMatchObject({ acceptAgeDays: 3, streamRetentionDays: 3 });
  });

  it('leaves the settings of a simulator of one’s own alone', () => {
    expect(problemsOf({ env: { TRIBO_SIMULATOR_SEED: '7', INGESTION_MODE: 'http' } })).toEqual([]);
  });

  it('lists all problems at once', () => {
    expect(problemsOf({ env: { TRIBO_HTTP_PORT: 'x', TRIBO_RAW_DAYS: '0' } })).toHaveLength(2);
  });

  it.each([
    ['htpPort: 8080', /there is no setting "htpPort"/],
    ['- a\n- b', /must hold settings as "key: value" lines/],
    ['a: [', /is not valid YAML/],
  ])('refuses the file %j', (text, expected) => {
    withFile(text, (file) => expect(problemsOf({ file }).join('\n')).toMatch(expected));
  });

  it('refuses a named file that is absent', () => {
    expect(problemsOf({ file: '/nowhere/tribo.yaml' })).toEqual([
      '/nowhere/tribo.yaml is not there; correct TRIBO_CONFIG or --config',
    ]);
  });

  it('has every key in .env.example, word for word', () => {
    const text = readFileSync(new URL('../../../.env.example', import.meta.url), 'utf8');
    expect(text).toBe(envExample());
    for (const setting of Object.values(settings)) expect(text).toContain(`# ${setting.env}=`);
    for (const setting of Object.values(SIMULATOR_SETTINGS)) expect(text).toContain(`# ${setting.env}=`);
  });

  it('is read of no variable that .env.example does not have', () => {
    const root = fileURLToPath(new URL('../../..', import.meta.url));
    const read = globSync('{core,adapters,services}/**/*.ts', {
      cwd: root,
      exclude: ['**/*test*', '**/node_modules/**'],
    })
      .map((path) => readFileSync(join(root, path), 'utf8'))
      .flatMap((source) => [...source.matchAll(/\benv(?:\.|\[')(TRIBO_\w+)/g)].map(([, name]) => name));
    expect(read).toContain('TRIBO_URL');
    for (const name of read) expect(envExample()).toContain(`# ${name}=`);
  });
});
