import { execFile, spawnSync } from 'node:child_process';
import { createServer, type AddressInfo } from 'node:net';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { AddedDevice } from '#services/api-gateway/schemas/devices.ts';
import type { LedgerView } from '#services/api-gateway/schemas/ledger.ts';
import type { QuarantinedMachineView, Series } from '#services/api-gateway/schemas/machines.ts';
import type { IntakeReceiptView } from '#services/api-gateway/schemas/telemetry.ts';
import { runningServices } from '#services/shared/process/service-address.ts';
import { LoneService } from '#test/support/lone-service.ts';
import { MqttDevice } from '#test/support/mqtt-device.ts';
import { processGroup } from '#test/support/process-group.ts';
import { PlatformProcess, runCommand, SITE, until } from '#test/support/platform-process.ts';

const TIMEOUT_MS = 240_000;
const STOPS_WITHIN_MS = 10_000;
/** Run before anything else, it makes a Node.js say that it is an older one. */
const OLDER_NODE = 'Object.defineProperty(process,"versions",{value:{...process.versions,node:"20.0.0"}})';

describe('a platform that runs', () => {
  let platform: PlatformProcess;
  beforeAll(async () => {
    platform = await PlatformProcess.start();
  }, TIMEOUT_MS);
  afterAll(async () => {
    await platform[Symbol.asyncDispose]();
  });

  it(
    'stores what a device that the CLI made sends by MQTT and by HTTP, and accounts for each item',
    async () => {
      const before = await platform.drainedLedger();
      const press = await addDevice(platform, 'press-7');
      const ts = Date.now();
      const login = { clientId: 'press-7', username: 'press-7', password: press.secret };
      const mqtt = await MqttDevice.connect(platform.mqttPort, login);
      await mqtt.publishTo(
        press.topics[0] ?? '',
        JSON.stringify({ id: 'by-mqtt', ts, metrics: { velocity_rms: 2.31, temperature: 61.2 } }),
      );
      await mqtt.disconnect();
      const receipt = await sendByHttp(platform, press, [
        { id: 'by-http', ts: ts + 1000, metrics: { velocity_rms: 2.5 } },
      ]);
      expect(receipt).toMatchObject({ accepted: 1, rejectedItems: 0 });

      const ledger = await platform.drainedLedger();
      expect(ledger).toMatchObject({ exact: true, accepted: before.accepted + 3, stored: before.stored + 3 });
      const series = await readSeries(platform, 'press-7', 'velocity_rms', ts);
      expect(series.ts).toEqual([ts, ts + 1000]);
      expect(series.columns).toEqual({ value: [2.31, 2.5] });
    },
    TIMEOUT_MS,
  );

  it(
    'refuses a service that is started by itself on its folder, those that run in its own process too',
    async () => {
      for (const name of ['timeseries-service', 'ingestion-service']) {
        await using service = new LoneService(name, platform.dataDir);
        expect(await service.ended).toBe(1);
        expect(service.words).toContain(`is in use by another Tribo (process ${platform.pid}): stop it`);
      }
    },
    TIMEOUT_MS,
  );

  it(
    'prints lines for the ports that it really has',
    async () => {
      const { stdout } = await platform.command('device', 'add', 'press-8');
      expect(stdout).toContain(`mosquitto_pub -h 127.0.0.1 -p ${platform.mqttPort} `);
      expect(stdout).toContain(`curl -sS ${platform.url}/v1/telemetry `);
    },
    TIMEOUT_MS,
  );

  it(
    'tells who added which device, and not its secret',
    async () => {
      const { secret } = await addDevice(platform, 'press-11');
      const { stdout } = await platform.command('audit', '--target', 'press-11', '--json');
      const added = { action: 'device.add', target: 'press-11', actor: 'command-line', outcome: 'done' };
      expect(JSON.parse(stdout)).toEqual([expect.objectContaining(added)]);
      expect(stdout).not.toContain(secret);
      expect((await platform.command('audit', '--target', 'press-11')).stdout).toContain('device.add');
    },
    TIMEOUT_MS,
  );

  it(
    'makes nothing of a device that it refuses, and gives one that is there a new secret',
    async () => {
      const { secret } = await addDevice(platform, 'press-9');
      const taken = await platform.command('device', 'add', 'other-1', '--id', 'press-9', '--json');
      expect(taken).toMatchObject({ code: 73, stdout: '' });
      expect(JSON.parse(taken.stderr)).toMatchObject({
        error: 'there is a device press-9 already',
        kind: 'conflict',
        type: 'urn:tribo:problem:conflict',
        remedy: expect.stringContaining('npx tribo device secret press-9'),
      });
      const wrong = await platform.command('device', 'add', 'other-1', 'not a name');
      expect(wrong).toMatchObject({ code: 65, stderr: expect.stringContaining('/machines/1/machine') });
      await expect(platform.api.request('GET', `/v1/machines/other-1?site=${SITE}`)).rejects.toMatchObject({
        kind: 'not-found',
      });

      const { stdout } = await platform.command('device', 'secret', 'press-9', '--json');
      const renewed = JSON.parse(stdout) as AddedDevice;
      expect(renewed.secret).not.toBe(secret);
      expect(await sendByHttp(platform, renewed, [{ ts: Date.now(), metrics: { rpm: 1480 } }])).toMatchObject({
        accepted: 1,
      });
    },
    TIMEOUT_MS,
  );

  const isInstalled = (name: string) => spawnSync(name, ['--help']).error === undefined;
  const senders = Map.groupBy(['curl', 'mosquitto_pub'], isInstalled);
  for (const absent of senders.get(false) ?? []) {
    process.stderr.write(`${absent} is not installed: the line that is printed for it is not tried\n`);
  }
  it.each(senders.get(true) ?? [])(
    'prints a line of %s that works as pasted into bash',
    async (sender) => {
      const machine = `pasted-${sender.replace('_', '-')}`;
      const { stdout } = await platform.command('device', 'add', machine);
      const line = stdout.split('\n').find((each) => each.startsWith(`  ${sender} `)) ?? '';
      const before = Date.now();
      await promisify(execFile)('bash', ['-c', line]);
      await until('its reading is stored', async () => {
        const series = await readSeries(platform, machine, 'velocity_rms', before - 1000);
        return series.columns['value']?.[0] === 2.31;
      });
    },
    TIMEOUT_MS,
  );

  it(
    'keeps an unknown machine aside and stores what it sends once it is adopted',
    async () => {
      const stray = { site: SITE, machine: 'stray', messages: [{ ts: Date.now(), metrics: { rpm: 1480 } }] };
      expect(await platform.api.request('POST', '/v1/telemetry', stray)).toMatchObject({
        accepted: 0,
        rejected: [{ code: 'unknown_machine' }],
      });
      await until('the machine is in quarantine', async () => {
        const { stdout } = await platform.command('--json', 'device', 'quarantine');
        return (JSON.parse(stdout) as QuarantinedMachineView[]).some(({ machine }) => machine === 'stray');
      });
      expect(await platform.command('device', 'adopt', SITE, 'stray', '--class', 'fan')).toMatchObject({ code: 0 });
      await until('it is stored', async () => {
        const receipt = await platform.api.request<IntakeReceiptView>('POST', '/v1/telemetry', stray);
        return receipt.accepted === 1;
      });
      const { stdout, code } = await platform.command('--json', 'ledger');
      expect(code).toBe(0);
      expect(JSON.parse(stdout)).toMatchObject({ exact: true } satisfies Partial<LedgerView>);
    },
    TIMEOUT_MS,
  );

  it(
    'stops when it is asked to, leaves no process behind, and goes on where it stopped',
    async () => {
      const device = await addDevice(platform, 'pump-1');
      const ts = Date.now();
      const message = { id: 'before-the-stop', ts, metrics: { rpm: 1797 } };
      await sendByHttp(platform, device, [message]);
      const before = await platform.ledger();

      const { code, ms } = await platform.stop('SIGTERM');
      expect(code).toBe(0);
      expect(ms).toBeLessThan(STOPS_WITHIN_MS);
      expect(platform.processes()).toEqual([]);

      await platform.startAgain();
      expect(await platform.drainedLedger()).toMatchObject({ exact: true, accepted: before.accepted });
      expect((await readSeries(platform, 'pump-1', 'rpm', ts)).columns).toEqual({ value: [1797] });
      expect(await sendByHttp(platform, device, [message])).toMatchObject({ accepted: 0, duplicate: 1 });
      expect(await platform.drainedLedger()).toMatchObject({ exact: true, stored: before.accepted - before.rejected });
    },
    TIMEOUT_MS,
  );

  it(
    'is not started twice on the same data folder',
    async () => {
      const second = await platform.command('start', '--no-demo', '--mqtt-port', '0', '--http-port', '0');
      expect(second).toMatchObject({
        code: 78,
        stderr: expect.stringContaining(`in use by another Tribo (process ${platform.pid})`),
      });
      expect(await platform.ledger()).toMatchObject({ exact: true });
    },
    TIMEOUT_MS,
  );
});

describe('a platform that is asked to stop while it starts', () => {
  it.each([
    ['SIGTERM', 'as soon as it has the data folder', 0, 'false'],
    ['SIGINT', 'a moment later', 400, 'false'],
    ['SIGTERM', 'while its services start', 900, 'true'],
  ] as const)(
    'stops cleanly by %s %s',
    async (signal, _when, afterMs, split) => {
      const dataDir = mkdtempSync(join(tmpdir(), 'tribo-e2e-'));
      const lock = join(dataDir, 'platform.pid');
      try {
        const started = runCommand(['start', '--data-dir', dataDir], {
          TRIBO_MQTT_PORT: '0',
          TRIBO_HTTP_PORT: '0',
          TRIBO_SPLIT: split,
        });
        await until('it has taken the folder', async () => existsSync(lock));
        const pid = Number.parseInt(readFileSync(lock, 'utf8'));
        await sleep(afterMs);
        const began = performance.now();
        process.kill(pid, signal);
        expect(await started).toMatchObject({ code: 0, stdout: '' });
        expect(performance.now() - began).toBeLessThan(STOPS_WITHIN_MS);
        expect(existsSync(lock)).toBe(false);
        expect(processGroup(pid)).toEqual([]);
      } finally {
        rmSync(dataDir, { recursive: true, force: true });
      }
    },
    TIMEOUT_MS,
  );
});

describe('a platform that is stopped by Ctrl-C while its demo plant sends', () => {
  it.each([
    ['the services together', 'false'],
    ['each service in a process of its own', 'true'],
  ])(
    'has nothing to warn of, with %s',
    async (_how, split) => {
      await using platform = await PlatformProcess.start({ env: { TRIBO_SPLIT: split }, demo: true });
      const { accepted } = await platform.ledger();
      await until('the demo plant sends', async () => (await platform.ledger()).accepted > accepted + 100);
      const { code } = await platform.stop('SIGINT');
      expect({ code, log: platform.log }).toEqual({ code: 0, log: '' });
    },
    TIMEOUT_MS,
  );
});

describe('a platform that was started on another Node.js', () => {
  it(
    'runs on the pinned one, and drains at Ctrl-C, which reaches both',
    async () => {
      const NODE_OPTIONS = `--import=data:text/javascript,${encodeURIComponent(OLDER_NODE)}`;
      await using platform = await PlatformProcess.start({ env: { NODE_OPTIONS } });
      const wrappers = () => platform.processes().filter(({ command }) => command.includes('bin/tribo.js'));
      expect(wrappers()).toHaveLength(1);
      expect(wrappers()[0]?.pid).not.toBe(platform.pid);
      // A terminal signals both at once. Here the second is late on purpose: passed on, it would end what drains.
      process.kill(platform.pid, 'SIGINT');
      await until('it drains', async () => !existsSync(join(platform.dataDir, 'platform.json')));
      for (const { pid } of wrappers()) process.kill(pid, 'SIGINT');
      await until('all have ended', async () => platform.processes().length === 0);
      expect(['platform.pid', 'platform.json'].filter((name) => existsSync(join(platform.dataDir, name)))).toEqual([]);
    },
    TIMEOUT_MS,
  );
});

describe('the first start after an install', () => {
  it(
    'finds what it needs compiled',
    async () => {
      const cache = mkdtempSync(join(tmpdir(), 'tribo-compiled-'));
      const compiled = () => readdirSync(cache, { recursive: true }).length;
      try {
        const install = fileURLToPath(new URL('../../services/platform/bin/compile.js', import.meta.url));
        // npm runs it on the Node.js that the machine has.
        const env = { ...process.env, NODE_COMPILE_CACHE: cache };
        const asOlder = `--import=data:text/javascript,${encodeURIComponent(OLDER_NODE)}`;
        await promisify(execFile)(process.execPath, [asOlder, install], { env });
        const byInstall = compiled();
        await using platform = await PlatformProcess.start({ env: { NODE_COMPILE_CACHE: cache } });
        await platform.stop();
        expect(byInstall).toBeGreaterThan(500);
        expect(compiled() - byInstall).toBeLessThan(byInstall / 10);
      } finally {
        rmSync(cache, { recursive: true });
      }
    },
    TIMEOUT_MS,
  );
});

describe('a data folder on which a service runs by itself', () => {
  it(
    'is refused with the process that has it',
    async () => {
      const dataDir = mkdtempSync(join(tmpdir(), 'tribo-e2e-'));
      try {
        await using service = await LoneService.started('ml-service', dataDir);
        const started = await runCommand(['start', '--no-demo', '--data-dir', dataDir], {
          TRIBO_MQTT_PORT: '0',
          TRIBO_HTTP_PORT: '0',
        });
        expect(started.stderr).toContain(`is in use by another ml-service (process ${service.pid}): stop it`);
        expect(started.code).toBeGreaterThan(0);
      } finally {
        rmSync(dataDir, { recursive: true, force: true });
      }
    },
    TIMEOUT_MS,
  );
});

describe('a port that is taken', () => {
  it.each([
    ['TRIBO_MQTT_PORT', 'the services together', 'false'],
    ['TRIBO_HTTP_PORT', 'the services together', 'false'],
    ['TRIBO_MQTT_PORT', 'each service in a process of its own', 'true'],
    ['TRIBO_HTTP_PORT', 'each service in a process of its own', 'true'],
  ])(
    'ends the start with an error that names it and %s, and leaves no process, with %s',
    async (variable, _how, split) => {
      const holder = createServer().listen(0, '127.0.0.1');
      await once(holder, 'listening');
      const port = String((holder.address() as AddressInfo).port);
      const dataDir = mkdtempSync(join(tmpdir(), 'tribo-e2e-'));
      try {
        const started = await runCommand(['start', '--no-demo', '--data-dir', dataDir], {
          TRIBO_MQTT_PORT: '0',
          TRIBO_HTTP_PORT: '0',
          TRIBO_SPLIT: split,
          [variable]: port,
        });
        expect(started.code).toBe(78);
        expect(runningServices(dataDir)).toEqual([]);
        expect(started.stderr).toContain(port);
        expect(started.stderr).toContain(variable);
        expect(started.stderr).not.toContain('    at ');
      } finally {
        holder.close();
        rmSync(dataDir, { recursive: true, force: true });
      }
    },
    TIMEOUT_MS,
  );
});

async function addDevice(platform: PlatformProcess, machine: string): Promise<AddedDevice> {
  const { code, stdout, stderr } = await platform.command('device', 'add', machine, '--json');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return JSON.parse(stdout) as AddedDevice;
}

async function sendByHttp(
  platform: PlatformProcess,
  { device, secret }: AddedDevice,
  messages: readonly unknown[],
): Promise<IntakeReceiptView> {
  const response = await fetch(new URL('/v1/telemetry', platform.url), {
    method: 'POST',
    headers: {
      authorization: `Basic ${Buffer.from(`${device.id}:${secret}`).toString('base64')}`,
      'content-type': 'application/json',
    },
    body: JSON.stringify({ ...device.machines[0], messages }),
  });
  expect(response.status).toBe(202);
  return (await response.json()) as IntakeReceiptView;
}

function readSeries(platform: PlatformProcess, machine: string, metric: string, fromMs: number): Promise<Series> {
  const path = `/v1/machines/${machine}/series?site=${SITE}&metric=${metric}&from=${fromMs}&to=${fromMs + 60_000}`;
  return platform.api.request('GET', path);
}
