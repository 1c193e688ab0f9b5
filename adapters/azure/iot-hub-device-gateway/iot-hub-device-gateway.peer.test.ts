import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { systemClock } from '#core/clock.ts';
import { deviceGatewayContract } from '#core/contracts/device-gateway.contract.ts';
import { RecordingIntake } from '#core/contracts/recording-intake.ts';
import { until } from '#core/contracts/until.ts';
import type { DeviceId } from '#core/domain/ids.ts';
import {
  contractHarness,
  describeGatewayOverLog,
  startWorld as startIn,
  waiversOf,
} from '#test/peers/gateway-over-log.ts';
import { IotHubWorlds, type IotHubWorldOptions } from '#test/peers/iot-hub-world.ts';
import { pasteDeviceLine } from '#test/peers/paste-device-line.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import { openLeaseBlobs } from '../event-hubs-event-stream/lease-blobs.ts';
import { iotHubConnection } from './device-connection.ts';

let worlds: IotHubWorlds;

beforeAll(async () => {
  worlds = await IotHubWorlds.start();
}, 300_000);

afterAll(() => worlds[Symbol.asyncDispose]());

const openWorld = (change?: IotHubWorldOptions) => worlds.open(change);

describeContract(
  deviceGatewayContract,
  'IoT Hub (a peer of its REST API, AMQP and MQTT, Azurite)',
  async () => contractHarness(await openWorld()),
  waiversOf('IoT Hub', 'the event hub'),
);
describeGatewayOverLog('IoT Hub', () => openWorld());

const bytes = (text: string): Uint8Array => Buffer.from(text);
const startWorld = async (change?: IotHubWorldOptions) => startIn(await openWorld(change));

describe('what IoT Hub acknowledged', () => {
  it('is read on where receivers are detached meanwhile, none of it lost and none twice at intake', async () => {
    await using world = await startWorld();
    const { intake, machine, hub, eventHub } = world;
    const device = await world.connect('gauge-1', world.secret);
    const sent = Array.from({ length: 40 }, (_, i) => String(i));
    for (const each of sent) {
      await device.publish(machine, bytes(each));
      if (each === '10' || each === '30') worlds.site.hubs.detachReceivers(eventHub);
    }
    await until(() => intake.messages.length >= sent.length);
    expect(intake.payloads()).toEqual(sent);
    hub.route('gauge-1', { 'iothub-message-source': 'twinChangeEvents' }, {}, Buffer.from('{}'));
    await device.publish(machine, bytes('last'));
    await until(() => intake.payloads().includes('last'));
    expect(world.problems.some((each) => each.includes('neither a device'))).toBe(true);
    await device.disconnect();
  });
});

it('a line that tribo device add prints works as pasted into a shell', async () => {
  await using world = await startWorld();
  const { intake, machine, config, hub, secret } = world;
  const device = (await world.devices.getDevice('gauge-1' as DeviceId))!;
  const connection = iotHubConnection(config)(device, secret, systemClock.nowMs());
  const { address, ca: authority } = hub.devices.listener;
  await pasteDeviceLine(device, secret, connection, { machine: { authority, host: { name: hub.host, address } } });
  await until(() => intake.messages.length === 1);
  expect(intake.messages[0]).toMatchObject({ machine, sender: 'gauge-1', content: { kind: 'telemetry' } });
});

describe('what a message is about', () => {
  it.each([
    ['the one machine of the device, without a word', { kind: 'telemetry' }],
    ['a machine of its tenant by name', { kind: 'telemetry', machine: 'press-7' }],
    ['a machine by site and name', { kind: 'telemetry', machine: 'akron/press-7' }],
  ])('may be %s', async (_what, properties) => {
    await using world = await startWorld();
    const device = await world.connect('gauge-1', world.secret);
    await device.send({ '$.ct': 'application/json', '$.ce': 'utf-8', ...properties }, bytes('{}'));
    await until(() => world.intake.messages.length === 1);
    expect(world.intake.messages[0]).toMatchObject({ machine: world.machine, sender: 'gauge-1' });
    await device.disconnect();
  });

  it('is refused and counted where it is about none of its machines, or says nothing', async () => {
    await using world = await startWorld();
    const { hub, refusals, intake, machine } = world;
    const device = await world.connect('gauge-1', world.secret);
    await device.send({ kind: 'telemetry', machine: 'ress-7' }, bytes('0'));
    await device.send({ kind: 'gossip', machine: 'press-7' }, bytes('1'));
    await device.send({}, bytes('2'));
    await device.send({ kind: 'waveform', machine: 'press-7', sensor: '../x' }, bytes('3'));
    await device.send({ kind: 'waveform', machine: 'press-7' }, bytes('3'));
    const system = { 'iothub-message-source': 'Telemetry' };
    hub.route('stranger', system, { kind: 'telemetry' }, Buffer.from('4'));
    await device.publish(machine, bytes('last'));
    await until(() => intake.messages.length === 1 && refusals.length === 6);
    expect(refusals.toSorted()).toEqual([
      'bad-credentials',
      'foreign-machine',
      ...Array<string>(4).fill('foreign-topic'),
    ]);
    await device.disconnect();
  });
});

describe('presence', () => {
  it.each([
    [
      'told once of what comes twice',
      [
        [1, true],
        [1, true],
        [2, false],
        [2, false],
      ],
      [true, false],
    ],
    [
      'that of the greatest number, in whatever order events come',
      [
        [2, false],
        [1, true],
        [3, true],
      ],
      [false, true],
    ],
  ] as const)('is %s', async (_what, events, expected) => {
    await using world = await startWorld();
    const { intake, hub, machine } = world;
    for (const [number, isConnected] of events) {
      const properties = {
        opType: isConnected ? 'deviceConnected' : 'deviceDisconnected',
        operationTimestamp: '2022-06-01T18:43:04.5561024Z',
      };
      const sequenceNumber = `000000000000000001D8713FF7E085140000000200000000000000000000000${number}`;
      const body = Buffer.from(JSON.stringify({ sequenceNumber }));
      hub.route('gauge-1', { 'iothub-message-source': 'deviceConnectionStateEvents' }, properties, body);
    }
    await until(() => intake.presences.length >= expected.length);
    expect(intake.presences.map(({ online }) => online)).toEqual(expected);
    expect(intake.presences[0]).toMatchObject({ device: 'gauge-1', machines: [machine], by: 'connection' });
    expect(intake.presences[0]?.atMs).toBe(Date.parse('2022-06-01T18:43:04.556Z'));
  });
});

describe('a command', () => {
  /** Long enough for a busy machine to hand the command over before it expires. */
  const BRIEF_MS = 4_000;
  const stop = (id: string) => ({ id, payload: bytes(id), expiresAtMs: systemClock.nowMs() + 60_000 });

  it('waits in the hub for the device, though the gateway ends', async () => {
    await using world = await startWorld();
    const { gateway, machine } = world;
    await gateway.sendCommand(machine, stop('c-1'));
    await gateway.close();
    const received: string[] = [];
    const device = await world.connect('gauge-1', world.secret);
    await device.onCommand(machine, (payload) => received.push(Buffer.from(payload).toString()));
    await until(() => received.length === 1);
    await device.disconnect();
  });

  it('that a gateway sent is sent again neither by the next one nor by another beside it', async () => {
    await using world = await startWorld();
    const { gateway, reopen, machine, config, eventHub } = world;
    const blobs = await openLeaseBlobs(config);
    const beside = reopen();
    const intake = new RecordingIntake();
    await beside.start(intake, intake);
    const [first, second] = [stop('c-1'), stop('c-2')];
    await gateway.sendCommand(machine, first);
    await until(async () => (await blobs.list(`${eventHub}/commands/`)).length === 1);
    await beside.sendCommand(machine, first);
    await gateway.close();
    const next = reopen();
    await next.start(intake, intake);
    await next.sendCommand(machine, first);
    await next.sendCommand(machine, second);
    const received: string[] = [];
    const device = await world.connect('gauge-1', world.secret);
    await device.onCommand(machine, (payload) => received.push(Buffer.from(payload).toString()));
    await until(() => received.includes('c-2'));
    expect(received).toEqual(['c-1', 'c-2']);
    await device.disconnect();
  });

  it('that has expired is forgotten from the account, which lists notes a page at a time', async () => {
    await using world = await startWorld();
    const { gateway, machine, config, eventHub } = world;
    const blobs = await openLeaseBlobs(config);
    const prefix = `${eventHub}/commands/`;
    for (const each of ['1', '2', '3', '4', '5']) {
      const expiresatms = String(each === '5' ? systemClock.nowMs() + 60_000 : 1);
      await blobs.put(`${prefix}${each}`, { expiresatms }, { ifNoneMatch: '*' });
    }
    const pages: string[] = [];
    let after: string | undefined;
    do {
      const page = await blobs.listPage({ prefix, limit: 2, after });
      pages.push(
        page.blobs.map(({ name, metadata }) => `${name.slice(prefix.length)}:${metadata['expiresatms']}`).join(),
      );
      after = page.next;
    } while (after !== undefined);
    expect(pages).toEqual(['1:1,2:1', '3:1,4:1', expect.stringMatching(/^5:/)]);
    await gateway.sendCommand(machine, stop('c-1'));
    // Of the one that has not expired, and of the one just sent.
    await until(async () => (await blobs.list(prefix)).length === 2);
  });

  it('beyond the fifty that the hub keeps for a device is refused, and goes once there is room', async () => {
    await using world = await startWorld();
    const { gateway, machine } = world;
    for (let i = 0; i < 50; i++) await gateway.sendCommand(machine, stop(`c-${i}`));
    await expect(gateway.sendCommand(machine, stop('c-50'))).rejects.toMatchObject({ code: 'resource_exhausted' });
    const received: string[] = [];
    const device = await world.connect('gauge-1', world.secret);
    await device.onCommand(machine, (payload) => received.push(Buffer.from(payload).toString()));
    await until(() => received.length === 50);
    await gateway.sendCommand(machine, stop('c-50'));
    await until(() => received.length === 51);
    expect(received).toEqual(Array.from({ length: 51 }, (_, i) => `c-${i}`));
    await device.disconnect();
  });

  it('that the device gave back ten times, or that expired, is told', async () => {
    await using world = await startWorld();
    const { gateway, machine, hub, problems } = world;
    await until(() => hub.service.listeners === 1);
    await gateway.sendCommand(machine, stop('c-1'));
    for (let i = 0; i < 10; i++) hub.devices.abandon('gauge-1');
    await until(() => problems.length === 1);
    await gateway.sendCommand(machine, { ...stop('c-2'), expiresAtMs: systemClock.nowMs() + BRIEF_MS });
    await until(() => {
      hub.devices.expireAll();
      return problems.length === 2;
    });
    expect(problems).toEqual([
      expect.stringContaining('device gauge-1 did not take the command c-1: DeliveryCountExceeded'),
      expect.stringContaining('device gauge-1 did not take the command c-2: Expired'),
    ]);
  });

  it('goes to a device that was bound a moment ago, and to none that was unbound or disabled', async () => {
    await using world = await startWorld();
    const { gateway, machine, machines, devices, hub } = world;
    await gateway.sendCommand(machine, stop('c-1'));
    hub.registry.freezeIndex();
    await devices.bindMachines('gauge-1' as DeviceId, [machines[1]]);
    await gateway.sendCommand(machines[1], stop('c-2'));
    await expect(gateway.sendCommand(machine, stop('c-3'))).rejects.toMatchObject({ code: 'not_found' });
    await devices.setEnabled('gauge-1' as DeviceId, false);
    await expect(gateway.sendCommand(machines[1], stop('c-4'))).rejects.toMatchObject({ code: 'not_found' });
  });

  it('asks the hub for lists of devices as these change, not as commands are sent', async () => {
    await using world = await startWorld({ changePollMs: 600_000 });
    const { gateway, machine, hub } = world;
    for (let i = 0; i < 20; i++) await gateway.sendCommand(machine, stop(`c-${i}`));
    const paths = hub.rest.exchanges.map(({ request }) => request.url.pathname);
    // The first look at what others changed may come between.
    expect(paths.filter((path) => path === '/devices/query').length).toBeLessThanOrEqual(2);
  });
});

describe('a fault of the hub', () => {
  const stop = (id: string) => ({ id, payload: bytes(id), expiresAtMs: systemClock.nowMs() + 60_000 });

  it.each([
    ['com.microsoft:device-container-throttled', 'resource_exhausted'],
    ['com.microsoft:quota-exceeded', 'resource_exhausted'],
    ['amqp:internal-error', 'unavailable'],
    ['com.microsoft:timeout', 'unavailable'],
    ['amqp:not-found', 'not_found'],
    ['amqp:unauthorized-access', 'permission_denied'],
  ] as const)('%s for a command is %s, tried once, and the same command goes after it', async (refuse, code) => {
    await using world = await startWorld();
    const { gateway, machine, hub } = world;
    let asked = 0;
    hub.service.fault = () => (asked++ === 0 ? { refuse } : undefined);
    await expect(gateway.sendCommand(machine, stop('c-1'))).rejects.toMatchObject({ name: 'PortError', code });
    await gateway.sendCommand(machine, stop('c-1'));
    expect(asked).toBe(2);
  });

  it('that detaches the link, loses the answer or is silent fails the command in time, and the next goes', async () => {
    await using world = await startWorld({ timeoutMs: 2_000 });
    const { gateway, machine, hub } = world;
    for (const fault of ['detached', 'answer lost', 'silence'] as const) {
      hub.service.fault = () => fault;
      const code = fault === 'silence' ? 'deadline_exceeded' : 'unavailable';
      await expect(gateway.sendCommand(machine, stop(`c-${fault}`))).rejects.toMatchObject({ code });
      hub.service.fault = undefined;
      await gateway.sendCommand(machine, stop(`d-${fault}`));
    }
  });

  it('that ends whoever listens for feedback, or cuts connections, is over by itself', async () => {
    await using world = await startWorld();
    const { gateway, machine, hub, problems } = world;
    await until(() => hub.service.listeners === 1);
    for (const [id, fail] of [
      ['c-1', () => hub.service.detachListeners()],
      ['c-2', () => hub.service.cut()],
    ] as const) {
      fail();
      expect(hub.service.listeners).toBe(0);
      await until(() => hub.service.listeners === 1);
      await gateway.sendCommand(machine, stop(id));
      for (let i = 0; i < 10; i++) hub.devices.abandon('gauge-1');
      await until(() => problems.some((each) => each.includes(`the command ${id}: DeliveryCountExceeded`)));
    }
  });

  it('that is silent to who would listen for feedback has no connection of an attempt that was given up', async () => {
    await using world = await openWorld({ timeoutMs: 2_000 });
    const { gateway, hub, problems } = world;
    hub.service.isSilentToClaims = true;
    const intake = new RecordingIntake();
    await gateway.start(intake, intake);
    await until(() => problems.filter((each) => each.includes('listen for feedback')).length >= 3, undefined, 60_000);
    await until(() => hub.service.connections <= 1);
    hub.service.isSilentToClaims = false;
    await until(() => hub.service.listeners === 1);
  });

  it('that loses feedback holds up no command', async () => {
    await using world = await startWorld();
    const { gateway, machine, hub } = world;
    await until(() => hub.service.listeners === 1);
    hub.service.mutesFeedback = true;
    const received: string[] = [];
    const device = await world.connect('gauge-1', world.secret);
    await device.onCommand(machine, (payload) => received.push(Buffer.from(payload).toString()));
    for (const id of ['c-1', 'c-2']) await gateway.sendCommand(machine, stop(id));
    await until(() => received.length === 2);
    await device.disconnect();
  });

  it('that takes no token is permission_denied for commands, told, and over once it takes one, while messages go on', async () => {
    await using world = await openWorld();
    const { gateway, hub, machines, problems } = world;
    const secret = await world.addDevice('gauge-1', world.tenants[0], [machines[0]]);
    hub.service.refusesTokens = true;
    const intake = new RecordingIntake();
    await gateway.start(intake, intake);
    const device = await world.connect('gauge-1', secret);
    await device.publish(machines[0], bytes('1'));
    await until(() => intake.messages.length === 1);
    await expect(gateway.sendCommand(machines[0], stop('c-1'))).rejects.toMatchObject({ code: 'permission_denied' });
    await until(() => problems.some((each) => each.startsWith('listening for what became of commands')));
    hub.service.refusesTokens = false;
    await gateway.sendCommand(machines[0], stop('c-1'));
    await until(() => hub.service.listeners === 1);
    await device.disconnect();
  });
});

describe('a site that lacks a part', () => {
  it.each([
    ['an event hub', { eventHub: 'no-such-hub' }, 'no-such-hub'],
    ['a consumer group', { consumerGroup: 'nobodys' }, 'nobodys'],
  ])('is told by name at the start: %s', async (_what, change, named) => {
    await using world = await openWorld(change);
    const intake = new RecordingIntake();
    await expect(world.gateway.start(intake, intake)).rejects.toMatchObject({
      ...{ name: 'PortError', code: 'failed_precondition' },
      message: expect.stringContaining(named) as unknown,
    });
  });
});
