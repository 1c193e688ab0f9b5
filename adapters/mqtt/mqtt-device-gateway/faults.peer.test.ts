import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, describe, expect, it } from '@jest/globals';
import { RecordingIntake } from '#core/contracts/recording-intake.ts';
import { until } from '#core/contracts/until.ts';
import type { MachineKey } from '#core/domain/ids.ts';
import { TopicMapping } from '#core/ingestion/mapping.ts';
import type { MosquittoDevice } from '#test/peers/mosquitto-device.ts';
import { MqttWorld, PRESS, PUMP } from '#test/peers/mqtt-world.ts';
import { TcpFaults } from '#test/peers/tcp-faults.ts';

const TIMEOUT_MS = 240_000;
const HOUR_MS = 3_600_000;
const QUICK = { maxReconnectDelayMs: 200, connectTimeoutMs: 2000 };

const opened: AsyncDisposable[] = [];
afterEach(async () => {
  for (const each of opened.splice(0).reverse()) await each[Symbol.asyncDispose]();
});

async function openWorld(furtherRules?: string): Promise<MqttWorld> {
  const world = await MqttWorld.open(furtherRules);
  opened.push(world);
  await world.addDevice('gauge-1');
  return world;
}

async function started(world: MqttWorld, ...given: Parameters<MqttWorld['newGateway']>) {
  const intake = new RecordingIntake();
  const gateway = world.newGateway(...given);
  await gateway.start(intake, intake);
  return { intake, gateway };
}

/** Publishes numbered messages, some at once, on a new connection where the broker went away; remembers what was acknowledged. */
class Load {
  readonly acknowledged = new Set<string>();
  readonly #world: MqttWorld;
  readonly #running: Promise<void>[];
  #next = 0;
  #isOver = false;

  constructor(world: MqttWorld, device: string, atOnce: number) {
    this.#world = world;
    let connecting: Promise<MosquittoDevice> | undefined;
    const connected = () => (connecting ??= this.#connect(device));
    // Of those that saw it end, the first.
    const forget = (gone: Promise<MosquittoDevice>) => {
      if (connecting === gone) connecting = undefined;
    };
    this.#running = Array.from({ length: atOnce }, () => this.#run(connected, forget));
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#running);
  }

  async #run(
    connected: () => Promise<MosquittoDevice>,
    forget: (gone: Promise<MosquittoDevice>) => void,
  ): Promise<void> {
    while (!this.#isOver) {
      const id = `m-${this.#next++}`;
      const device = connected();
      try {
        await (await device).publish(PRESS, id);
        this.acknowledged.add(id);
      } catch {
        // Whether the broker had it, nobody knows: it does not count.
        forget(device);
      }
    }
  }

  async #connect(id: string): Promise<MosquittoDevice> {
    for (;;) {
      try {
        return await this.#world.connect(id);
      } catch (error) {
        if (this.#isOver) throw error;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  }
}

async function hasAll(intake: { payloads(): string[] }, expected: ReadonlySet<string>): Promise<void> {
  await until(
    () => {
      const received = new Set(intake.payloads());
      return [...expected].every((id) => received.has(id));
    },
    'all that was acknowledged reaches intake',
    60_000,
  );
}

describe('nothing that the broker acknowledged is lost', () => {
  it(
    'when the broker is restarted under load',
    async () => {
      const world = await openWorld();
      const { intake } = await started(world, 'gateway-1', QUICK);
      intake.takesMs = 20;
      const load = new Load(world, 'gauge-1', 50);
      for (const enough of [500, 1000, 1500]) {
        await until(() => load.acknowledged.size > enough, 'the load goes on', 60_000);
        await world.broker.restart();
      }
      await load.stop();
      await hasAll(intake, load.acknowledged);
      expect(load.acknowledged.size).toBeGreaterThan(1500);
    },
    TIMEOUT_MS,
  );

  it(
    'when the network to the broker is cut under load, again and again',
    async () => {
      const world = await openWorld();
      const proxy = await TcpFaults.start({ port: world.broker.platformPort });
      opened.push(proxy);
      const { intake } = await started(world, 'gateway-1', { ...QUICK, url: `mqtts://127.0.0.1:${proxy.port}` });
      intake.takesMs = 20;
      const load = new Load(world, 'gauge-1', 50);
      for (const enough of [500, 1000, 1500]) {
        await until(() => load.acknowledged.size > enough, 'the load goes on', 60_000);
        proxy.down();
        await new Promise((resolve) => setTimeout(resolve, 100));
        proxy.up();
      }
      await load.stop();
      await hasAll(intake, load.acknowledged);
      expect(world.problems.length).toBeGreaterThan(0);
    },
    TIMEOUT_MS,
  );

  it(
    'when the gateway is killed between intake and its acknowledgement',
    async () => {
      const world = await openWorld();
      const settings = JSON.stringify(world.broker.gatewaySettings('gateway-1'));
      const script = join(import.meta.dirname, '../../../test/peers/mqtt/stuck-gateway.ts');
      const child = spawn(process.execPath, [script, settings, world.registryPath], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const ended = once(child, 'exit');
      const lines: string[] = [];
      createInterface({ input: child.stdout }).on('line', (line) => lines.push(line));
      const device = await world.connect('gauge-1');
      // What comes before its first subscription goes nowhere.
      await until(async () => {
        await device.publish(PRESS, 'first');
        return lines.length > 0;
      }, 'the gateway receives');
      const ids = Array.from({ length: 100 }, (_, i) => `m-${i}`);
      await Promise.all(ids.map((id) => device.publish(PRESS, id)));
      await until(() => ids.every((id) => lines.includes(id)), 'the gateway has them');
      child.kill('SIGKILL');
      await ended;
      const { intake } = await started(world, 'gateway-1');
      await hasAll(intake, new Set(ids));
    },
    TIMEOUT_MS,
  );

  it(
    'when a gateway is away, and what it has acknowledged does not come again',
    async () => {
      const world = await openWorld();
      const first = await started(world);
      const device = await world.connect('gauge-1');
      await device.publish(PRESS, 'before');
      await until(() => first.intake.messages.length === 1);
      await first.gateway.close();
      await device.publish(PRESS, 'meanwhile');
      const second = await started(world);
      await device.publish(PRESS, 'after');
      await until(() => second.intake.messages.length === 2);
      expect(second.intake.payloads()).toEqual(['meanwhile', 'after']);
    },
    TIMEOUT_MS,
  );
});

describe('several gateways', () => {
  it(
    'share what devices send, each message once',
    async () => {
      const world = await openWorld();
      const shared = { shareName: 'tribo' };
      const intakes = [
        (await started(world, 'gateway-1', shared)).intake,
        (await started(world, 'gateway-2', shared)).intake,
      ];
      const device = await world.connect('gauge-1');
      const ids = Array.from({ length: 400 }, (_, i) => `m-${i}`);
      await Promise.all(ids.map((id) => device.publish(PRESS, id)));
      const received = () => intakes.flatMap((intake) => intake.payloads());
      await until(() => received().length >= ids.length);
      expect(received().sort()).toEqual([...ids].sort());
      for (const intake of intakes) expect(intake.messages.length).toBeGreaterThan(100);
    },
    TIMEOUT_MS,
  );
});

describe('a slow intake', () => {
  it('has no more than the Receive Maximum in memory; the rest waits at the broker', async () => {
    const world = await openWorld();
    const { intake } = await started(world, 'gateway-1', { maxInFlightTelemetry: 20 });
    intake.held = Promise.withResolvers();
    const device = await world.connect('gauge-1');
    const ids = Array.from({ length: 500 }, (_, i) => `m-${i}`);
    await Promise.all(ids.map((id) => device.publish(PRESS, id)));
    await until(() => intake.messages.length >= 20);
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(intake.messages).toHaveLength(20);
    intake.held.resolve();
    await until(() => intake.messages.length >= ids.length);
    expect(intake.payloads()).toEqual(ids);
  });

  it('lets go of what it refused once that comes again by another connection', async () => {
    const world = await openWorld();
    const proxy = await TcpFaults.start({ port: world.broker.platformPort });
    opened.push(proxy);
    const { intake } = await started(world, 'gateway-1', { ...QUICK, url: `mqtts://127.0.0.1:${proxy.port}` });
    await world.addDevice('gauge-2', undefined, [PUMP]);
    const [device, other] = [await world.connect('gauge-1'), await world.connect('gauge-2')];
    intake.shut();
    const ids = Array.from({ length: 10 }, (_, i) => `m-${i}`);
    for (const id of ids) await device.publish(PRESS, id);
    // Behind all of them: once it is refused they have come, and wait behind the first.
    await other.publish(PUMP, 'of another machine');
    await until(() => intake.offered.length === 2, 'all are refused, or wait');
    proxy.down();
    proxy.up();
    await until(() => intake.offered.length === 4, 'all come again');
    intake.open();
    await until(() => intake.messages.length >= 11, 'all are taken');
    await device.publish(PRESS, 'last');
    await until(() => intake.payloads().includes('last'));
    expect(intake.payloads().toSorted()).toEqual([...ids, 'last', 'of another machine'].toSorted());
    expect(intake.messages.filter(({ machine }) => machine === PRESS)).toHaveLength(11);
    expect(intake.payloads().filter((id) => id !== 'of another machine')).toEqual([...ids, 'last']);
  });

  it('has no more of QoS 0 in memory than the Receive Maximum; the rest is refused and counted', async () => {
    const world = await openWorld();
    const { intake } = await started(world, 'gateway-1', { maxInFlightTelemetry: 5 });
    const device = await world.connect('gauge-1');
    const publish = (id: string) =>
      device.client.publishAsync(`device/gauge-1/tribo/v1/${PRESS}/telemetry`, id, { qos: 0 });
    await device.publish(PRESS, 'known');
    await until(() => intake.messages.length === 1);
    intake.held = Promise.withResolvers();
    const ids = Array.from({ length: 12 }, (_, i) => `m-${i}`);
    for (const id of ids) await publish(id);
    await until(() => intake.messages.length + world.refusals.length === 13, 'all have come');
    expect(intake.payloads()).toEqual(['known', ...ids.slice(0, 5)]);
    expect(world.refusals).toEqual(Array.from({ length: 7 }, () => 'back-pressure acme'));
    intake.held.resolve();
    await until(async () => {
      await publish('later');
      return intake.payloads().includes('later');
    }, 'there is room again');
  });

  it('is spared what is far too large, which the broker drops', async () => {
    const world = await openWorld();
    const { intake } = await started(world, 'gateway-1', { maxPayloadBytes: 1024 });
    const device = await world.connect('gauge-1');
    await device.publish(PRESS, 'x'.repeat(100_000));
    await device.publish(PRESS, 'good');
    await until(() => intake.messages.length === 1);
    expect(intake.payloads()).toEqual(['good']);
    expect(world.refusals).toEqual([]);
  });
});

describe('a device', () => {
  const telemetryOf = (machine: MachineKey) => `tribo/v1/${machine}/telemetry`;

  it('that forges the name of another is refused by the broker', async () => {
    const world = await openWorld();
    await world.addDevice('gauge-2');
    const { intake, gateway } = await started(world);
    // A denied message may cost the connection, too.
    const publish = async (topic: string) => {
      const forger = await world.connect('gauge-2');
      await Promise.race([forger.client.publishAsync(topic, '1', { qos: 1 }), forger.ended]);
    };
    for (const topic of [
      `device/gauge-1/${telemetryOf(PRESS)}`,
      'device/gauge-1/status',
      `device/gauge-2/tribo/v1/${PRESS}/command`,
      telemetryOf(PRESS),
    ])
      await expect(publish(topic)).rejects.toThrow('Not authorized');
    const forger = await world.connect('gauge-2');
    const heard: string[] = [];
    forger.client.on('message', (topic) => heard.push(topic));
    await forger.client.subscribeAsync(['device/+/tribo/v1/+/+/+/command', '#'], { qos: 1 });
    const real = await world.connect('gauge-1');
    const commands: string[] = [];
    await real.onCommand(PRESS, (payload) => commands.push(Buffer.from(payload).toString()));
    await gateway.sendCommand(PRESS, { id: 'c', payload: Buffer.from('stop'), expiresAtMs: Date.now() + HOUR_MS });
    await real.publish(PRESS, 'mine');
    await until(() => commands.length === 1 && intake.messages.length === 1);
    expect(new Set(heard)).toEqual(new Set([`device/gauge-2/tribo/v1/${PRESS}/command`]));
    expect(intake.payloads()).toEqual(['mine']);
  });

  it.each([
    ['for a machine that is not its own', telemetryOf(PUMP), '1', 'foreign-machine acme'],
    ['that is too large', telemetryOf(PRESS), 'x'.repeat(1025), 'oversize acme'],
    ['that is no status', 'status', 'here', 'protocol-error acme'],
  ])('that says something %s is refused and counted here', async (_what, topic, payload, refusal) => {
    const world = await openWorld();
    const { intake } = await started(world, 'gateway-1', { maxPayloadBytes: 1024 });
    const device = await world.connect('gauge-1');
    await device.publishTo(topic, payload);
    await device.publish(PRESS, 'good');
    await until(() => intake.messages.length === 1);
    await until(() => world.refusals.length === 1);
    expect(intake.payloads()).toEqual(['good']);
    expect(world.refusals).toEqual([refusal]);
  });

  it('whose certificate is good, but that nobody registered, is refused and counted here until somebody does', async () => {
    const world = await openWorld();
    const { intake } = await started(world);
    const device = await world.connect('gauge-9');
    await device.publish(PRESS, 'early');
    // Its status, and what it published.
    await until(() => world.refusals.length === 2);
    await world.addDevice('gauge-9');
    await device.publish(PRESS, 'later');
    await until(() => intake.messages.length === 1);
    expect(intake.payloads()).toEqual(['later']);
    expect(new Set(world.refusals)).toEqual(new Set(['bad-credentials']));
  });

  it('that nobody registered costs the registry no more for sending much, and holds up nobody while that hangs', async () => {
    const world = await openWorld();
    const { intake } = await started(world, 'gateway-1', { maxInFlightTelemetry: 1000 });
    const device = await world.connect('gauge-1');
    await device.publish(PRESS, 'known');
    await until(() => intake.messages.length === 1);
    const registered = world.devices.getDevice.bind(world.devices);
    const answers = Promise.withResolvers<undefined>();
    let asked = 0;
    world.devices.getDevice = async (id, options) => {
      asked++;
      await answers.promise;
      return registered(id, options);
    };
    const stranger = await world.connect('gauge-9');
    await Promise.all(Array.from({ length: 200 }, (_, i) => stranger.publish(PRESS, `strange-${i}`)));
    await device.publish(PRESS, 'good');
    await until(() => intake.messages.length === 2, 'the known device goes on');
    answers.resolve(undefined);
    // Its status, and what it published.
    await until(() => world.refusals.length === 201, 'all of the stranger is refused');
    expect(intake.payloads()).toEqual(['known', 'good']);
    expect(asked).toBeLessThan(20);
  });

  it.each([
    ['has expired', { fromMs: Date.now() - 2 * HOUR_MS, toMs: Date.now() - HOUR_MS }],
    ['is not valid yet', { fromMs: Date.now() + HOUR_MS }],
  ])('whose certificate %s cannot connect', async (_what, validity) => {
    const world = await openWorld();
    const certificate = world.broker.deviceCertificate('gauge-1', validity);
    await expect(world.connect('gauge-1', { certificate })).rejects.toThrow();
  });

  it('that is cut off is told offline by its will; who starts later hears of its state', async () => {
    const world = await openWorld();
    const { intake, gateway } = await started(world);
    const device = await world.connect('gauge-1');
    await device.publishTo(`tribo/v1/${PRESS}/status`, '{"online":true}', true);
    await until(() => intake.presences.length === 2);
    await gateway.close();
    const later = await started(world, 'gateway-2');
    await until(() => later.intake.presences.length === 2);
    device.cut();
    await until(() => later.intake.presences.length === 3);
    const told = [`connection: ${PRESS} online`, `status: ${PRESS} online`];
    expect(intake.told()).toEqual(told);
    expect(later.intake.told().slice(0, 2).sort()).toEqual(told);
    expect(later.intake.told().at(-1)).toBe(`connection: ${PRESS} offline`);
  });

  it('may send foreign topics that a mapping reads, below its name', async () => {
    const topic = 'device/+/modax/+/sensor_data';
    const world = await openWorld(`user tribo-gateway\ntopic read ${topic}\npattern write ${topic.replace('+', '%u')}`);
    const source = { tenant: 'acme', site: 'akron', machine: '$.device_id', time: '$.timestamp', metrics: '$.data' };
    const mapping = new TopicMapping({ version: 1, mappings: [{ topic: 'modax/{line}/sensor_data', ...source }] });
    const { intake } = await started(world, 'gateway-1', { mapping });
    const device = await world.connect('gauge-1');
    const payload = (id: string) => JSON.stringify({ device_id: id, timestamp: 5, data: { temperature: 61 } });
    await device.publishTo('modax/esp/sensor_data', payload('pump-2'));
    await device.publishTo('modax/esp/sensor_data', payload('press-7'));
    await until(() => intake.messages.length === 1);
    expect(intake.messages).toMatchObject([{ machine: PRESS, sender: 'gauge-1', content: { kind: 'telemetry' } }]);
    expect(world.refusals).toEqual(['foreign-machine acme']);
  });
});

describe('a status that a mapping has come at QoS 1', () => {
  it.each(['+', 'status', '{any}/v1/+/+/+/status'])(
    'is acknowledged, and holds up nothing behind it, with the topic %s',
    async (topic) => {
      const world = await openWorld();
      const device = await world.connect('gauge-1');
      await device.publishTo(`tribo/v1/${PRESS}/status`, '{"online":true}', true);
      const source = { tenant: 'acme', site: 'akron', machine: 'press-7', time: '$.ts', metrics: '$.metrics' };
      const mapping = new TopicMapping({ version: 1, mappings: [{ topic, ...source }] });
      const { intake } = await started(world, 'gateway-1', { mapping, maxInFlightTelemetry: 2 });
      await until(() => intake.presences.length >= 2);
      const ids = Array.from({ length: 10 }, (_, i) => `m-${i}`);
      for (const id of ids) await device.publish(PRESS, id);
      await until(() => intake.messages.length === ids.length);
      expect(intake.payloads()).toEqual(ids);
      expect(world.refusals).toEqual([]);
    },
  );
});

describe('a broker that is away', () => {
  it('is told of, by its address and what is wrong, until the gateway has its sessions again', async () => {
    const world = await openWorld();
    const { gateway } = await started(world, 'gateway-1', QUICK);
    expect(gateway.problem()).toBeUndefined();
    await world.broker.stop();
    await until(() => gateway.problem()?.includes('ECONNREFUSED') === true, 'the gateway says that nobody answers');
    expect(gateway.problem()).toMatch(
      /^what devices send waits at their broker: there is no connection to mqtts:\/\/127/,
    );
    await world.broker.restart();
    await until(() => gateway.problem() === undefined, 'the gateway has its sessions again');
  });
});

describe('commands', () => {
  const command = { id: 'c-1', payload: Buffer.from('stop'), expiresAtMs: Date.now() + HOUR_MS };

  it.each([
    ['has expired', { expiresAtMs: 1 }, 'invalid_argument'],
    ['is too large', { payload: Buffer.alloc(129 * 1024) }, 'invalid_argument'],
    ['nobody subscribed to', {}, 'failed_precondition'],
  ])('fail for one that %s', async (_what, change, code) => {
    const world = await openWorld();
    const { gateway } = await started(world);
    await expect(gateway.sendCommand(PRESS, { ...command, ...change })).rejects.toMatchObject({ code });
  });

  it('are unavailable while the broker is away, and are sent once it is back', async () => {
    const world = await openWorld();
    const { gateway } = await started(world, 'gateway-1', QUICK);
    const device = await world.connect('gauge-1');
    await device.onCommand(PRESS, () => undefined);
    await world.broker.stop();
    await expect(gateway.sendCommand(PRESS, command)).rejects.toMatchObject({ code: 'unavailable' });
    await world.broker.restart();
    // Its session outlives the broker's restart.
    const sent = () =>
      gateway.sendCommand(PRESS, command).then(
        () => true,
        () => false,
      );
    await until(sent, 'the command is sent');
    const again = await world.connect('gauge-1');
    const heard: string[] = [];
    await again.onCommand(PRESS, (payload) => heard.push(Buffer.from(payload).toString()));
    await until(() => heard.length === 1);
    expect(heard).toEqual(['stop']);
  });
});

describe('the start', () => {
  it.each([
    ['is unavailable where no broker answers', 'unavailable', (world: MqttWorld) => world.broker.stop()],
    ['is refused for a closed gateway', 'failed_precondition', undefined],
  ])('%s', async (_what, code, before) => {
    const world = await openWorld();
    const gateway = world.newGateway('gateway-1', QUICK);
    if (before) await before(world);
    else await gateway.close();
    const intake = new RecordingIntake();
    await expect(gateway.start(intake, intake)).rejects.toMatchObject({ code });
  });

  it('is over, and leaves no connection, where the gateway is closed meanwhile', async () => {
    const world = await openWorld();
    const proxy = await TcpFaults.start({ port: world.broker.platformPort });
    opened.push(proxy);
    const gateway = world.newGateway('gateway-1', { ...QUICK, url: `mqtts://127.0.0.1:${proxy.port}` });
    const intake = new RecordingIntake();
    proxy.hold();
    const starting = gateway.start(intake, intake);
    starting.catch(() => undefined);
    await until(() => proxy.connections === 1);
    const closed = gateway.close();
    proxy.letGo();
    await expect(starting).rejects.toMatchObject({ code: 'cancelled' });
    await closed;
    await until(() => proxy.connections === 0);
    const next = world.newGateway('gateway-1', QUICK);
    await next.start(intake, intake);
    const device = await world.connect('gauge-1');
    await device.publish(PRESS, 'good');
    await until(() => intake.messages.length === 1);
    // Nobody else has taken the session, or takes it back.
    expect(world.problems).toEqual([]);
  });

  it('is denied to a gateway that does not trust the broker, or shows no certificate', async () => {
    const world = await openWorld();
    const intake = new RecordingIntake();
    const { url } = world.broker.gatewaySettings('gateway-1');
    const untrusting = world.newGateway('gateway-1', { caFile: undefined });
    const nameless = world.newGateway('gateway-1', { certificateFile: undefined, keyFile: undefined });
    for (const gateway of [untrusting, nameless])
      await expect(gateway.start(intake, intake)).rejects.toMatchObject({
        code: 'permission_denied',
        message: expect.stringContaining(url),
      });
  });
});
