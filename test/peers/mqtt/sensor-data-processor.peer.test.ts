import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { BrokerPublisher } from '#adapters/mqtt/mqtt-device-gateway/broker-publisher.ts';
import { mqttDeviceGatewayConfigSchema } from '#adapters/mqtt/mqtt-device-gateway/config.ts';
import { RecordingIntake } from '#core/contracts/recording-intake.ts';
import { until } from '#core/contracts/until.ts';
import { MqttWorld, PRESS } from '../mqtt-world.ts';
import { freePort, PeerProcess } from '../peer-process.ts';
import { TcpFaults } from '../tcp-faults.ts';

/** What the image runs (infra/gcp/push-functions.ts). */
const PROGRAM = join(import.meta.dirname, '../../../services/functions/sensor-data-processor/gcp/main.ts');
const DEVICE = 'press-7';

const reading = { device_id: DEVICE, timestamp: 1795222800000, sensor_data: { current_mean: 4.2 } };

interface OpenOptions {
  readonly isRead?: boolean;
  readonly settings?: Readonly<Record<string, string>>;
}

/** A broker and a gateway that reads it, and, by a wire that can be cut, the function as the process that Cloud Run starts. */
async function openWorld({ isRead = true, settings = {} }: OpenOptions = {}) {
  const world = await MqttWorld.open();
  await world.addDevice(DEVICE);
  const intake = new RecordingIntake();
  const read = () => world.newGateway().start(intake, intake);
  if (isRead) await read();
  const port = await freePort();
  const { caFile, certificateFile, keyFile } = world.broker.relaySettings;
  const wire = await TcpFaults.start({ port: world.broker.platformPort });
  const close = async () => {
    await wire[Symbol.asyncDispose]();
    await world[Symbol.asyncDispose]();
  };
  const run = await PeerProcess.start({
    name: 'sensor-data-processor',
    command: [process.execPath, PROGRAM],
    env: {
      ...{ PORT: String(port), TRIBO_TENANT: 'acme', TRIBO_SITE: 'akron' },
      ...{ TRIBO_BROKER_URL: `mqtts://127.0.0.1:${wire.port}`, TRIBO_BROKER_CA_FILE: caFile },
      ...{ TRIBO_BROKER_CERTIFICATE_FILE: certificateFile, TRIBO_BROKER_KEY_FILE: keyFile },
      ...settings,
    },
    isReady: async () => (await fetch(`http://127.0.0.1:${port}/health/live`)).ok,
  }).catch(async (error: unknown) => {
    await close();
    throw error;
  });
  const post = async (body: string) => {
    const response = await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', body });
    return { status: response.status, said: response.status === 204 ? '' : await response.text() };
  };
  return {
    ...{ world, wire, intake, read, post },
    /** As Pub/Sub pushes it. */
    push: (text: string) =>
      post(
        JSON.stringify({
          message: {
            ...{ data: Buffer.from(text).toString('base64'), attributes: {} },
            ...{ messageId: '2070443601311540', publishTime: '2026-11-21T10:20:30.4Z' },
          },
          subscription: 'projects/tribo-akron/subscriptions/sensor-data',
          deliveryAttempt: 1,
        }),
      ),
    async [Symbol.asyncDispose]() {
      await run[Symbol.asyncDispose]();
      await close();
    },
  };
}

const text = JSON.stringify(reading);

describe('sensor-data-processor at Google Cloud', () => {
  it('hands a reading to intake as the device’s, and takes its message from the subscription', async () => {
    await using open = await openWorld();
    const { intake, push } = open;
    await expect(push(text)).resolves.toEqual({ status: 204, said: '' });
    await until(() => intake.messages.length === 1);
    expect(intake.messages[0]).toMatchObject({ machine: PRESS, sender: DEVICE, content: { kind: 'telemetry' } });
    expect(JSON.parse(intake.payloads()[0]!)).toEqual({ ts: 1795222800000, metrics: { current_mean: 4.2 } });
  });

  it('hands it on again byte for byte where it is pushed again, so that intake knows it', async () => {
    await using open = await openWorld();
    const { intake, push } = open;
    await push(text);
    await push(text);
    await until(() => intake.messages.length === 2);
    const [first, second] = intake.payloads();
    expect(second).toBe(first);
  });

  it('takes many at once by one connection', async () => {
    await using open = await openWorld();
    const { intake, push } = open;
    const times = Array.from({ length: 40 }, (_, index) => index + 1);
    const answers = await Promise.all(times.map((time) => push(JSON.stringify({ ...reading, timestamp: time }))));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([204]));
    await until(() => intake.messages.length === times.length);
    const got = intake.payloads().map((payload) => (JSON.parse(payload) as { ts: number }).ts);
    expect(got.toSorted((a, b) => a - b)).toEqual(times);
  });

  it('of a device that the site does not have is refused by the gateway, and holds nobody up', async () => {
    await using open = await openWorld();
    const { world, intake, push } = open;
    await push(JSON.stringify({ ...reading, device_id: 'a-stranger' }));
    await push(text);
    await until(() => intake.messages.length === 1 && world.refusals.length === 1);
    expect(world.refusals).toEqual(['bad-credentials']);
  });

  it.each([
    ['names no device', 400, 'a message must be JSON with a device_id', 'temperature=61'],
    ['is empty', 400, 'a message must be JSON with a device_id', ''],
    [
      'is more than a broker takes',
      400,
      'bytes, the broker takes 131072',
      JSON.stringify({ ...reading, sensor_data: { a: 'x'.repeat(140_000) } }),
    ],
  ])('gives back what %s, and goes on with the next', async (_what, status, said, wrong) => {
    await using open = await openWorld();
    const { intake, push } = open;
    await expect(push(wrong)).resolves.toEqual({ status, said: expect.stringContaining(said) });
    await expect(push(text)).resolves.toMatchObject({ status: 204 });
    await until(() => intake.messages.length === 1);
  });

  it.each([
    ['no JSON', 'temperature=61', 400, 'JSON'],
    ['no push of Pub/Sub', '{"records":[]}', 400, 'the request is no push of Pub/Sub: message'],
    ['more than a push of a reading', JSON.stringify({ a: 'x'.repeat(600_000) }), 413, 'too large'],
  ])('refuses %s', async (_what, body, status, said) => {
    await using open = await openWorld();
    await expect(open.post(body)).resolves.toEqual({ status, said: expect.stringContaining(said) });
  });

  it('gives it back while nobody has ever read the broker, which would keep it for nobody', async () => {
    await using open = await openWorld({ isRead: false });
    const { intake, push, read } = open;
    await expect(push(text)).resolves.toEqual({ status: 503, said: expect.stringContaining('nobody has subscribed') });
    await read();
    await expect(push(text)).resolves.toMatchObject({ status: 204 });
    await until(() => intake.messages.length === 1);
  });

  it('gives it back while the broker is away, and connects anew when it is there', async () => {
    await using open = await openWorld();
    const { world, intake, push } = open;
    await push(text);
    await world.broker.stop();
    await expect(push(text)).resolves.toMatchObject({ status: 503, said: expect.stringContaining('unavailable') });
    await world.broker.restart();
    await expect(push(text)).resolves.toMatchObject({ status: 204 });
    await until(() => intake.messages.length === 2);
  });

  it('connects anew within a call where the connection was cut between two', async () => {
    await using open = await openWorld();
    const { wire, intake, push } = open;
    await expect(push(text)).resolves.toMatchObject({ status: 204 });
    wire.cut();
    await expect(push(text)).resolves.toMatchObject({ status: 204 });
    await until(() => intake.messages.length === 2);
  });

  it.each(['waveform/x', 'status', 'command'])('is refused by the broker for %s of a device', async (kind) => {
    await using world = await MqttWorld.open();
    const settings = { ...world.broker.relaySettings, clientId: 'relay' };
    const publisher = new BrokerPublisher(mqttDeviceGatewayConfigSchema.parse(settings));
    const topic = `device/${DEVICE}/tribo/v1/acme/akron/press-7/${kind}`;
    await expect(publisher.publish({ topic, payload: Buffer.from('{}'), properties: {} })).rejects.toMatchObject({
      code: 'permission_denied',
    });
    await publisher.close();
  });

  it('goes on by one new connection, where what waited for a dead one gives it up one after the other', async () => {
    await using world = await MqttWorld.open();
    await world.newGateway().start(new RecordingIntake(), new RecordingIntake());
    await using wire = await TcpFaults.start({ port: world.broker.platformPort });
    const url = `mqtts://127.0.0.1:${wire.port}`;
    const settings = { ...world.broker.relaySettings, url, clientId: 'relay', timeoutMs: 2000 };
    const publisher = new BrokerPublisher(mqttDeviceGatewayConfigSchema.parse(settings));
    const topic = `device/${DEVICE}/tribo/v1/acme/akron/press-7/telemetry`;
    const publish = () => publisher.publish({ topic, payload: Buffer.from('{}'), properties: {} });
    await publish();
    wire.hold();
    const first = publish();
    await setTimeout(500);
    const second = publish();
    await expect(first).rejects.toMatchObject({ code: 'deadline_exceeded' });
    const third = publish();
    await expect(second).rejects.toMatchObject({ code: 'deadline_exceeded' });
    // Another connection by the same name would have the broker end this one.
    const fourth = publish();
    wire.letGo();
    await Promise.all([third, fourth]);
    await until(() => wire.connections === 1);
    await publisher.close();
  });

  it('does not start without its settings, and names each that is wrong', async () => {
    await expect(
      openWorld({ settings: { TRIBO_TENANT: 'acme/1', TRIBO_BROKER_URL: 'https://broker:8884' } }),
    ).rejects.toThrow(
      /the function's environment: TRIBO_BROKER_URL: must be mqtts:\/\/host:port; TRIBO_TENANT: must be/,
    );
  });
});
