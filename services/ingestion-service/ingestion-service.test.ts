import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectSocket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import mqttPacket from 'mqtt-packet';
import { FileObjectStore } from '#adapters/embedded/file-object-store/file-object-store.ts';
import { DEFAULT_RETENTION } from '#adapters/embedded/lmdb-event-stream/config.ts';
import { LmdbEventStream } from '#adapters/embedded/lmdb-event-stream/lmdb-event-stream.ts';
import { sqliteDeviceRegistryConfigSchema } from '#adapters/embedded/sqlite-device-registry/config.ts';
import { SqliteDeviceRegistry } from '#adapters/embedded/sqlite-device-registry/sqlite-device-registry.ts';
import { sqliteMachineRegistryConfigSchema } from '#adapters/embedded/sqlite-machine-registry/config.ts';
import { SqliteMachineRegistry } from '#adapters/embedded/sqlite-machine-registry/sqlite-machine-registry.ts';
import { until } from '#core/contracts/until.ts';
import type { StampedEvent, StreamName } from '#core/domain/event.ts';
import {
  machineKey,
  type DeviceId,
  type MachineId,
  type MachineKey,
  type SiteId,
  type TenantId,
} from '#core/domain/ids.ts';
import { machineSchema } from '#core/domain/plant.ts';
import type { Rejection } from '#core/domain/reading.ts';
import { storedSamples } from '#core/domain/waveform-object.ts';
import type { WaveformReference } from '#core/domain/waveform.ts';
import type { LiveFeed } from '#core/live/live-feed.ts';
import { loadConfiguration } from '#services/shared/config/load.ts';
import { openLinks } from '#services/shared/rpc/links.ts';
import { connectIntake, LIVE_PORT } from '#services/shared/rpc/intake-port.ts';
import { connectPort } from '#services/shared/rpc/port-client.ts';
import { socketPath } from '#services/shared/rpc/socket-path.ts';
import { MqttDevice } from '#test/support/mqtt-device.ts';
import { composeIngestionService } from './composition.ts';

const ACME = 'acme' as TenantId;
const AKRON = 'akron' as SiteId;
const PRESS = machineKey(ACME, AKRON, 'press-7' as MachineId);
const PUMP = machineKey(ACME, AKRON, 'pump-2' as MachineId);
const STRANGER = machineKey(ACME, AKRON, 'stranger' as MachineId);

/** Ingestion as it runs: real broker, real log, real registries, real files. */
let folder: string;
let service: Awaited<ReturnType<typeof composeIngestionService>>;
let devices: SqliteDeviceRegistry;
let machines: SqliteMachineRegistry;
let log: LmdbEventStream;
let secret: string;
let clients: MqttDevice[];

async function startService(flags: Record<string, unknown> = {}): Promise<void> {
  service = await composeIngestionService(
    loadConfiguration({ flags: { dataDir: folder, mqttPort: 0, logLevel: 'error', ...flags } }),
  );
}

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tribo-ingestion-'));
  const registry = { databasePath: join(folder, 'registry.db'), changePollMs: 20 };
  devices = await SqliteDeviceRegistry.open(sqliteDeviceRegistryConfigSchema.parse(registry));
  machines = await SqliteMachineRegistry.open(sqliteMachineRegistryConfigSchema.parse(registry));
  log = new LmdbEventStream({ directory: join(folder, 'streams'), source: 'test', streams: DEFAULT_RETENTION });
  for (const id of ['press-7', 'pump-2']) {
    const metrics = [{ name: 'temperature', unit: 'Cel', min: -60, max: 400 }];
    await machines.putMachine(ACME, AKRON, machineSchema.parse({ id, class: 'press', metrics }));
  }
  ({ secret } = await devices.addDevice({ id: 'press-7' as DeviceId, tenant: ACME, machines: [PRESS, STRANGER] }));
  clients = [];
  await startService();
});

afterEach(async () => {
  for (const each of clients) each.client.end(true);
  await service.close();
  await log.close();
  await devices.close();
  await machines.close();
  rmSync(folder, { recursive: true });
});

async function connect(id = 'press-7', password = secret): Promise<MqttDevice> {
  const device = await MqttDevice.connect(service.service.mqttPort, { clientId: id, username: id, password });
  clients.push(device);
  return device;
}

async function events(stream: StreamName): Promise<StampedEvent[]> {
  const found: StampedEvent[] = [];
  for await (const batch of log.readTail(stream, { maxEvents: 100_000, sinceMs: 0 })) found.push(...batch);
  return found;
}

function jsonOf(event: StampedEvent | undefined): unknown {
  return JSON.parse(Buffer.from(event?.payload ?? []).toString());
}

async function rejections(stream: StreamName): Promise<string[]> {
  const refused = (await events(stream)).filter(({ kind }) => kind === 'rejection');
  return refused.flatMap((event) => (jsonOf(event) as Rejection[]).map(({ code, pointer }) => `${code} ${pointer}`));
}

const telemetry = (change: object = {}) => JSON.stringify({ ts: Date.now(), metrics: { temperature: 61 }, ...change });
const samples = Buffer.from(Float32Array.from({ length: 16 }, (_, at) => at + 1).buffer);
const waveform = (change: object = {}) =>
  JSON.stringify({
    ...{ ts: Date.now(), sampleRateHz: 25_600, unit: 'g', encoding: 'f32le' },
    samples: samples.toString('base64'),
    ...change,
  });

describe('bad input through the gateway is acknowledged, rejected by name, and harms nothing', () => {
  const badTelemetry: [what: string, payload: string | Buffer, rejected: string][] = [
    ['malformed JSON', '{"ts":1,', 'malformed_json '],
    ['NaN', `{"ts":${Date.now()},"metrics":{"temperature":NaN}}`, 'malformed_json '],
    ['Infinity', `{"ts":${Date.now()},"metrics":{"temperature":Infinity}}`, 'malformed_json '],
    ['1e400', `{"ts":${Date.now()},"metrics":{"temperature":1e400}}`, 'not_finite /metrics/temperature'],
    ['deep nesting', '['.repeat(60_000) + ']'.repeat(60_000), 'invalid_type /0'],
    ['wrong types', telemetry({ metrics: { temperature: 'hot' } }), 'invalid_type /metrics/temperature'],
    ['a timestamp in 1970', telemetry({ ts: '1970-01-01T00:00:00Z' }), 'timestamp_too_old /ts'],
    ['a timestamp in 2099', telemetry({ ts: '2099-12-31T23:59:59Z' }), 'timestamp_in_future /ts'],
    ['no timestamp', telemetry({ ts: undefined }), 'missing_timestamp /ts'],
    ['illegal UTF-8', Buffer.from([0x7b, 0x22, 0xc3, 0x28, 0x22, 0x7d]), 'invalid_utf8 '],
    ['path tricks in names', telemetry({ metrics: { '../../x': 1 } }), 'invalid_metric_name /metrics/..~1..~1x'],
    [
      'prototype pollution keys',
      `{"ts":${Date.now()},"metrics":{"__proto__":{"value":1}}}`,
      'invalid_metric_name /metrics/__proto__',
    ],
    ['a value outside its limits', telemetry({ metrics: { temperature: 5000 } }), 'out_of_limits /metrics/temperature'],
    ['nothing at all', '', 'malformed_json '],
  ];

  it.each(badTelemetry)('%s', async (_what, payload, rejected) => {
    const device = await connect();
    await device.publish(PRESS, payload);
    expect(await rejections('metrics')).toEqual([rejected]);
    await device.publish(PRESS, telemetry());
    expect((await events('metrics')).map(({ kind, items }) => [kind, items])).toEqual([
      ['rejection', 1],
      ['telemetry', 1],
    ]);
    expect(({} as Record<string, unknown>)['value']).toBeUndefined();
  });

  const badWaveforms: [what: string, payload: string, rejected: string][] = [
    [
      'a truncated waveform',
      waveform({ samples: samples.toString('base64').slice(0, -3) }),
      'truncated_samples /samples',
    ],
    ['too few samples', waveform({ samples: samples.subarray(4).toString('base64') }), 'too_few_samples /samples'],
    ['an odd byte count', waveform({ samples: samples.subarray(1).toString('base64') }), 'truncated_samples /samples'],
    ['zero sample rate', waveform({ sampleRateHz: 0 }), 'invalid_sample_rate /sampleRateHz'],
    ['a negative sample rate', waveform({ sampleRateHz: -1 }), 'invalid_sample_rate /sampleRateHz'],
    ['base64 that is none', waveform({ samples: '####' }), 'invalid_base64 /samples'],
    ['malformed JSON of a waveform', '{"samples"', 'malformed_json '],
  ];

  it.each(badWaveforms)('%s', async (_what, payload, rejected) => {
    const device = await connect();
    await device.publishWaveform(PRESS, 'de-horizontal', payload);
    expect(await rejections('raw-waveform')).toEqual([rejected]);
    await device.publishWaveform(PRESS, 'de-horizontal', waveform());
    expect((await events('raw-waveform')).map(({ kind }) => kind)).toEqual(['rejection', 'waveform']);
  });

  it('an unknown machine: quarantined with an offer to adopt, and taken once it was adopted', async () => {
    const device = await connect();
    await device.publish(STRANGER, telemetry());
    expect(await rejections('metrics')).toEqual(['unknown_machine ']);
    await until(async () => (await machines.listQuarantine(ACME)).length > 0);
    expect(await machines.listQuarantine(ACME)).toMatchObject([{ key: STRANGER, device: 'press-7' }]);
    const metrics = await (await fetch(`${service.operationUrl}/metrics`)).text();
    expect(metrics).toMatch(/^tribo_intake_rejected_items_total\{reason="unknown_machine".*\} 1$/m);
    expect(metrics).not.toContain(ACME);
    await machines.putMachine(ACME, AKRON, machineSchema.parse({ id: 'stranger', class: 'other' }));
    await until(async () => {
      await device.publish(STRANGER, telemetry());
      return (await events('metrics')).at(-1)?.kind === 'telemetry';
    });
  });

  it("another machine's topic: the connection is closed and nothing is appended", async () => {
    const device = await connect();
    await expect(device.publish(PUMP, telemetry())).rejects.toThrow('closed');
    expect(await events('metrics')).toEqual([]);
  });

  it("another tenant's ids: the same", async () => {
    const device = await connect();
    const foreign = machineKey('other' as TenantId, AKRON, 'press-7' as MachineId);
    await expect(device.publish(foreign, telemetry())).rejects.toThrow('closed');
    expect(await events('metrics')).toEqual([]);
  });

  it.each([
    ['a 10 MB message', Buffer.alloc(10_000_000)],
    ['a fixed header that announces 256 MB', undefined],
  ])('%s: the connection is closed before it is buffered', async (_what, payload) => {
    const before = process.memoryUsage().rss;
    const device = await connect();
    if (payload === undefined) device.client.stream.write(Buffer.of(0x32, 0xff, 0xff, 0xff, 0x7f));
    else await expect(device.publish(PRESS, payload)).rejects.toThrow('closed');
    await expect(device.ended).rejects.toThrow('closed');
    expect(await events('metrics')).toEqual([]);
    expect(process.memoryUsage().rss - before).toBeLessThan(100e6);
  });

  it('the good metrics of a partly bad message are kept', async () => {
    const device = await connect();
    await device.publish(PRESS, telemetry({ metrics: { temperature: 61, speed: null, load: 0.5 } }));
    const [kept] = await events('metrics');
    expect(jsonOf(kept)).toMatchObject({ metrics: { temperature: 61, load: 0.5 } });
    expect(await rejections('metrics')).toEqual(['invalid_type /metrics/speed']);
  });
});

describe('the same message', () => {
  it('twice is stored once', async () => {
    const device = await connect();
    const payload = telemetry({ id: 'm-1' });
    await device.publish(PRESS, payload);
    await device.publish(PRESS, payload);
    expect((await events('metrics')).map(({ kind, eventId }) => `${kind} ${eventId}`)).toEqual([
      'telemetry m-1',
      'duplicate m-1',
    ]);
  });

  it('resent with DUP after its PUBACK was lost is acknowledged and stored once', async () => {
    const payload = telemetry();
    const send = async (dup: boolean) => {
      const socket = connectSocket(service.service.mqttPort, '127.0.0.1');
      await once(socket, 'connect');
      const publish = { cmd: 'publish', topic: `tribo/v1/${PRESS}/telemetry`, payload, qos: 1, messageId: 7 } as const;
      const password = Buffer.from(secret);
      socket.write(
        Buffer.concat([
          mqttPacket.generate({ cmd: 'connect', clientId: 'press-7', username: 'press-7', password, clean: false }),
          mqttPacket.generate({ ...publish, dup, retain: false }),
        ]),
      );
      return socket;
    };
    const first = await send(false);
    await until(async () => (await events('metrics')).length > 0);
    first.destroy();
    const second = await send(true);
    let received = Buffer.alloc(0);
    while (!received.includes(Buffer.of(0x40, 2, 0, 7))) {
      const [chunk] = (await once(second, 'data')) as [Buffer];
      received = Buffer.concat([received, chunk]);
    }
    second.destroy();
    expect((await events('metrics')).map(({ kind, items }) => [kind, items])).toEqual([
      ['telemetry', 1],
      ['duplicate', 1],
    ]);
  });

  it('after a restart is still a duplicate', async () => {
    const payload = telemetry({ id: 'm-1' });
    await (await connect()).publish(PRESS, payload);
    await service.close();
    await startService();
    await (await connect()).publish(PRESS, payload);
    expect((await events('metrics')).map(({ kind }) => kind)).toEqual(['telemetry', 'duplicate']);
  });
});

describe('a message on the bus', () => {
  it('has what the device did not send: place, identity, when it was accepted, its items, and the declared units', async () => {
    const device = await connect();
    const ts = new Date(Date.now() - 1000).toISOString();
    const metrics = { temperature: { value: 212, unit: '[degF]' }, rpm: 1500 };
    const beforeMs = Date.now();
    await device.publish(PRESS, JSON.stringify({ ts, metrics, vendor: 'x' }));
    const [event] = await events('metrics');
    expect(event).toMatchObject({
      ...{ kind: 'telemetry', key: PRESS, items: 2, eventId: expect.stringMatching(/^~.{22}$/) },
      ...{ source: 'ingestion-service', epoch: expect.any(Number), seq: 1, cumulativeItems: 2 },
    });
    expect(event!.acceptedAtMs).toBeGreaterThanOrEqual(beforeMs);
    const body = jsonOf(event) as { readonly ts: number; readonly metrics: Record<string, number> };
    expect([body.ts, body.metrics['rpm']]).toEqual([Date.parse(ts), 1500]);
    expect(body.metrics['temperature']).toBeCloseTo(100, 9);
    expect(Object.keys(body)).toEqual(['ts', 'metrics']);
  });

  it.each([
    ['a device that nobody registered', 'stranger', () => secret],
    ['a device with another secret', 'press-7', () => 'not-its-secret'],
  ])('is none from %s: it is not let in', async (_what, id, password) => {
    await expect(connect(id, password())).rejects.toThrow();
    expect(await events('metrics')).toEqual([]);
  });
});

describe('waveforms', () => {
  it('of 128 KiB are in the object store, and their reference in the log', async () => {
    const device = await connect();
    const many = Buffer.from(new Float32Array(24_000).fill(0.25).buffer);
    await device.publishWaveform(PRESS, 'de-horizontal', waveform({ samples: many.toString('base64') }));
    const [event] = await events('raw-waveform');
    const reference = jsonOf(event) as WaveformReference;
    const stored = await new FileObjectStore({ directory: join(folder, 'objects') }).get(reference.objectKey);
    expect(Buffer.compare(storedSamples(reference.objectKey, stored!), many)).toBe(0);
  });

  it('in 64 parts are one item', async () => {
    const device = await connect();
    const ts = Date.now();
    const parts = Array.from({ length: 64 }, (_, i) =>
      device.publishWaveform(PRESS, 'de-horizontal', waveform({ id: 'w-1', ts, part: i + 1, parts: 64 })),
    );
    await Promise.all(parts);
    const stored = await events('raw-waveform');
    expect(stored.map(({ kind, items }) => [kind, items])).toEqual([['waveform', 1]]);
    expect(jsonOf(stored[0])).toMatchObject({ ts, sampleCount: 1024 });
  });
});

describe('the service', () => {
  it('acknowledges on close what is in flight, and the log has all of it', async () => {
    const device = await connect();
    const acknowledged: string[] = [];
    const sent = Array.from({ length: 2000 }, async (_, i) => {
      await device.publish(PRESS, telemetry({ id: `m-${i}` }));
      acknowledged.push(`m-${i}`);
    });
    await new Promise((resolve) => setTimeout(resolve, 30));
    const startedMs = Date.now();
    await service.close();
    expect(Date.now() - startedMs).toBeLessThan(10_000);
    await Promise.allSettled(sent);
    const stored = new Set((await events('metrics')).map(({ eventId }) => eventId));
    expect(acknowledged.filter((id) => !stored.has(id))).toEqual([]);
    await startService();
  });

  it('offers intake and what it sees live to other processes', async () => {
    const intake = connectIntake(openLinks({ dataDir: folder }, () => undefined));
    const content = { kind: 'telemetry', payload: Buffer.from(telemetry()) } as const;
    const receipt = await intake.accept({ tenant: ACME, machine: PRESS, sender: 'api', content });
    expect(receipt).toEqual({ accepted: 1, duplicate: 0, rejected: [] });
    intake.disconnect();
    const live = connectPort<LiveFeed>(socketPath(folder, LIVE_PORT), 'live');
    expect((await live.changes()).machines).toMatchObject([{ key: PRESS, metrics: { temperature: 61 } }]);
    live.disconnect();
  });

  it('reads foreign topics by a mapping file, and says what is wrong with one', async () => {
    await service.close();
    const mappingFile = join(folder, 'mapping.yaml');
    writeFileSync(mappingFile, 'version: 1\nmappings:\n  - topic: "#"\n');
    await expect(startService({ mappingFile })).rejects.toMatchObject({
      code: 'failed_precondition',
      message: expect.stringMatching(/mapping\.yaml: mappings\.0\.topic: .*TRIBO_MAPPING_FILE/),
    });
    writeFileSync(
      mappingFile,
      [
        'version: 1',
        'mappings:',
        '  - topic: modax/{device}/sensor_data',
        '    tenant: acme',
        '    site: akron',
        '    machine: "{device}"',
        '    time: $.timestamp',
        '    metrics: $.sensor_data',
      ].join('\n'),
    );
    await startService({ mappingFile });
    const device = await connect();
    const payload = { device_id: 'press-7', timestamp: Date.now(), sensor_data: { temperature: 61 } };
    await device.publishTo('modax/press-7/sensor_data', JSON.stringify(payload));
    expect((await events('metrics')).map(({ kind, key }) => [kind, key])).toEqual([['telemetry', PRESS]]);
  });

  it('with a hundred machines behind one gateway device keeps them apart', async () => {
    const keys: MachineKey[] = [];
    for (let i = 0; i < 100; i++) {
      const { key } = await machines.putMachine(ACME, AKRON, machineSchema.parse({ id: `m-${i}`, class: 'pump' }));
      keys.push(key);
    }
    const gateway = await devices.addDevice({ id: 'gateway-1' as DeviceId, tenant: ACME, machines: keys });
    const device = await connect('gateway-1', gateway.secret);
    await Promise.all(keys.map((key) => device.publish(key, telemetry({ id: 'same-id' }))));
    const stored = await events('metrics');
    expect(new Set(stored.map(({ key, kind }) => `${kind} ${key}`))).toEqual(
      new Set(keys.map((key) => `telemetry ${key}`)),
    );
  });
});
