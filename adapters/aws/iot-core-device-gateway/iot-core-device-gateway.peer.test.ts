import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { systemClock } from '#core/clock.ts';
import { deviceGatewayContract } from '#core/contracts/device-gateway.contract.ts';
import { RecordingIntake } from '#core/contracts/recording-intake.ts';
import { until } from '#core/contracts/until.ts';
import type { DeviceId, MachineKey, SensorId } from '#core/domain/ids.ts';
import { deviceTopic } from '#core/ingestion/topics.ts';
import {
  contractHarness,
  describeGatewayOverLog,
  startWorld as startIn,
  waiversOf,
} from '#test/peers/gateway-over-log.ts';
import type { IotCoreDevice } from '#test/peers/iot-core-device.ts';
import { DEVICE_STREAM } from '#test/peers/iot-core-site.ts';
import { IotCoreWorlds } from '#test/peers/iot-core-world.ts';
import { pasteDeviceLine } from '#test/peers/paste-device-line.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import { iotCoreConnection } from './device-connection.ts';
import { IotCoreDeviceGateway } from './iot-core-device-gateway.ts';

let worlds: IotCoreWorlds;

beforeAll(async () => {
  worlds = await IotCoreWorlds.start();
}, 300_000);

afterAll(() => worlds[Symbol.asyncDispose]());

const startWorld = async (change: { readonly commandSettleMs?: number } = {}) => startIn(await worlds.open({ change }));
const telemetry = (machine: MachineKey) => deviceTopic({ kind: 'telemetry', machine });
const command = (machine: MachineKey) => deviceTopic({ kind: 'command', machine });
const bytes = (text: string): Uint8Array => Buffer.from(text);

async function openContractWorld() {
  // The stand-in has delivered a command when it has answered.
  const world = await worlds.open({ change: { commandSettleMs: 0 } });
  const connect = async (id: string, secret: string, as = id) => contractDevice(await world.connect(id, secret, as));
  return { ...world, connect };
}

describeContract(
  deviceGatewayContract,
  'IoT Core (moto, with a stand-in for its broker and rules)',
  async () => contractHarness(await openContractWorld()),
  waiversOf('IoT Core', 'Kinesis'),
);
describeGatewayOverLog('IoT Core', openContractWorld);

function contractDevice(client: IotCoreDevice) {
  return {
    publish: (machine: MachineKey, payload: Uint8Array) => client.publishTo(telemetry(machine), payload),
    publishWaveform: (machine: MachineKey, sensor: string, payload: Uint8Array) =>
      client.publishTo(deviceTopic({ kind: 'waveform', machine, sensor: sensor as SensorId }), payload),
    onCommand: (machine: MachineKey, listener: (payload: Uint8Array) => void) => client.onCommand(machine, listener),
    disconnect: () => client.disconnect(),
  };
}

describe('what IoT Core acknowledged', () => {
  it('comes by the error stream where its rule failed', async () => {
    await using world = await startWorld();
    const { intake, machine, core } = world;
    await core.fail('gauge-1', telemetry(machine), bytes('late'));
    await until(() => intake.messages.length === 1);
    expect(intake.messages[0]).toMatchObject({ machine, sender: 'gauge-1' });
    expect(intake.payloads()).toEqual(['late']);
  });

  it('goes on behind a record that no rule wrote, which is told', async () => {
    await using world = await startWorld();
    const { intake, machine, problems } = world;
    await world.kinesis.putRecord({ StreamName: DEVICE_STREAM, PartitionKey: 'x', Data: bytes('{}') });
    const device = await world.connect('gauge-1', world.secret);
    await device.publishTo(telemetry(machine), bytes('1'));
    await until(() => intake.messages.length === 1);
    expect(problems).toEqual([
      [
        `reading ${DEVICE_STREAM}`,
        expect.objectContaining({ message: expect.stringContaining('is none of a topic rule') as unknown }),
      ],
    ]);
  });
});

it('a line that tribo device add prints works as pasted into a shell, beside the certificate that it shows', async () => {
  await using world = await startWorld();
  const { intake, machine, config, core, secret } = world;
  const device = (await world.devices.getDevice('gauge-1' as DeviceId))!;
  const connection = iotCoreConnection(config)(device, secret, systemClock.nowMs());
  const files = { 'gauge-1.pem': secret };
  await pasteDeviceLine(device, secret, connection, { files, machine: { authority: core.devices.ca } });
  await until(() => intake.messages.length === 1);
  expect(intake.messages[0]).toMatchObject({ machine, sender: 'gauge-1', content: { kind: 'telemetry' } });
});

describe('what a device may not do', () => {
  it.each([
    [
      'publish a command',
      (client: IotCoreDevice, machine: MachineKey) => client.publishTo(command(machine), bytes('stop')),
    ],
    [
      "hear another machine's commands",
      (client: IotCoreDevice, machine: MachineKey) =>
        client.subscribe(command(`${machine}0` as MachineKey), () => undefined),
    ],
    [
      "publish for a machine whose name begins as its own's",
      (client: IotCoreDevice, machine: MachineKey) =>
        client.publishTo(telemetry(`${machine}0` as MachineKey), bytes('1')),
    ],
    ['hear everything', (client: IotCoreDevice) => client.subscribe('#', () => undefined)],
  ])('%s: the policies of the site turn it away', async (_what, attempt) => {
    await using world = await startWorld();
    const device = await world.connect('gauge-1', world.secret);
    await expect(attempt(device, world.machine)).rejects.toThrow('not authorized');
    expect(world.intake.messages).toEqual([]);
  });

  it('is refused and counted also where a policy lets it pass', async () => {
    await using world = await startWorld();
    const { core, machine, machines, refusals, intake } = world;
    const device = await world.connect('gauge-1', world.secret);
    // The policies name this where a device has fewer machines than they have places.
    await device.publishTo('tribo/v1/=/akron/press-7/telemetry', bytes('0'));
    await until(() => refusals.length === 1);
    await core.fail('gauge-1', telemetry(machines[1]), bytes('1'));
    await core.fail('a-stranger', telemetry(machine), bytes('2'));
    await core.fail('n/a', telemetry(machine), bytes('3'));
    await core.fail('gauge-1', telemetry(machine), bytes('4'));
    await until(() => intake.messages.length === 1 && refusals.length === 4);
    expect(refusals.toSorted()).toEqual(['bad-credentials', 'bad-credentials', 'foreign-machine', 'foreign-topic']);
    expect(intake.payloads()).toEqual(['4']);
  });
});

describe('a status topic', () => {
  it('tells of the machine what its device says, which is to be retained', async () => {
    await using world = await startWorld();
    const { intake, machine } = world;
    const device = await world.connect('gauge-1', world.secret);
    await device.publishTo(deviceTopic({ kind: 'status', machine }), bytes('{"online":false}'), true);
    await until(() => intake.presences.some(({ by }) => by === 'status'));
    expect(intake.presences.find(({ by }) => by === 'status')).toMatchObject({
      ...{ device: 'gauge-1', machines: [machine], online: false },
    });
  });
});

describe('presence', () => {
  const event = (eventType: string, sessionIdentifier: string, timestamp: number) => ({
    ...{ clientId: 'gauge-1', eventType, sessionIdentifier, timestamp },
  });

  it.each([
    [
      'told once of what comes twice',
      ['connected a 1', 'connected a 1', 'disconnected a 2', 'disconnected a 2'],
      [true, false],
    ],
    ['that of the newest connection', ['connected a 1', 'connected b 2', 'disconnected a 2'], [true]],
    ['over once a connection ended, though its begin comes later', ['disconnected a 2', 'connected a 1'], [false]],
  ])('is %s', async (_what, events, expected) => {
    await using world = await startWorld();
    const { intake, machine } = world;
    for (const each of events) {
      const [type = '', session = '', at] = each.split(' ');
      const Data = bytes(JSON.stringify(event(type, session, Number(at))));
      await world.kinesis.putRecord({ StreamName: DEVICE_STREAM, PartitionKey: 'gauge-1', Data });
    }
    const last = { payload: '', topic: telemetry(machine), clientId: 'gauge-1', timestamp: 3 };
    await world.kinesis.putRecord({ StreamName: DEVICE_STREAM, PartitionKey: 'x', Data: bytes(JSON.stringify(last)) });
    await until(() => intake.messages.length === 1 && intake.presences.length >= expected.length);
    expect(intake.presences.map(({ online }) => online)).toEqual(expected);
  });
});

describe('a command', () => {
  const stop = (id: string) => ({ id, payload: bytes(id), expiresAtMs: systemClock.nowMs() + 60_000 });

  async function listening(world: Awaited<ReturnType<typeof startWorld>>) {
    const received: string[] = [];
    const device = await world.connect('gauge-1', world.secret);
    await device.subscribe(command(world.machine), (payload) => received.push(Buffer.from(payload).toString()));
    return { device, received };
  }

  it('that was sent into a lost connection is sent again once the device is back', async () => {
    await using world = await startWorld();
    const { gateway, machine } = world;
    const first = await listening(world);
    await gateway.sendCommand(machine, stop('c-1'));
    await until(() => first.received.length === 1);
    first.device.lose();
    await gateway.sendCommand(machine, stop('c-2'));
    first.device.cut();
    const second = await listening(world);
    await until(() => second.received.length === 2);
    // Whether the first had arrived nobody can tell.
    expect(second.received).toEqual(['c-1', 'c-2']);
  });

  it('that was sent shortly before the device said goodbye is sent again', async () => {
    await using world = await startWorld({ commandSettleMs: 60_000 });
    const { gateway, machine } = world;
    const first = await listening(world);
    await gateway.sendCommand(machine, stop('c-1'));
    await until(() => first.received.length === 1);
    await first.device.disconnect();
    const second = await listening(world);
    await until(() => second.received.length === 1);
    expect(second.received).toEqual(['c-1']);
  });

  it('that waits is sent by the next gateway', async () => {
    await using world = await startWorld();
    const { gateway, machine, reopen } = world;
    await gateway.sendCommand(machine, stop('c-1'));
    await gateway.close();
    const { received } = await listening(world);
    const intake = new RecordingIntake();
    await reopen().start(intake, intake);
    await until(() => received.length === 1);
  });
});

describe('a site that lacks a part', () => {
  it('is told by name at the start', async () => {
    await using world = await worlds.open();
    const { config, devices } = world;
    const gateway = new IotCoreDeviceGateway(
      { ...config, deviceStream: 'no-such-stream' },
      { devices, refuse: () => undefined, onProblem: () => undefined },
    );
    const intake = new RecordingIntake();
    await expect(gateway.start(intake, intake)).rejects.toMatchObject({
      ...{ name: 'PortError', code: 'failed_precondition' },
      message: expect.stringContaining('no-such-stream') as unknown,
    });
  });
});
