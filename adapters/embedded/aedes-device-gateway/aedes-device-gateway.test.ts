import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect as connectSocket, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from '@jest/globals';
import mqttPacket from 'mqtt-packet';
import type { z } from 'zod';
import { systemClock } from '#core/clock.ts';
import { deviceGatewayContract } from '#core/contracts/device-gateway.contract.ts';
import { RecordingIntake } from '#core/contracts/recording-intake.ts';
import { until } from '#core/contracts/until.ts';
import {
  machineKey,
  type DeviceId,
  type MachineId,
  type MachineKey,
  type SiteId,
  type TenantId,
} from '#core/domain/ids.ts';
import { TopicMapping } from '#core/ingestion/mapping.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import { MqttDevice } from '#test/support/mqtt-device.ts';
import { selfSignedCertificate } from '#test/support/self-signed-certificate.ts';
import { sqliteDeviceRegistryConfigSchema } from '../sqlite-device-registry/config.ts';
import { SqliteDeviceRegistry } from '../sqlite-device-registry/sqlite-device-registry.ts';
import { AedesDeviceGateway } from './aedes-device-gateway.ts';
import { aedesDeviceGatewayConfigSchema } from './config.ts';

const ACME = 'acme' as TenantId;
const OTHER = 'other' as TenantId;
const PRESS = machineKey(ACME, 'akron' as SiteId, 'press-7' as MachineId);
const PUMP = machineKey(ACME, 'akron' as SiteId, 'pump-2' as MachineId);
const FOREIGN = machineKey(OTHER, 'akron' as SiteId, 'press-7' as MachineId);

type ConfigChange = Partial<z.input<typeof aedesDeviceGatewayConfigSchema>>;

async function openGateway(change: ConfigChange = {}, mapping?: TopicMapping) {
  const folder = mkdtempSync(join(tmpdir(), 'tribo-gateway-'));
  const databasePath = join(folder, 'registry.db');
  const devices = await SqliteDeviceRegistry.open(
    sqliteDeviceRegistryConfigSchema.parse({ databasePath, changePollMs: 10 }),
  );
  const config = aedesDeviceGatewayConfigSchema.parse({
    port: 0,
    commandDatabasePath: join(folder, 'commands.db'),
    offerAgainMs: 10,
    ...change,
  });
  const refusals: string[] = [];
  const problems: unknown[] = [];
  const gateway = new AedesDeviceGateway(config, {
    devices,
    clock: systemClock,
    ...(mapping === undefined ? {} : { mapping }),
    refuse: (reason, tenant) => refusals.push(tenant === undefined ? reason : `${reason} ${tenant}`),
    onProblem: (_what, error) => problems.push(error),
  });
  const clients: MqttDevice[] = [];
  return {
    ...{ gateway, devices, refusals, problems, config },
    async addDevice(id: string, tenant = ACME, machines: readonly MachineKey[] = [PRESS]) {
      return (await devices.addDevice({ id: id as DeviceId, tenant, machines })).secret;
    },
    async connect(id: string, secret: string, options: Parameters<typeof MqttDevice.connect>[1] = {}) {
      const device = await MqttDevice.connect(gateway.port, {
        clientId: id,
        username: id,
        password: secret,
        ...options,
      });
      clients.push(device);
      return device;
    },
    async [Symbol.asyncDispose]() {
      for (const each of clients) each.client.end(true);
      await gateway.close();
      await devices.close();
      rmSync(folder, { recursive: true });
    },
  };
}

describeContract(deviceGatewayContract, 'aedes', async () => {
  const opened = await openGateway();
  const { gateway, devices } = opened;
  return {
    gateway,
    machines: [PRESS, PUMP, FOREIGN] as const,
    tenants: [ACME, ACME, OTHER] as const,
    addDevice: (id: string, tenant: TenantId, machines: readonly MachineKey[]) =>
      opened.addDevice(id, tenant, machines),
    setEnabled: (id: string, enabled: boolean) => devices.setEnabled(id as DeviceId, enabled),
    bindMachines: async (id: string, machines: readonly MachineKey[]) => {
      await devices.bindMachines(id as DeviceId, machines);
    },
    connect: (id: string, secret: string, as = id) => opened.connect(id, secret, { clientId: as }),
    nowMs: () => systemClock.nowMs(),
    [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
  };
});

const opened: AsyncDisposable[] = [];
afterEach(async () => {
  for (const each of opened.splice(0)) await each[Symbol.asyncDispose]();
});

async function start(change: ConfigChange = {}, mapping?: TopicMapping) {
  const world = await openGateway(change, mapping);
  opened.push(world);
  const intake = new RecordingIntake();
  await world.gateway.start(intake, intake);
  const secret = await world.addDevice('press-7');
  return { ...world, intake, secret };
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** A connection that says what it likes. */
async function rawConnection(port: number): Promise<Socket & { received: () => Buffer }> {
  const socket = connectSocket(port, '127.0.0.1');
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk)).on('error', () => undefined);
  await once(socket, 'connect');
  return Object.assign(socket, { received: () => Buffer.concat(chunks) });
}

function connectPacket(secret: string, change: object = {}): Buffer {
  return mqttPacket.generate({
    cmd: 'connect',
    clientId: 'press-7',
    username: 'press-7',
    password: Buffer.from(secret),
    clean: true,
    keepalive: 0,
    ...change,
  });
}

function publishPacket(payload: string, messageId: number, topic = `tribo/v1/${PRESS}/telemetry`): Buffer {
  return mqttPacket.generate({ cmd: 'publish', topic, payload, qos: 1, messageId, dup: false, retain: false });
}

describe('hostile connections', () => {
  it.each([
    ['a fixed header that announces 256 MB', Buffer.of(0x32, 0xff, 0xff, 0xff, 0x7f)],
    ['a payload of one byte too many', Buffer.of(0x32, 0x81, 0x88, 0x08)],
    ['a length of five bytes', Buffer.of(0x32, 0xff, 0xff, 0xff, 0xff, 0x01)],
    ['a subscription of megabytes', Buffer.of(0x82, 0x80, 0x80, 0x80, 0x01)],
  ])('are closed at once for %s, before any of it is buffered', async (_what, header) => {
    const world = await start();
    const socket = await rawConnection(world.gateway.port);
    socket.write(connectPacket(world.secret));
    await once(socket, 'data');
    socket.write(header);
    await once(socket, 'close');
    expect(world.refusals).toEqual(['oversize acme']);
  });

  it.each([
    ['a first packet that is no CONNECT', publishPacket('1', 1)],
    ['a CONNECT of megabytes', Buffer.of(0x10, 0xff, 0xff, 0x7f)],
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n')],
    ['TLS', Buffer.of(0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc)],
  ])('are closed for %s', async (_what, bytes) => {
    const world = await start();
    const socket = await rawConnection(world.gateway.port);
    socket.write(bytes);
    await once(socket, 'close');
    expect(world.refusals).toHaveLength(1);
    expect(world.intake.messages).toEqual([]);
  });

  it('are closed when CONNECT does not come in time', async () => {
    const world = await start({ connectTimeoutMs: 100 });
    const socket = await rawConnection(world.gateway.port);
    await once(socket, 'close');
    expect(world.refusals).toEqual(['protocol-error']);
  });

  it('take a message of 10 MB for what it is', async () => {
    const world = await start();
    const device = await world.connect('press-7', world.secret);
    await expect(device.publish(PRESS, 'x'.repeat(10_000_000))).rejects.toThrow('closed');
    expect(world.refusals).toEqual(['oversize acme']);
    expect(world.intake.messages).toEqual([]);
  });

  it('may send the largest payload allowed, in pieces of any size', async () => {
    const world = await start();
    const socket = await rawConnection(world.gateway.port);
    socket.write(connectPacket(world.secret));
    await once(socket, 'data');
    const bytes = publishPacket('x'.repeat(128 * 1024), 1);
    for (const byte of bytes.subarray(0, 10)) {
      socket.write(Buffer.of(byte));
      await pause(2);
    }
    socket.write(bytes.subarray(10));
    await until(() => world.intake.messages.length === 1);
  });

  it.each(['telemetry', 'waveform/de'])(
    'may send exactly 128 KiB to %s; one byte more is refused, counted, and closes',
    async (topic) => {
      const world = await start();
      const device = await world.connect('press-7', world.secret);
      await device.publishTo(`tribo/v1/${PRESS}/${topic}`, 'x'.repeat(131_072));
      expect(world.intake.messages).toHaveLength(1);
      await expect(device.publishTo(`tribo/v1/${PRESS}/${topic}`, 'x'.repeat(131_073))).rejects.toThrow('closed');
      expect(world.refusals).toEqual(['oversize acme']);
      expect(world.intake.messages).toHaveLength(1);
    },
  );

  it('are turned away beyond the number that may be open', async () => {
    const world = await start({ maxConnections: 1 });
    await world.connect('press-7', world.secret);
    await expect(world.connect('press-7', world.secret, { clientId: 'press-7:b' })).rejects.toThrow();
    expect(world.refusals).toEqual(['too-many-connections']);
  });

  it('of one device are turned away beyond its own number', async () => {
    const world = await start({ maxConnectionsPerDevice: 2 });
    const suffixes = ['a', 'b', 'c'];
    for (const suffix of suffixes) await world.connect('press-7', world.secret, { clientId: `press-7:${suffix}` });
    await expect(world.connect('press-7', world.secret, { clientId: 'press-7:d' })).rejects.toThrow();
    expect(world.refusals).toEqual(['too-many-connections acme']);
  });
});

describe('access of a device', () => {
  it.each([
    ['its own machine', `tribo/v1/${PRESS}/telemetry`, undefined],
    ["another machine's topic", `tribo/v1/${PUMP}/telemetry`, 'foreign-machine acme'],
    ["another tenant's machine of the same name", `tribo/v1/${FOREIGN}/telemetry`, 'foreign-machine acme'],
    ['a machine with a path for a name', 'tribo/v1/acme/akron/../press-7/telemetry', 'foreign-topic acme'],
    ['its own command topic', `tribo/v1/${PRESS}/command`, 'foreign-topic acme'],
    ['a foreign topic', 'modax/press-7/sensor_data', 'foreign-topic acme'],
    ['a topic of the broker', '$SYS/broker/clients', 'foreign-topic acme'],
    ['a prototype key', 'tribo/v1/acme/akron/__proto__/telemetry', 'foreign-topic acme'],
  ])('publishing to %s', async (_what, topic, refusal) => {
    const world = await start();
    const device = await world.connect('press-7', world.secret);
    const outcome = device.publishTo(topic, '1');
    if (refusal === undefined) await outcome;
    else await expect(outcome).rejects.toThrow('closed');
    expect(world.refusals).toEqual(refusal === undefined ? [] : [refusal]);
    expect(world.intake.messages).toHaveLength(refusal === undefined ? 1 : 0);
  });

  it.each([
    ['its own commands', `tribo/v1/${PRESS}/command`, true],
    ["another machine's commands", `tribo/v1/${PUMP}/command`, false],
    ['all commands', 'tribo/v1/acme/akron/+/command', false],
    ['everything', '#', false],
    ['its own telemetry', `tribo/v1/${PRESS}/telemetry`, false],
    ['the topics of the broker', '$SYS/#', false],
  ])('subscribing to %s', async (_what, topic, granted) => {
    const world = await start();
    const device = await world.connect('press-7', world.secret);
    const subscribed = device.client.subscribeAsync(topic, { qos: 1 });
    if (granted) expect(await subscribed).toMatchObject([{ topic, qos: 1 }]);
    else await expect(subscribed).rejects.toThrow();
    expect(world.refusals).toHaveLength(granted ? 0 : 1);
  });

  it.each(['press-7', 'press-7:agent-2'])('under the client id %s', async (clientId) => {
    const world = await start();
    await (await world.connect('press-7', world.secret, { clientId })).disconnect();
  });

  it.each(['press-70', 'press-7-b', 'press', 'other', ''])('not under the client id "%s"', async (clientId) => {
    const world = await start();
    await expect(world.connect('press-7', world.secret, { clientId, clean: true })).rejects.toThrow();
    expect(world.refusals).toEqual(['foreign-client-id acme']);
  });

  it('refused is counted without a tenant', async () => {
    const world = await start();
    await expect(world.connect('press-7', 'wrong')).rejects.toThrow(/Bad username or password/);
    await expect(world.connect('../press-7', world.secret)).rejects.toThrow(/Bad username or password/);
    expect(world.refusals).toEqual(['bad-credentials', 'bad-credentials']);
  });

  it('with many machines is checked for each', async () => {
    const world = await start();
    const machines = Array.from({ length: 500 }, (_, i) => machineKey(ACME, 'akron' as SiteId, `m-${i}` as MachineId));
    const secret = await world.addDevice('gateway-1', ACME, machines);
    const device = await world.connect('gateway-1', secret);
    await Promise.all(machines.map((machine) => device.publish(machine, '1')));
    expect(new Set(world.intake.messages.map(({ machine }) => machine))).toEqual(new Set(machines));
    await expect(device.publish(PRESS, '1')).rejects.toThrow('closed');
  });
});

describe('acknowledgement', () => {
  it('is not sent for a message whose connection is cut before it is durable; the resend is offered again', async () => {
    const world = await start();
    world.intake.held = Promise.withResolvers();
    const first = await world.connect('press-7', world.secret);
    const lost = first.publish(PRESS, '1');
    await until(() => world.intake.messages.length === 1);
    first.cut();
    await expect(lost).rejects.toThrow('closed');
    world.intake.held.resolve();
    const second = await world.connect('press-7', world.secret);
    await second.publish(PRESS, '1');
    expect(world.intake.payloads()).toEqual(['1', '1']);
    expect(world.problems).toEqual([]);
  });

  it('of QoS 2 is durable before PUBREC', async () => {
    const world = await start();
    world.intake.held = Promise.withResolvers();
    const device = await world.connect('press-7', world.secret);
    const seen: string[] = [];
    device.client.on('packetreceive', (packet) => seen.push(packet.cmd));
    const published = device.publishTo(`tribo/v1/${PRESS}/telemetry`, '1', 2);
    await until(() => world.intake.messages.length === 1);
    await pause(50);
    expect(seen).toEqual([]);
    world.intake.held.resolve();
    await published;
    expect(seen).toEqual(['pubrec', 'pubcomp']);
  });

  it('takes QoS 0 as well, which has none', async () => {
    const world = await start();
    const device = await world.connect('press-7', world.secret);
    await device.publishTo(`tribo/v1/${PRESS}/telemetry`, '1', 0);
    await until(() => world.intake.messages.length === 1);
  });

  it('goes out in order, once for each message, however the bytes are cut', async () => {
    const world = await start();
    const socket = await rawConnection(world.gateway.port);
    const count = 5000;
    const packets = Array.from({ length: count }, (_, i) => publishPacket(String(i), (i % 65_535) + 1));
    const bytes = Buffer.concat([connectPacket(world.secret), ...packets]);
    for (let at = 0; at < bytes.length; at += 9973) socket.write(bytes.subarray(at, at + 9973));
    await until(() => socket.received().length >= 4 + 4 * count);
    const acknowledgements = socket.received().subarray(4);
    expect(acknowledgements.length).toBe(4 * count);
    const ids = Array.from({ length: count }, (_, i) => acknowledgements.readUInt16BE(4 * i + 2));
    expect(ids).toEqual(packets.map((_, i) => i + 1));
    expect(world.intake.payloads()).toEqual(packets.map((_, i) => String(i)));
    socket.destroy();
  });
});

describe('back-pressure', () => {
  it('lasts longer than the keep-alive without tripping it on either side, and then goes on', async () => {
    const world = await start();
    const device = await world.connect('press-7', world.secret, { keepalive: 1 });
    await device.publish(PRESS, '0');
    world.intake.shut();
    const published = Promise.all(
      Array.from({ length: 100 }, (_, i) => device.publish(PRESS, `${i + 1} ${'x'.repeat(10_000)}`)),
    );
    await pause(4500);
    expect(device.client.connected).toBe(true);
    expect(world.intake.offered).toHaveLength(1);
    world.intake.open();
    await published;
    expect(world.intake.messages).toHaveLength(101);
    await pause(2000);
    expect(device.client.connected).toBe(true);
  });

  it('bounds what one connection has on its way', async () => {
    const world = await start({ maxInFlightMessages: 50 });
    world.intake.held = Promise.withResolvers();
    const device = await world.connect('press-7', world.secret);
    const published = Array.from({ length: 3000 }, (_, i) => device.publish(PRESS, `${i} ${'x'.repeat(2000)}`));
    await pause(300);
    // One chunk of the socket may be above the bound: 64 KiB.
    expect(world.intake.messages.length).toBeLessThan(50 + 40);
    world.intake.held.resolve();
    await Promise.all(published);
    expect(world.intake.messages).toHaveLength(3000);
  });

  it('still ends a silent connection when it is over, and the device is away', async () => {
    const world = await start();
    const socket = await rawConnection(world.gateway.port);
    socket.write(connectPacket(world.secret, { keepalive: 1 }));
    const startedMs = Date.now();
    await once(socket, 'close');
    expect(Date.now() - startedMs).toBeGreaterThan(1400);
    expect(world.refusals).toEqual([]);
    await until(() => world.intake.presences.length === 2);
    expect(world.intake.told()).toEqual([`connection: ${PRESS} online`, `connection: ${PRESS} offline`]);
  });
});

describe('presence', () => {
  it('follows the status topic, and the last will of a connection that is cut', async () => {
    const world = await start();
    const status = `tribo/v1/${PRESS}/status`;
    const will = { topic: status, payload: Buffer.from('{"online":false}'), qos: 1, retain: true } as const;
    const device = await world.connect('press-7', world.secret, { will });
    await device.publishTo(status, '{"online":true}');
    const sayNothing = ['nonsense', '{"online":"yes"}', 'null', `{"online":true,"why":"${'x'.repeat(2000)}"}`];
    for (const nothing of sayNothing) await device.publishTo(status, nothing);
    expect(world.refusals).toHaveLength(sayNothing.length);
    device.cut();
    await until(() => world.intake.told().filter((line) => line.endsWith('offline')).length === 2);
    expect(world.intake.told().slice(0, 2)).toEqual([`connection: ${PRESS} online`, `status: ${PRESS} online`]);
  });

  it('does not flap when a device takes its own connection over', async () => {
    const world = await start();
    await world.connect('press-7', world.secret);
    await world.connect('press-7', world.secret);
    await pause(50);
    expect(world.intake.told()).toEqual([`connection: ${PRESS} online`]);
    expect(world.gateway.connections).toBe(1);
  });
});

describe('foreign topics', () => {
  const mapping = new TopicMapping({
    version: 1,
    mappings: [
      {
        topic: 'modax/+/sensor_data',
        tenant: 'acme',
        site: 'akron',
        machine: '$.device_id',
        time: '$.timestamp',
        metrics: '$.sensor_data',
      },
    ],
  });

  it('come in by the mapping file, for machines of the device only', async () => {
    const world = await start({}, mapping);
    const device = await world.connect('press-7', world.secret);
    const payload = (id: string) => JSON.stringify({ device_id: id, timestamp: 5, sensor_data: { temperature: 61 } });
    await device.publishTo('modax/esp/sensor_data', payload('press-7'));
    expect(world.intake.messages).toMatchObject([{ machine: PRESS, content: { kind: 'telemetry' } }]);
    await device.publishTo('modax/esp/sensor_data', 'nonsense');
    expect(world.intake.messages[1]).toMatchObject({ machine: PRESS, content: { kind: 'unmapped' } });
    await expect(device.publishTo('modax/esp/sensor_data', payload('pump-2'))).rejects.toThrow('closed');
    expect(world.refusals).toEqual(['foreign-machine acme']);
  });
});

describe('storms', () => {
  it('of 300 connections that come, publish and are cut leave nothing behind and lose nothing acknowledged', async () => {
    const world = await start({ maxConnectionsPerDevice: 400 });
    let acknowledged = 0;
    const one = async (i: number) => {
      const device = await world.connect('press-7', world.secret, { clientId: `press-7:${i}` });
      for (const part of ['a', 'b']) {
        await device.publish(PRESS, `${i}${part}`);
        acknowledged++;
      }
      void device.publish(PRESS, `${i}c`).catch(() => undefined);
      device.cut();
    };
    for (let at = 0; at < 300; at += 100) await Promise.all(Array.from({ length: 100 }, (_, i) => one(at + i)));
    await until(() => world.gateway.connections === 0);
    expect(acknowledged).toBe(600);
    const payloads = new Set(world.intake.payloads());
    for (let i = 0; i < 300; i++) expect([payloads.has(`${i}a`), payloads.has(`${i}b`)]).toEqual([true, true]);
    expect(world.intake.told().at(-1)).toBe(`connection: ${PRESS} offline`);
    expect(world.problems).toEqual([]);
  });
});

describe('commands', () => {
  it('survive a restart of the gateway', async () => {
    const world = await start();
    const command = { id: 'c-1', payload: Buffer.from('stop'), expiresAtMs: Date.now() + 60_000 };
    await world.gateway.sendCommand(PRESS, command);
    await world.gateway.close();
    const again = new AedesDeviceGateway(world.config, {
      devices: world.devices,
      clock: systemClock,
      refuse: () => undefined,
      onProblem: (_what, error) => world.problems.push(error),
    });
    await again.start(world.intake, world.intake);
    const device = await MqttDevice.connect(again.port, {
      clientId: 'press-7',
      username: 'press-7',
      password: world.secret,
    });
    const received: string[] = [];
    await device.onCommand(PRESS, (payload) => received.push(Buffer.from(payload).toString()));
    await until(() => received.length === 1);
    await device.disconnect();
    await again.close();
    expect(received).toEqual(['stop']);
  });

  it('that were not acknowledged come again on the next connection', async () => {
    const world = await start();
    const socket = await rawConnection(world.gateway.port);
    const topic = `tribo/v1/${PRESS}/command`;
    const subscribe = mqttPacket.generate({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic, qos: 1 }] });
    socket.write(Buffer.concat([connectPacket(world.secret), subscribe]));
    await until(() => socket.received().length >= 9);
    const command = { id: 'c-1', payload: Buffer.from('stop'), expiresAtMs: Date.now() + 60_000 };
    await world.gateway.sendCommand(PRESS, command);
    await until(() => socket.received().includes('stop'));
    socket.destroy();
    const device = await world.connect('press-7', world.secret);
    const received: string[] = [];
    await device.onCommand(PRESS, (payload) => received.push(Buffer.from(payload).toString()));
    await until(() => received.length === 1);
  });

  it('are bounded for each machine, and refused when they have expired or are too large', async () => {
    const world = await start({ maxQueuedCommandsPerMachine: 2 });
    const expiresAtMs = Date.now() + 60_000;
    const send = (id: string, change: object = {}) =>
      world.gateway.sendCommand(PRESS, { id, payload: Buffer.from(id), expiresAtMs, ...change });
    await send('1');
    await send('1');
    await send('2');
    await expect(send('3')).rejects.toMatchObject({ code: 'resource_exhausted' });
    // It waits already: whoever lost the answer must not be told otherwise.
    await send('2');
    await expect(send('4', { expiresAtMs: 1 })).rejects.toMatchObject({ code: 'invalid_argument' });
    await expect(send('5', { payload: Buffer.alloc(129 * 1024) })).rejects.toMatchObject({ code: 'invalid_argument' });
  });
});

describe('TLS', () => {
  it('carries everything, back-pressure and limits included', async () => {
    const tls = selfSignedCertificate();
    const world = await start({ tls });
    const options = { protocol: 'mqtts', ca: tls.cert } as const;
    const device = await world.connect('press-7', world.secret, options);
    world.intake.shut();
    const published = Promise.all(
      Array.from({ length: 50 }, (_, i) => device.publish(PRESS, `${i} ${'x'.repeat(9000)}`)),
    );
    await pause(200);
    expect(world.intake.offered).toEqual([]);
    world.intake.open();
    await published;
    expect(world.intake.messages).toHaveLength(50);
    await expect(device.publish(PRESS, 'x'.repeat(200_000))).rejects.toThrow('closed');
    expect(world.refusals).toEqual(['oversize acme']);
  });

  it('is refused to a client that does not trust the certificate, and plain MQTT is refused too', async () => {
    const world = await start({ tls: selfSignedCertificate() });
    const untrusting = world.connect('press-7', world.secret, { protocol: 'mqtts', ca: selfSignedCertificate().cert });
    await expect(untrusting).rejects.toThrow();
    await expect(world.connect('press-7', world.secret)).rejects.toThrow();
    expect(world.refusals).toContain('protocol-error');
    expect(world.intake.messages).toEqual([]);
  });
});

describe('configuration', () => {
  it('names the port and the setting when the port is taken', async () => {
    const world = await start();
    const second = new AedesDeviceGateway(
      { ...world.config, port: world.gateway.port, commandDatabasePath: `${world.config.commandDatabasePath}2` },
      { devices: world.devices, clock: systemClock, refuse: () => undefined, onProblem: () => undefined },
    );
    await expect(second.start(world.intake, world.intake)).rejects.toMatchObject({
      code: 'failed_precondition',
      message: expect.stringMatching(new RegExp(`${world.gateway.port}.*TRIBO_MQTT_PORT`)),
    });
  });

  it('refuses plain TCP off loopback, unless told', () => {
    const base = { commandDatabasePath: 'x', host: '0.0.0.0' };
    expect(aedesDeviceGatewayConfigSchema.safeParse(base).success).toBe(false);
    expect(aedesDeviceGatewayConfigSchema.safeParse({ ...base, insecure: true }).success).toBe(true);
    expect(aedesDeviceGatewayConfigSchema.safeParse({ ...base, tls: { cert: 'c', key: 'k' } }).success).toBe(true);
  });
});
