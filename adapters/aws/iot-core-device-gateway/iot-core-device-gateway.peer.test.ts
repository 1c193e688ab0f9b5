import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Kinesis } from '@aws-sdk/client-kinesis';
import { systemClock } from '#core/clock.ts';
import { deviceGatewayContract } from '#core/contracts/device-gateway.contract.ts';
import { until } from '#core/contracts/until.ts';
import {
  machineKey,
  type DeviceId,
  type MachineId,
  type MachineKey,
  type SensorId,
  type SiteId,
  type TenantId,
} from '#core/domain/ids.ts';
import { deviceTopic } from '#core/ingestion/topics.ts';
import type {
  DeviceIntake,
  DeviceMessage,
  DevicePresence,
  IntakeReceipt,
  PresenceListener,
} from '#core/ports/device-gateway.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import { IotCore, type IotClient } from '#test/peers/iot-core.ts';
import { asIotCore, makeIotSite } from '#test/peers/moto-iot.ts';
import { makeTable } from '#test/peers/moto-table.ts';
import { Moto } from '#test/peers/moto.ts';
import { openIotRegistry } from '../iot-core-device-registry/client.ts';
import { iotCoreDeviceRegistryConfigSchema } from '../iot-core-device-registry/config.ts';
import { IotCoreDeviceRegistry } from '../iot-core-device-registry/iot-core-device-registry.ts';
import { iotCoreDeviceGatewayConfigSchema } from './config.ts';
import { IotCoreDeviceGateway } from './iot-core-device-gateway.ts';
import { topicRules } from './topic-rules.ts';

const REGION = 'eu-central-1';
const [DEVICE_STREAM, ERROR_STREAM, STATE_TABLE] = ['akron-devices', 'akron-errors', 'akron-state'];
const [ACME, OTHER] = ['acme' as TenantId, 'other' as TenantId];
let moto: Moto;
let kinesis: Kinesis;

beforeAll(async () => {
  moto = await Moto.start();
  const { NodeHttpHandler } = await import('@smithy/node-http-handler');
  const { Kinesis } = await import('@aws-sdk/client-kinesis');
  kinesis = new Kinesis({ region: REGION, endpoint: moto.endpoint, requestHandler: new NodeHttpHandler() });
}, 300_000);

afterAll(async () => {
  kinesis.destroy();
  await moto[Symbol.asyncDispose]();
});

/** Things and rules are of the whole account: each world begins with an empty one. */
async function openWorld(change: { readonly commandSettleMs?: number } = {}) {
  await moto.reset();
  const site = await makeIotSite(moto, REGION);
  for (const StreamName of [DEVICE_STREAM, ERROR_STREAM]) await kinesis.createStream({ StreamName, ShardCount: 1 });
  await makeTable(moto, REGION, STATE_TABLE);
  const roleArn = 'arn:aws:iam::123456789012:role/tribo-rules';
  const rules = topicRules({ deviceStream: DEVICE_STREAM, errorStream: ERROR_STREAM, roleArn });
  for (const [ruleName, topicRulePayload] of Object.entries(rules))
    await site.iot.createTopicRule({ ruleName, topicRulePayload });
  const core = await IotCore.start(moto.endpoint, site.iot, kinesis, Object.keys(rules));
  const registryConfig = iotCoreDeviceRegistryConfigSchema.parse({ ...site.settings, changePollMs: 100 });
  const devices = new IotCoreDeviceRegistry(registryConfig, { iot: asIotCore(await openIotRegistry(registryConfig)) });
  const config = iotCoreDeviceGatewayConfigSchema.parse({
    ...{ region: REGION, endpoint: moto.endpoint, dataEndpoint: core.endpoint },
    ...{ deviceStream: DEVICE_STREAM, errorStream: ERROR_STREAM, stateTable: STATE_TABLE },
    ...{ pollMs: 20, leaseMs: 60_000, checkpointIntervalMs: 50, offerAgainMs: 20, ...change },
  });
  const [refusals, problems]: [string[], unknown[]] = [[], []];
  const gateways: IotCoreDeviceGateway[] = [];
  const open = () => {
    const gateway = new IotCoreDeviceGateway(config, {
      devices,
      refuse: (reason) => refusals.push(reason),
      onProblem: (what, error) => problems.push([what, error]),
    });
    gateways.push(gateway);
    return gateway;
  };
  return {
    ...{ gateway: open(), reopen: open, devices, core, config, refusals, problems },
    tenants: [ACME, ACME, OTHER] as const,
    machines: [keyOf(ACME, 'press-7'), keyOf(ACME, 'pump-2'), keyOf(OTHER, 'press-7')] as const,
    connect: (id: string, secret: string, as = id) => core.connect(secret, as),
    addDevice: async (id: string, tenant: TenantId, machines: readonly MachineKey[]) =>
      (await devices.addDevice({ id: id as DeviceId, tenant, machines })).secret,
    async [Symbol.asyncDispose]() {
      for (const gateway of gateways) await gateway.close();
      await core[Symbol.asyncDispose]();
      devices.close();
      site.iot.destroy();
    },
  };
}

function keyOf(tenant: TenantId, machine: string): MachineKey {
  return machineKey(tenant, 'akron' as SiteId, machine as MachineId);
}

const telemetry = (machine: MachineKey) => deviceTopic({ kind: 'telemetry', machine });
const command = (machine: MachineKey) => deviceTopic({ kind: 'command', machine });
const bytes = (text: string): Uint8Array => Buffer.from(text);

describeContract(
  deviceGatewayContract,
  'IoT Core (moto, with a stand-in for its broker and rules)',
  async () => {
    // The stand-in has delivered a command when it has answered.
    const world = await openWorld({ commandSettleMs: 0 });
    const { gateway, devices, tenants, machines, addDevice, connect } = world;
    return {
      ...{ gateway, tenants, machines, addDevice },
      setEnabled: (id: string, enabled: boolean) => devices.setEnabled(id as DeviceId, enabled),
      bindMachines: async (id: string, bound: readonly MachineKey[]) => {
        await devices.bindMachines(id as DeviceId, bound);
      },
      connect: async (id: string, secret: string, as = id) => contractDevice(await connect(id, secret, as)),
      nowMs: () => systemClock.nowMs(),
      [Symbol.asyncDispose]: () => world[Symbol.asyncDispose](),
    };
  },
  [
    {
      case: 'acknowledges a message only after intake has made it durable',
      reason: 'IoT Core acknowledges devices itself, once it has the message (ackMeans: provider-accepted)',
    },
    {
      case: 'leaves what a device sends unacknowledged while intake is not ready, or refuses messages of that kind',
      reason: 'IoT Core acknowledges devices itself; what intake does not take waits in Kinesis',
    },
    {
      case: 'lets no device connect once it is closed',
      reason: 'devices connect to IoT Core, which goes on; what they send waits in Kinesis for the next gateway',
    },
  ],
);

function contractDevice(client: IotClient) {
  return {
    publish: (machine: MachineKey, payload: Uint8Array) => client.publish(telemetry(machine), payload),
    publishWaveform: (machine: MachineKey, sensor: string, payload: Uint8Array) =>
      client.publish(deviceTopic({ kind: 'waveform', machine, sensor: sensor as SensorId }), payload),
    onCommand: (machine: MachineKey, listener: (payload: Uint8Array) => void) =>
      client.subscribe(command(machine), listener),
    disconnect: () => client.disconnect(),
  };
}

class OpenIntake implements DeviceIntake, PresenceListener {
  readonly messages: DeviceMessage[] = [];
  readonly presences: DevicePresence[] = [];
  held: PromiseWithResolvers<void> | undefined;

  async accept(message: DeviceMessage): Promise<IntakeReceipt> {
    this.messages.push(message);
    await this.held?.promise;
    return { accepted: 1, duplicate: 0, rejected: [] };
  }

  isReady(): boolean {
    return true;
  }

  async whenReady(): Promise<void> {}

  presence(event: DevicePresence): void {
    this.presences.push(event);
  }

  payloads(): string[] {
    return this.messages.map(({ content }) => Buffer.from(content.payload).toString());
  }
}

async function startWorld(change: Parameters<typeof openWorld>[0] = {}) {
  const world = await openWorld(change);
  const intake = new OpenIntake();
  await world.gateway.start(intake, intake);
  const [machine] = world.machines;
  const secret = await world.addDevice('gauge-1', world.tenants[0], [machine]);
  return { ...world, intake, machine, secret };
}

describe('what IoT Core acknowledged', () => {
  it('is offered again by the next gateway until intake has made it durable, and not after', async () => {
    await using world = await startWorld();
    const { intake, machine, gateway, reopen } = world;
    const device = await world.connect('gauge-1', world.secret);
    await device.publish(telemetry(machine), bytes('1'));
    await until(() => intake.messages.length === 1);
    intake.held = Promise.withResolvers();
    await device.publish(telemetry(machine), bytes('2'));
    await until(() => intake.messages.length === 2);
    const failed = intake.held;
    const closed = gateway.close();
    failed.reject(new Error('the log is full'));
    await closed;
    await device.publish(telemetry(machine), bytes('3'));
    const next = new OpenIntake();
    await reopen().start(next, next);
    await until(() => next.messages.length === 2);
    expect(next.payloads()).toEqual(['2', '3']);
  });

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
    await kinesis.putRecord({ StreamName: DEVICE_STREAM, PartitionKey: 'x', Data: bytes('{}') });
    const device = await world.connect('gauge-1', world.secret);
    await device.publish(telemetry(machine), bytes('1'));
    await until(() => intake.messages.length === 1);
    expect(problems).toEqual([
      [
        `reading ${DEVICE_STREAM}`,
        expect.objectContaining({ message: expect.stringContaining('is none of a topic rule') as unknown }),
      ],
    ]);
  });
});

describe('what a device may not do', () => {
  it.each([
    ['publish a command', (client: IotClient, machine: MachineKey) => client.publish(command(machine), bytes('stop'))],
    [
      "hear another machine's commands",
      (client: IotClient, machine: MachineKey) =>
        client.subscribe(command(`${machine}0` as MachineKey), () => undefined),
    ],
    [
      "publish for a machine whose name begins as its own's",
      (client: IotClient, machine: MachineKey) => client.publish(telemetry(`${machine}0` as MachineKey), bytes('1')),
    ],
    ['hear everything', (client: IotClient) => client.subscribe('#', () => undefined)],
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
    await device.publish('tribo/v1/=/akron/press-7/telemetry', bytes('0'));
    await until(() => refusals.length === 1);
    await core.fail('gauge-1', telemetry(machines[1]), bytes('1'));
    await core.fail('a-stranger', telemetry(machine), bytes('2'));
    await core.fail('n/a', telemetry(machine), bytes('3'));
    await core.fail('gauge-1', telemetry(machine), bytes('4'));
    await until(() => intake.messages.length === 1);
    expect(refusals).toEqual(['foreign-topic', 'foreign-machine', 'bad-credentials', 'bad-credentials']);
    expect(intake.payloads()).toEqual(['4']);
  });
});

describe('a status topic', () => {
  it('tells of the machine what its device says', async () => {
    await using world = await startWorld();
    const { intake, machine } = world;
    const device = await world.connect('gauge-1', world.secret);
    await device.publish(deviceTopic({ kind: 'status', machine }), bytes('{"online":false}'));
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
      await kinesis.putRecord({ StreamName: DEVICE_STREAM, PartitionKey: 'gauge-1', Data });
    }
    const last = { payload: '', topic: telemetry(machine), clientId: 'gauge-1', timestamp: 3 };
    await kinesis.putRecord({ StreamName: DEVICE_STREAM, PartitionKey: 'x', Data: bytes(JSON.stringify(last)) });
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
    first.device.cut();
    await gateway.sendCommand(machine, stop('c-2'));
    await first.device.missed();
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
    const intake = new OpenIntake();
    await reopen().start(intake, intake);
    await until(() => received.length === 1);
  });
});

describe('a site that lacks a part', () => {
  it('is told by name at the start', async () => {
    await using world = await openWorld();
    const { config, devices } = world;
    const gateway = new IotCoreDeviceGateway(
      { ...config, deviceStream: 'no-such-stream' },
      { devices, refuse: () => undefined, onProblem: () => undefined },
    );
    const intake = new OpenIntake();
    await expect(gateway.start(intake, intake)).rejects.toMatchObject({
      ...{ name: 'PortError', code: 'failed_precondition' },
      message: expect.stringContaining('no-such-stream') as unknown,
    });
  });
});
