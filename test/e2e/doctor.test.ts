import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { AddedDevice } from '#services/api-gateway/schemas/devices.ts';
import { attention, unreadiness } from '#test/support/edge-requests.ts';
import { startHttpReceiver } from '#test/support/http-receiver.ts';
import { MqttDevice } from '#test/support/mqtt-device.ts';
import { PlatformProcess, runCommand, until } from '#test/support/platform-process.ts';

const TIMEOUT_MS = 180_000;

interface Check {
  readonly name: string;
  readonly ok: boolean;
  readonly detail: string;
  readonly remedy?: string;
}

describe('tribo doctor where no platform runs', () => {
  let dataDir: string;
  beforeEach(() => {
    dataDir = mkdtempSync(join(tmpdir(), 'tribo-doctor-'));
  });
  afterEach(() => rmSync(dataDir, { recursive: true }));

  async function doctor(env: Readonly<Record<string, string>> = {}, folder = dataDir) {
    const ports = { TRIBO_MQTT_PORT: '0', TRIBO_HTTP_PORT: '0' };
    const { code, stdout } = await runCommand(['--json', 'doctor', '--data-dir', folder], { ...ports, ...env });
    return { code, checks: JSON.parse(stdout) as Check[] };
  }

  it(
    'finds this machine fit for it',
    async () => {
      const { code, checks } = await doctor();
      expect(checks.filter(({ ok }) => !ok)).toEqual([]);
      expect(checks.map(({ name }) => name)).toEqual([
        'Node.js',
        'memory',
        'data folder',
        'data format',
        'free disk',
        'MQTT port',
        'HTTP port',
      ]);
      expect(code).toBe(0);
    },
    TIMEOUT_MS,
  );

  it.each([
    ['is not there yet', 'plant/data', (at: string) => `${at} can be made in ${dirname(dirname(at))}`, true],
    ['is below a file', 'file/data', (at: string) => `${at}: ${dirname(at)} is no folder`, false],
  ])(
    'says of a data folder that %s whether it can be made, and makes nothing',
    async (_what, name, detail, ok) => {
      writeFileSync(join(dataDir, 'file'), '');
      const folder = join(dataDir, name);
      const { checks } = await doctor({}, folder);
      expect(checks.find((check) => check.name === 'data folder')).toMatchObject({ ok, detail: detail(folder) });
      expect(readdirSync(dataDir)).toEqual(['file']);
    },
    TIMEOUT_MS,
  );

  it(
    'names a port that is taken and its setting, and a data folder of a newer Tribo, and exits with 70',
    async () => {
      writeFileSync(join(dataDir, 'format.json'), '{"format":999,"createdBy":"9.0.0"}');
      const holder = createServer().listen(0, '127.0.0.1');
      await once(holder, 'listening');
      try {
        const port = String((holder.address() as AddressInfo).port);
        const { code, checks } = await doctor({ TRIBO_MQTT_PORT: port });
        expect(checks.filter(({ ok }) => !ok)).toEqual([
          { name: 'data format', ok: false, detail: expect.stringContaining('has data format 999') },
          {
            name: 'MQTT port',
            ok: false,
            detail: `127.0.0.1:${port} is taken`,
            remedy: 'stop what listens there, or set TRIBO_MQTT_PORT',
          },
        ]);
        expect(code).toBe(70);
      } finally {
        holder.close();
      }
    },
    TIMEOUT_MS,
  );
});

describe('tribo doctor where the platform is not ready', () => {
  it.each([
    ['its services together', {}, 'timeseries-service', 'time-series-store'],
    ['a process for each service', { TRIBO_SPLIT: 'true' }, 'feature-service', 'feature-service'],
  ])(
    'says which part is not, and why, with %s',
    async (_how, env, stopped, check) => {
      await using platform = await PlatformProcess.start({ env });
      process.kill(platform.runningPid(stopped), 'SIGSTOP');
      try {
        await until('the platform says that it is not ready', async () => check in (await unreadiness(platform)));
        const { code, stdout } = await platform.command('--json', 'doctor');
        const checks = JSON.parse(stdout) as Check[];
        expect(checks).toContainEqual({ name: check, ok: false, detail: expect.stringMatching(/answer|went away/) });
        expect(checks).toContainEqual({ name: 'platform', ok: true, detail: `answers at ${platform.url}` });
        expect(checks.map(({ name }) => name)).toContain('ledger');
        expect(code).toBe(70);
        const { stdout: text } = await platform.command('doctor');
        expect(text).toMatch(new RegExp(`^FAIL ${check}: .*(answer|went away)`, 'm'));
      } finally {
        process.kill(platform.runningPid(stopped), 'SIGCONT');
      }
    },
    TIMEOUT_MS,
  );
});

describe('tribo doctor where something calls for attention', () => {
  it.each([
    ['its services together', 'false'],
    ['a process for each service', 'true'],
  ])(
    'names it although the platform is ready, with %s',
    async (_how, split) => {
      await using webhook = await startHttpReceiver((_request, response) => response.writeHead(400).end());
      await using platform = await PlatformProcess.start({
        env: {
          ...{ TRIBO_SPLIT: split, TRIBO_WEBHOOK_URL: webhook.url, TRIBO_WEBHOOK_EVENTS: 'device' },
          ...{ TRIBO_WEBHOOK_SECRET: 'a secret of sixteen characters', TRIBO_PRESENCE_SETTLE_MS: '0' },
        },
      });
      const { stdout } = await platform.command('device', 'add', 'press-7', '--json');
      const { secret } = JSON.parse(stdout) as AddedDevice;
      const login = { clientId: 'press-7', username: 'press-7', password: secret };
      const device = await MqttDevice.connect(platform.mqttPort, login);
      const told = /could not be sent by webhook/;
      await until('it calls for attention', async () => told.test(Object.values(await attention(platform)).join()));
      await device.disconnect();
      expect(await unreadiness(platform)).toEqual({});
      const { code, stdout: text } = await platform.command('doctor');
      expect(text).toMatch(/^WARN .*notifications: .*could not be sent by webhook/m);
      expect(code).toBe(70);
    },
    TIMEOUT_MS,
  );
});
