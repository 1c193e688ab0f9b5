import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { until } from '#core/contracts/until.ts';
import type { TelemetryMessage } from './messages.ts';
import { startSimulator } from './composition.ts';
import type { RunningSimulator, SimulatorOptions } from './composition.ts';
import { parseSimulatorConfig, SimulatorConfigError } from './config.ts';
import { DEMO_MACHINES } from './plant.ts';
import { startBroker, startGateway } from '#test/support/wire-peers.ts';

let folder: string;
const cleanups: (() => Promise<void>)[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tribo-simulator-'));
});

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  await rm(folder, { recursive: true, force: true });
});

const quiet = { info: () => undefined, warn: () => undefined };

async function start(
  options: Pick<SimulatorOptions, 'transport'> & Partial<SimulatorOptions>,
): Promise<RunningSimulator> {
  const simulator = await startSimulator({
    tenant: 'demo',
    site: 'akron',
    dataDir: join(folder, 'data'),
    log: quiet,
    runId: 'run',
    ...options,
  });
  cleanups.push(() => simulator.stop());
  return simulator;
}

const acknowledged = (simulator: RunningSimulator): number =>
  Object.values(simulator.stats().devices).reduce((sum, device) => sum + device.acknowledged, 0);

describe('the simulator', () => {
  it('lets each machine speak over a connection of its own, with its own credential', async () => {
    const secrets = { 'pump-1': 'a', 'fan-1': 'b', 'gearbox-1': 'c', 'motor-1': 'd', 'press-1': 'e' };
    const broker = await startBroker({ secrets });
    cleanups.push(broker.stop);
    const devices = Object.entries(secrets).map(([id, secret]) => ({ id, secret, machines: [id] }));
    const simulator = await start({ transport: { mode: 'mqtt', url: broker.url, devices } });
    await until(() => acknowledged(simulator) >= 15);
    await simulator.stop();
    for (const { topic, clientId } of broker.published) expect(topic.split('/')[4]).toBe(clientId);
    expect(new Set(broker.published.map(({ clientId }) => clientId))).toEqual(new Set(Object.keys(secrets)));
    expect(broker.ids()).toEqual([...new Set(broker.ids())]);
  });

  it('sends the same records by HTTP as by MQTT', async () => {
    const broker = await startBroker();
    const gateway = await startGateway();
    cleanups.push(broker.stop, gateway.stop);
    const byMqtt = await start({ transport: { mode: 'mqtt', url: broker.url }, dataDir: join(folder, 'mqtt') });
    const byHttp = await start({
      transport: { mode: 'http', url: gateway.url, token: 't' },
      dataDir: join(folder, 'http'),
    });
    await until(() => acknowledged(byMqtt) >= 12 && acknowledged(byHttp) >= 12);
    await Promise.all([byMqtt.stop(), byHttp.stop()]);
    const metricsByMqtt = new Map(
      broker.published
        .filter(({ topic }) => topic.endsWith('/telemetry'))
        // One message, or those that waited together as an array.
        .flatMap(({ payload }) => JSON.parse(payload) as TelemetryMessage | TelemetryMessage[])
        .map(({ id, metrics }) => [id, Object.keys(metrics)]),
    );
    const metricsByHttp = new Map(
      gateway.requests
        .filter(({ path }) => path === '/v1/telemetry')
        .flatMap(({ body }) => (JSON.parse(body.toString()) as { messages: TelemetryMessage[] }).messages)
        .map(({ id, metrics }) => [id, Object.keys(metrics)]),
    );
    const common = [...metricsByMqtt.keys()].filter((id) => metricsByHttp.has(id));
    expect(common.length).toBeGreaterThanOrEqual(5);
    for (const id of common) expect(metricsByHttp.get(id)).toEqual(metricsByMqtt.get(id));
    expect(
      gateway.requests.some(({ path }) => path.startsWith('/v1/waveforms?') && path.includes('machine=pump-1')),
    ).toBe(true);
  });

  it('loses nothing while the broker is stopped and started: acknowledged, delivered and written ids are one set', async () => {
    const first = await startBroker();
    const ackLog = join(folder, 'acknowledged.txt');
    const simulator = await start({ transport: { mode: 'mqtt', url: first.url }, ackLog });
    await until(() => acknowledged(simulator) >= 10);
    await first.stop();
    const before = acknowledged(simulator);
    await new Promise((resolve) => setTimeout(resolve, 1500));
    const second = await startBroker({ port: first.port });
    cleanups.push(second.stop);
    await until(() => acknowledged(simulator) >= before + 10);
    await simulator.stop();
    const delivered = new Set([...first.ids(), ...second.ids()]);
    const written = (await readFile(ackLog, 'utf8')).split('\n').filter((id) => id !== '');
    expect(new Set(written)).toEqual(delivered);
    const stats = simulator.stats();
    for (const [id, { telemetry, waveforms }] of Object.entries(stats.machines)) {
      const { pending = 0, dropped } = stats.devices[id] ?? {};
      expect(dropped).toBe(0);
      expect([...delivered].filter((name) => name.startsWith(`run.${id}.`)).length).toBe(
        telemetry + waveforms - pending,
      );
    }
  });

  it('reports the gap as a metric once messages were dropped', async () => {
    const gone = await startBroker();
    await gone.stop();
    // Five machines behind one gateway: their waveforms of 44 kB fill its queue in a second or two.
    const machines = DEMO_MACHINES.map(({ description }) => description.id);
    const simulator = await start({
      transport: { mode: 'mqtt', url: gone.url, devices: [{ id: 'gateway', machines }] },
      maxQueueBytes: 150_000,
    });
    await until(() => simulator.stats().devices['gateway']!.dropped > 0);
    const broker = await startBroker({ port: gone.port });
    cleanups.push(broker.stop);
    const gaps = (): number[] =>
      broker.published
        .filter(({ topic }) => topic.endsWith('/telemetry'))
        .map(({ payload }) => JSON.parse(payload) as TelemetryMessage | TelemetryMessage[])
        .flat()
        .flatMap(({ metrics }) => (metrics['gap_count'] === undefined ? [] : [metrics['gap_count'] as number]));
    await until(() => gaps().length > 0);
    expect(gaps()[0]).toBeGreaterThan(0);
  });

  it('goes on where it stopped: the plant keeps its age', async () => {
    const options = { transport: { mode: 'http', url: 'http://127.0.0.1:1' } } as const;
    const first = await start(options);
    await new Promise((resolve) => setTimeout(resolve, 300));
    const age = first.stats().elapsedS;
    await first.stop();
    const second = await start(options);
    expect(second.stats().elapsedS).toBeGreaterThanOrEqual(age);
    // The first one's clock runs on.
    expect(second.stats().elapsedS).toBeLessThan(first.stats().elapsedS);
  });

  it('refuses to start when a machine has nobody to speak for it, and says what to do', async () => {
    await expect(
      start({ transport: { mode: 'mqtt', url: 'mqtt://127.0.0.1:1', devices: [{ id: 'd', machines: ['pump-1'] }] } }),
    ).rejects.toThrow('no device speaks for fan-1, gearbox-1, motor-1, press-1');
  });
});

describe('the configuration', () => {
  it('has defaults for the platform on this machine', () => {
    expect(parseSimulatorConfig([], {})).toMatchObject({
      transport: { mode: 'mqtt', url: 'mqtt://127.0.0.1:1883' },
      tenant: 'demo',
      site: 'plant-1',
      seed: 1,
      speed: 1,
      profile: 'demo',
    });
  });

  it('lets a flag win over the environment', () => {
    const env = { INGESTION_MODE: 'http', TRIBO_HTTP_PORT: '81', TRIBO_SIMULATOR_PROFILE: 'low-rate' };
    expect(parseSimulatorConfig(['--http-port', '82', '--machines', 'pump-1'], env)).toMatchObject({
      transport: { mode: 'http', url: 'http://127.0.0.1:82' },
      profile: 'low-rate',
      machines: [{ description: { id: 'pump-1' } }],
    });
  });

  it('reads devices from the credentials file', async () => {
    const devices = [
      { id: 'gateway', secret: 's3cret', machines: ['pump-1', 'fan-1'] },
      { id: 'press', certificateFile: 'press.pem', keyFile: 'press.key', machines: ['press-1'] },
    ];
    const path = join(folder, 'credentials.json');
    await writeFile(path, JSON.stringify({ devices }));
    expect(parseSimulatorConfig(['--credentials', path], {}).transport).toMatchObject({ devices });
  });

  it.each([
    {
      args: ['--speed', 'fast'],
      says: 'speed must be a number above 0, at most 1000, got "fast"; set TRIBO_DEMO_SPEED or --speed',
    },
    { args: ['--mode', 'udp'], says: 'mode must be mqtt or http, got "udp"; set INGESTION_MODE or --mode' },
    { args: ['--machines', 'pump-9'], says: 'machines must be a list of pump-1,' },
    {
      args: ['--iot-hub', 'akron.azure-devices.net'],
      says: 'at an IoT Hub each device needs its key as its secret; name a file with those by --credentials',
    },
    { args: ['--sped', '1'], says: "Unknown option '--sped'" },
    {
      args: ['--credentials', '/nowhere/c.json'],
      says: '/nowhere/c.json cannot be read (ENOENT); correct TRIBO_SIMULATOR_CREDENTIALS or --credentials',
    },
  ])('answers $args with what is wrong and where to change it', ({ args, says }) => {
    expect(() => parseSimulatorConfig(args, {})).toThrow(SimulatorConfigError);
    expect(() => parseSimulatorConfig(args, {})).toThrow(says);
  });

  it.each([{}, { certificateFile: 'a.pem' }, { secret: 's3cret', keyFile: 'a.key' }])(
    'refuses a device that has but %j to sign in by',
    async (given) => {
      const path = join(folder, 'credentials.json');
      await writeFile(path, JSON.stringify({ devices: [{ id: 'a', ...given, machines: ['pump-1'] }] }));
      expect(() => parseSimulatorConfig(['--credentials', path], {})).toThrow(
        'devices.0 needs a secret, or both certificateFile and keyFile',
      );
    },
  );

  it('shows nothing of a credentials file that is not JSON', async () => {
    const path = join(folder, 'credentials.json');
    await writeFile(path, 'hunter2');
    expect(() => parseSimulatorConfig(['--credentials', path], {})).toThrow('is not JSON');
    expect(() => parseSimulatorConfig(['--credentials', path], {})).not.toThrow('hunter2');
  });
});

describe('the process', () => {
  const main = fileURLToPath(new URL('./main.ts', import.meta.url));

  it('sends from its start, and stops within two seconds of SIGTERM with exit code 0', async () => {
    const broker = await startBroker();
    cleanups.push(broker.stop);
    const args = [main, '--mqtt-port', String(broker.port), '--data-dir', join(folder, 'data')];
    const child = spawn(process.execPath, args, { stdio: 'ignore' });
    const saying = (payload: string): number => broker.published.filter((each) => each.payload === payload).length;
    await until(() => saying('{"online":true}') === 5);
    const began = performance.now();
    child.kill('SIGTERM');
    const [code] = (await once(child, 'exit')) as [number | null];
    expect(code).toBe(0);
    expect(performance.now() - began).toBeLessThan(2000);
    expect(saying('{"online":false}')).toBe(5);
  });

  it('stops within two seconds of SIGTERM while the platform is away', async () => {
    const gone = await startBroker();
    await gone.stop();
    const args = [main, '--mqtt-port', String(gone.port), '--data-dir', join(folder, 'data')];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    await once(child.stderr, 'data');
    const began = performance.now();
    child.kill('SIGTERM');
    expect(await once(child, 'exit')).toEqual([0, null]);
    expect(performance.now() - began).toBeLessThan(2000);
  });

  it('exits with 78 and says what is wrong when its configuration is', async () => {
    const child = spawn(process.execPath, [main, '--speed=-1'], { stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
    expect(await once(child, 'close')).toEqual([78, null]);
    expect(said).toBe('speed must be a number above 0, at most 1000, got "-1"; set TRIBO_DEMO_SPEED or --speed\n');
  });
});
