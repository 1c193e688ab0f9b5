import assert from 'node:assert/strict';
import type { MachineKey, TenantId } from '../domain/ids.ts';
import { intakeKindOf } from '../ingestion/back-pressure.ts';
import type { DeviceCommand, DeviceGateway } from '../ports/device-gateway.ts';
import type { Contract } from './contract.ts';
import { RecordingIntake } from './recording-intake.ts';
import { until } from './until.ts';

/** One device's connection, as the device sees it. */
export interface ContractDevice {
  /** Sends a telemetry payload for the machine; resolves on the acknowledgement, rejects when the connection ends before it. */
  publish(machine: MachineKey, payload: Uint8Array): Promise<void>;
  /** Sends a waveform of the sensor as JSON. */
  publishWaveform(machine: MachineKey, sensor: string, payload: Uint8Array): Promise<void>;
  /** Listens for the machine's commands, each of which it acknowledges, and is known as one that does when it is away later. */
  onCommand(machine: MachineKey, listener: (payload: Uint8Array) => void): Promise<void>;
  disconnect(): Promise<void>;
}

export interface DeviceGatewayHarness {
  readonly gateway: DeviceGateway;
  /** Two machines of one tenant, and one of another. */
  readonly machines: readonly [MachineKey, MachineKey, MachineKey];
  readonly tenants: readonly [TenantId, TenantId, TenantId];
  /** Registers a device bound to the machines; returns its secret. */
  addDevice(id: string, tenant: TenantId, machines: readonly MachineKey[]): Promise<string>;
  setEnabled(id: string, enabled: boolean): Promise<void>;
  bindMachines(id: string, machines: readonly MachineKey[]): Promise<void>;
  /** Connects a device. `as` is the identity it claims on the wire besides its credentials, by default its own. Rejects when it is turned away. */
  connect(id: string, secret: string, as?: string): Promise<ContractDevice>;
  nowMs(): number;
}

async function started(harness: DeviceGatewayHarness): Promise<RecordingIntake> {
  const intake = new RecordingIntake();
  await harness.gateway.start(intake, intake);
  return intake;
}

async function connected(harness: DeviceGatewayHarness, id = 'gauge-1', machines = harness.machines.slice(0, 2)) {
  const secret = await harness.addDevice(id, harness.tenants[0], machines);
  return { secret, device: await harness.connect(id, secret) };
}

const text = (payload: Uint8Array): string => Buffer.from(payload).toString();
const bytes = (payload: string): Uint8Array => Buffer.from(payload);

async function isPending(promise: Promise<unknown>, forMs = 150): Promise<boolean> {
  let pending = true;
  const settled = () => {
    pending = false;
  };
  promise.then(settled, settled);
  await new Promise((resolve) => setTimeout(resolve, forMs));
  return pending;
}

export const deviceGatewayContract: Contract<DeviceGatewayHarness> = {
  port: 'device-gateway',
  cases: [
    {
      name: 'hands on what a device sent, byte for byte, with its machine, tenant and sender',
      async run(harness) {
        const intake = await started(harness);
        const { device } = await connected(harness);
        const payload = Uint8Array.from({ length: 256 }, (_, byte) => byte);
        await device.publish(harness.machines[0], payload);
        await intake.received(1);
        await device.publishWaveform(harness.machines[1], 'de-horizontal', bytes('{}'));
        await intake.received(2);
        const [telemetry, waveform] = intake.messages;
        assert.deepEqual(
          [telemetry?.tenant, telemetry?.machine, telemetry?.sender, telemetry?.content.kind],
          [harness.tenants[0], harness.machines[0], 'gauge-1', 'telemetry'],
        );
        assert.deepEqual([...(telemetry?.content.payload ?? [])], [...payload]);
        assert.equal(waveform?.machine, harness.machines[1]);
        assert.ok(waveform.content.kind === 'waveform-json' && waveform.content.sensor === 'de-horizontal');
      },
    },
    {
      name: 'acknowledges a message only after intake has made it durable',
      async run(harness) {
        const intake = await started(harness);
        const { device } = await connected(harness);
        intake.held = Promise.withResolvers();
        const published = device.publish(harness.machines[0], bytes('1'));
        assert.ok(await isPending(published));
        assert.deepEqual(intake.payloads(), ['1']);
        intake.held.resolve();
        await published;
      },
    },
    {
      name: 'has many messages of one device on their way at once',
      async run(harness) {
        const intake = await started(harness);
        const { device } = await connected(harness);
        intake.held = Promise.withResolvers();
        const published = Array.from({ length: 20 }, (_, i) => device.publish(harness.machines[0], bytes(String(i))));
        await intake.received(20);
        intake.held.resolve();
        await Promise.all(published);
        assert.deepEqual(
          intake.payloads(),
          Array.from({ length: 20 }, (_, i) => String(i)),
        );
      },
    },
    {
      name: 'offers a message that intake refused again, and acknowledges it once it is accepted',
      async run(harness) {
        const intake = await started(harness);
        const { device } = await connected(harness);
        intake.refusals = 2;
        await device.publish(harness.machines[0], bytes('1'));
        await intake.received(1);
        assert.deepEqual(intake.payloads(), ['1']);
        assert.equal(intake.refusals, 0);
      },
    },
    {
      name: 'takes nothing while intake is not ready, loses nothing, and goes on by itself',
      async run(harness) {
        const intake = await started(harness);
        const { device } = await connected(harness);
        await device.publish(harness.machines[0], bytes('0'));
        await intake.received(1);
        intake.shut();
        const published = Promise.all([1, 2, 3].map((i) => device.publish(harness.machines[0], bytes(String(i)))));
        await isPending(published, 300);
        assert.deepEqual(intake.payloads(), ['0']);
        intake.open();
        await published;
        await intake.received(4);
        assert.deepEqual(intake.payloads(), ['0', '1', '2', '3']);
      },
    },
    {
      name: 'leaves what a device sends unacknowledged while intake is not ready, or refuses messages of that kind',
      async run(harness) {
        const intake = await started(harness);
        const { device } = await connected(harness);
        const [machine] = harness.machines;
        for (const refused of ['telemetry', 'waveform', undefined] as const) {
          intake.shut(refused);
          const waiting =
            refused === 'waveform'
              ? device.publishWaveform(machine, 'de-horizontal', bytes('{}'))
              : device.publish(machine, bytes('{}'));
          assert.ok(await isPending(waiting));
          intake.open(refused);
          await waiting;
        }
      },
    },
    {
      name: "goes on with a device's readings while its waveforms are refused, which wait, and the other way round",
      async run(harness) {
        const intake = await started(harness);
        const { device } = await connected(harness);
        const [machine] = harness.machines;
        const ways = {
          telemetry: () => device.publish(machine, bytes('{}')),
          waveform: () => device.publishWaveform(machine, 'de-horizontal', bytes('{}')),
        };
        for (const [refused, taken] of [
          ['waveform', 'telemetry'],
          ['telemetry', 'waveform'],
        ] as const) {
          intake.shut(refused);
          const waiting = ways[refused]();
          for (let i = 0; i < 20; i++) await ways[taken]();
          await intake.received(20);
          await isPending(waiting);
          assert.deepEqual([...new Set(intake.messages.map(({ content }) => intakeKindOf(content)))], [taken]);
          intake.open(refused);
          await waiting;
          await intake.received(21);
          assert.equal(intake.messages.length, 21);
          intake.messages.length = 0;
        }
      },
    },
    {
      name: 'turns away a wrong secret and an unknown device',
      async run(harness) {
        await started(harness);
        const secret = await harness.addDevice('gauge-1', harness.tenants[0], [harness.machines[0]]);
        await assert.rejects(harness.connect('gauge-1', `${secret}x`));
        await assert.rejects(harness.connect('gauge-1', ''));
        await assert.rejects(harness.connect('gauge-2', secret));
        await (await harness.connect('gauge-1', secret)).disconnect();
      },
    },
    {
      name: 'turns away a device that is disabled, until it is enabled again',
      async run(harness) {
        await started(harness);
        const secret = await harness.addDevice('gauge-1', harness.tenants[0], [harness.machines[0]]);
        await harness.setEnabled('gauge-1', false);
        await assert.rejects(harness.connect('gauge-1', secret));
        await harness.setEnabled('gauge-1', true);
        await (await harness.connect('gauge-1', secret)).disconnect();
      },
    },
    {
      name: 'hands on nothing of a device that was disabled, whether or not it could connect',
      async run(harness) {
        const intake = await started(harness);
        const [press, pump] = harness.machines;
        const { device: other } = await connected(harness, 'gauge-2', [pump]);
        const { secret } = await connected(harness, 'gauge-1', [press]);
        await harness.setEnabled('gauge-1', false);
        // Gateways hear of it soon, not at once.
        let attempt = 0;
        await until(async () => {
          const [from, payload] = [intake.messages.length, bytes(String(++attempt))];
          const disabled = await harness.connect('gauge-1', secret).catch(() => undefined);
          await disabled?.publish(press, payload).catch(() => undefined);
          await other.publish(pump, payload);
          await until(() => intake.messages.slice(from).some(({ machine }) => machine === pump));
          await disabled?.disconnect().catch(() => undefined);
          return intake.messages.slice(from).every(({ sender }) => sender === 'gauge-2');
        }, 'nothing comes of the disabled device');
      },
    },
    {
      name: "turns away a device that claims another's identity with its own secret",
      async run(harness) {
        await started(harness);
        const secret = await harness.addDevice('gauge-1', harness.tenants[0], [harness.machines[0]]);
        await harness.addDevice('gauge-10', harness.tenants[0], [harness.machines[1]]);
        await assert.rejects(harness.connect('gauge-1', secret, 'gauge-10'));
        await assert.rejects(harness.connect('gauge-1', secret, 'gauge-1-'));
      },
    },
    {
      name: "refuses a message for a machine that is not the device's, of its tenant or another",
      async run(harness) {
        const intake = await started(harness);
        const { secret } = await connected(harness, 'gauge-1', [harness.machines[0]]);
        for (const foreign of harness.machines.slice(1)) {
          const device = await harness.connect('gauge-1', secret);
          await device.publish(foreign, bytes('1')).catch(() => undefined);
        }
        // What came before it would be here.
        await (await harness.connect('gauge-1', secret)).publish(harness.machines[0], bytes('2'));
        await intake.received(1);
        assert.deepEqual(intake.payloads(), ['2']);
      },
    },
    {
      name: 'lets a device speak for as many machines as it is bound to, and follows its bindings',
      async run(harness) {
        const intake = await started(harness);
        const [press, pump] = harness.machines;
        const { secret, device } = await connected(harness, 'gateway-1', [press]);
        await device.publish(press, bytes('1'));
        await intake.received(1);
        await harness.bindMachines('gateway-1', [press, pump]);
        const again = await harness.connect('gateway-1', secret);
        await again.publish(pump, bytes('2'));
        await again.publish(press, bytes('3'));
        await intake.received(3);
        assert.deepEqual(
          intake.messages.map(({ machine }) => machine),
          [press, pump, press],
        );
      },
    },
    {
      name: 'ends the connection of a device that is disabled',
      async run(harness) {
        const intake = await started(harness);
        const { device } = await connected(harness);
        await harness.setEnabled('gauge-1', false);
        await until(() => intake.presences.at(-1)?.online === false, 'the device is told offline');
        await assert.rejects(device.publish(harness.machines[0], bytes('1')));
        assert.deepEqual(intake.messages, []);
      },
    },
    {
      name: 'tells when a device comes and goes',
      async run(harness) {
        const intake = await started(harness);
        const { device } = await connected(harness);
        await until(() => intake.presences.length === 1, 'the device is told online');
        await device.disconnect();
        await until(() => intake.presences.length === 2, 'the device is told offline');
        assert.deepEqual(
          intake.presences.map(({ device, by, online, machines }) => [device, by, online, [...machines].sort()]),
          [true, false].map((online) => ['gauge-1', 'connection', online, harness.machines.slice(0, 2).sort()]),
        );
      },
    },
    {
      name: 'brings a command to the device that listens for the machine, byte for byte, once it is acknowledged no more',
      async run(harness) {
        await started(harness);
        const { device, secret } = await connected(harness);
        const received: string[] = [];
        await device.onCommand(harness.machines[0], (payload) => received.push(text(payload)));
        await harness.gateway.sendCommand(harness.machines[0], command(harness, 'c-1', 'stop\u0000'));
        await until(() => received.length === 1, 'the command arrives');
        await device.disconnect();
        const again = await harness.connect('gauge-1', secret);
        await again.onCommand(harness.machines[0], (payload) => received.push(text(payload)));
        await harness.gateway.sendCommand(harness.machines[0], command(harness, 'c-2', 'start'));
        await until(() => received.length === 2, 'the second command arrives');
        assert.deepEqual(received, ['stop\u0000', 'start']);
      },
    },
    {
      name: 'keeps commands for a device that is away, in order, until they expire',
      async run(harness) {
        await started(harness);
        const { device, secret } = await connected(harness);
        await device.onCommand(harness.machines[0], () => undefined);
        await device.disconnect();
        await keepsCommands(harness, 'gauge-1', secret);
      },
    },
    {
      name: 'keeps commands for a device that never was there, in order, until they expire',
      async run(harness) {
        await started(harness);
        const secret = await harness.addDevice('gauge-1', harness.tenants[0], [harness.machines[0]]);
        await keepsCommands(harness, 'gauge-1', secret);
      },
    },
    {
      name: 'sends a command once that is given twice while the first waits',
      async run(harness) {
        await started(harness);
        const { device, secret } = await connected(harness);
        await device.onCommand(harness.machines[0], () => undefined);
        await device.disconnect();
        const twice = command(harness, 'c-1', 'stop');
        await Promise.all([1, 2].map(() => harness.gateway.sendCommand(harness.machines[0], twice)));
        await harness.gateway.sendCommand(harness.machines[0], twice);
        await harness.gateway.sendCommand(harness.machines[0], command(harness, 'c-2', 'start'));
        assert.deepEqual(await commandsUntil(harness, { id: 'gauge-1', secret, last: 'start' }), ['stop', 'start']);
      },
    },
    {
      name: 'fails a command for a machine that no device speaks for with not_found',
      async run(harness) {
        await started(harness);
        await connected(harness, 'gauge-1', [harness.machines[0]]);
        const sent = harness.gateway.sendCommand(harness.machines[1], command(harness, 'c-1', 'stop'));
        await assert.rejects(sent, { name: 'PortError', code: 'not_found' });
      },
    },
    {
      name: 'acknowledges on close what is durable, takes nothing more, and closes twice as well as once',
      async run(harness) {
        const intake = await started(harness);
        const { device, secret } = await connected(harness);
        intake.held = Promise.withResolvers();
        const published = device.publish(harness.machines[0], bytes('1'));
        await until(() => intake.messages.length === 1, 'the message reaches intake');
        const closed = Promise.all([harness.gateway.close(), harness.gateway.close()]);
        setTimeout(() => intake.held?.resolve(), 50);
        await published;
        await closed;
        const again = await harness.connect('gauge-1', secret).catch(() => undefined);
        await again?.publish(harness.machines[0], bytes('2'));
        assert.deepEqual(intake.payloads(), ['1']);
      },
    },
    {
      name: 'lets no device connect once it is closed',
      async run(harness) {
        await started(harness);
        const { secret } = await connected(harness);
        await harness.gateway.close();
        await assert.rejects(harness.connect('gauge-1', secret));
      },
    },
    {
      name: 'does not start for a caller that has stopped waiting',
      async run(harness) {
        const intake = new RecordingIntake();
        const start = harness.gateway.start(intake, intake, { signal: AbortSignal.abort() });
        await assert.rejects(start, { name: 'PortError', code: 'cancelled' });
      },
    },
  ],
};

/** Long enough for a busy machine to hand the command over before it expires. */
const BRIEF_MS = 4000;

/** A service that keeps a command counts from when it had it, which on a busy machine is later than when it was sent. */
const ON_ITS_WAY_MS = 2000;

async function keepsCommands(harness: DeviceGatewayHarness, id: string, secret: string): Promise<void> {
  const [machine] = harness.machines;
  await harness.gateway.sendCommand(machine, command(harness, 'c-1', 'first'));
  const expiresAtMs = harness.nowMs() + BRIEF_MS;
  await harness.gateway.sendCommand(machine, { ...command(harness, 'c-2', 'brief'), expiresAtMs });
  await harness.gateway.sendCommand(machine, command(harness, 'c-3', 'last'));
  await until(() => harness.nowMs() > expiresAtMs + ON_ITS_WAY_MS, 'the brief one expires');
  assert.deepEqual(await commandsUntil(harness, { id, secret, last: 'last' }), ['first', 'last']);
}

/** What a device that comes back hears for the first machine, until the last that is expected. */
async function commandsUntil(
  harness: DeviceGatewayHarness,
  { id, secret, last }: { readonly id: string; readonly secret: string; readonly last: string },
): Promise<readonly string[]> {
  const received: string[] = [];
  const device = await harness.connect(id, secret);
  await device.onCommand(harness.machines[0], (payload) => received.push(text(payload)));
  await until(() => received.includes(last), `the command ${last} arrives`);
  return received;
}

function command(harness: DeviceGatewayHarness, id: string, payload: string): DeviceCommand {
  return { id, payload: bytes(payload), expiresAtMs: harness.nowMs() + 60_000 };
}
