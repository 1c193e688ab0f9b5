import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { until } from '#core/contracts/until.ts';
import type { MachineMessage, TelemetryMessage, WaveformMessage } from '../messages.ts';
import { batchInOrder } from './batching.ts';
import { HttpUplink, parseRetryAfterMs } from './http-uplink.ts';
import { MqttUplink } from './mqtt-uplink.ts';
import type { MqttBinding, MqttDevice } from './mqtt-uplink.ts';
import { startBroker, startGateway } from '#test/support/wire-peers.ts';
import { batchIds, encodeTelemetry, retryAfterMs } from './uplink.ts';
import type { Batch } from './uplink.ts';

const cleanups: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function closing<Value extends { close(): Promise<void> } | { stop(): Promise<void> }>(value: Value): Value {
  cleanups.push(() => ('close' in value ? value.close() : value.stop()));
  return value;
}

const telemetry = (id: string, metrics: TelemetryMessage['metrics'] = { rpm: 1 }): TelemetryMessage => ({
  id,
  ts: 1_795_222_800_000,
  metrics,
});

const telemetryBatch = (...ids: string[]): Batch => ({
  machine: 'pump-1',
  kind: 'telemetry',
  messages: ids.map((id) => encodeTelemetry(telemetry(id))),
});

const waveform: WaveformMessage = {
  id: 'w1',
  ts: 1_795_222_800_000,
  sampleRateHz: 25_600,
  unit: 'g',
  encoding: 'i16le',
  scale: 0.002,
  rpm: 1780,
  samples: Uint8Array.of(1, 0, 255, 255),
};

const mqttUplink = (url: string, device: MqttDevice = { id: 'd1', secret: 's1', machines: ['pump-1'] }): MqttUplink =>
  closing(new MqttUplink({ url, tenant: 'demo', site: 'akron', device }));

describe('the MQTT uplink', () => {
  it('publishes telemetry and waveforms where wire.md says, and resolves on the PUBACK', async () => {
    const broker = closing(await startBroker({ acknowledgeAfterMs: 20 }));
    const uplink = mqttUplink(broker.url);
    await uplink.send(telemetryBatch('a'));
    await uplink.send(telemetryBatch('b', 'c'));
    await uplink.send({ machine: 'pump-1', kind: 'waveform', sensor: 'de-x', message: waveform });
    const data = broker.published.filter(({ topic }) => !topic.endsWith('/status'));
    expect(data.map(({ topic }) => topic)).toEqual([
      'tribo/v1/demo/akron/pump-1/telemetry',
      'tribo/v1/demo/akron/pump-1/telemetry',
      'tribo/v1/demo/akron/pump-1/waveform/de-x',
    ]);
    expect(JSON.parse(data[0]!.payload)).toEqual(telemetry('a'));
    expect(JSON.parse(data[1]!.payload)).toEqual([telemetry('b'), telemetry('c')]);
    expect(JSON.parse(data[2]!.payload)).toEqual({ ...waveform, samples: 'AQD//w==' });
  });

  it('speaks below its own name at a broker of the site, and says there that it is online', async () => {
    const broker = closing(await startBroker());
    const device = { id: 'd1', machines: ['pump-1', 'fan-1'] };
    const options = { url: broker.url, tenant: 'demo', site: 'akron', device, topicRoot: 'device' };
    const uplink = closing(new MqttUplink(options));
    await uplink.send(telemetryBatch('a'));
    expect(broker.published.map(({ topic, retain }) => [topic, retain])).toEqual([
      ['device/d1/status', true],
      ['device/d1/tribo/v1/demo/akron/pump-1/telemetry', false],
    ]);
  });

  it('speaks as the binding of a service says, which it tells no status, and signs in anew each time', async () => {
    const broker = closing(await startBroker());
    let logins = 0;
    const binding: MqttBinding = {
      login: () => ({ username: 'hub/d1', password: `token ${++logins}` }),
      topic: ({ machine, kind }) => `devices/d1/${kind}/${machine}`,
    };
    const device = { id: 'd1', secret: 'key', machines: ['pump-1'] };
    const uplink = closing(new MqttUplink({ url: broker.url, tenant: 'demo', site: 'akron', device, binding }));
    await uplink.send(telemetryBatch('a'));
    broker.cut();
    await until(async () =>
      uplink.send(telemetryBatch('b')).then(
        () => true,
        () => false,
      ),
    );
    expect(broker.published.map(({ topic }) => topic)).toEqual(Array(2).fill('devices/d1/telemetry/pump-1'));
    expect(logins).toBeGreaterThanOrEqual(2);
  });

  it('says which file it cannot read of its certificate', async () => {
    const device = { id: 'd1', machines: ['pump-1'], certificateFile: '/nowhere/d1.pem', keyFile: '/nowhere/d1.key' };
    await expect(mqttUplink('mqtts://127.0.0.1:1', device).send(telemetryBatch('a'))).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('the certificate of d1 cannot be read from /nowhere/d1.pem (ENOENT)'),
    });
  });

  it('says online when it connects, offline when it closes, and has the broker say offline when it dies', async () => {
    const broker = closing(await startBroker());
    const device = { id: 'gateway', machines: ['pump-1', 'fan-1'] };
    const status = (): string[] =>
      broker.published
        .filter(({ topic, retain }) => topic.endsWith('/status') && retain)
        .map(({ topic, payload }) => `${topic.split('/')[4] ?? ''} ${payload}`);
    const uplink = mqttUplink(broker.url, device);
    await uplink.send(telemetryBatch('a'));
    expect(status()).toEqual(['pump-1 {"online":true}', 'fan-1 {"online":true}']);
    await uplink.close();
    expect(status().slice(2)).toEqual(['pump-1 {"online":false}', 'fan-1 {"online":false}']);
    await mqttUplink(broker.url, device).send(telemetryBatch('b'));
    broker.cut();
    await until(() => status().length === 7);
    expect(status().at(-1)).toBe('pump-1 {"online":false}');
  });

  it('keeps the order of sends that do not wait for one another', async () => {
    const broker = closing(await startBroker());
    const uplink = mqttUplink(broker.url);
    const ids = Array.from({ length: 200 }, (_, i) => `m${i}`);
    await Promise.all(ids.map((id) => uplink.send(telemetryBatch(id))));
    expect(broker.ids()).toEqual(ids);
  });

  it('fails with permission_denied and the remedy when the credentials are wrong', async () => {
    const broker = closing(await startBroker({ secrets: { d1: 'other' } }));
    const sent = mqttUplink(broker.url).send(telemetryBatch('a'));
    await expect(sent).rejects.toMatchObject({ code: 'permission_denied' });
    await expect(sent).rejects.toThrow('tribo device add');
  });

  it('fails with unavailable when nobody listens, and connects on a later attempt', async () => {
    const first = await startBroker();
    await first.stop();
    const uplink = mqttUplink(first.url);
    await expect(uplink.send(telemetryBatch('a'))).rejects.toMatchObject({ code: 'unavailable' });
    const broker = closing(await startBroker({ port: first.port }));
    await uplink.send(telemetryBatch('b'));
    expect(broker.ids()).toEqual(['b']);
  });

  it('rejects what was under way when the connection is cut, and does not resend it by itself', async () => {
    const broker = closing(await startBroker({ acknowledgeAfterMs: 300 }));
    const uplink = mqttUplink(broker.url);
    await uplink.send(telemetryBatch('a'));
    const underWay = uplink.send(telemetryBatch('b'));
    setTimeout(broker.cut, 50);
    await expect(underWay).rejects.toMatchObject({ code: 'unavailable' });
    await uplink.send(telemetryBatch('c'));
    expect(broker.ids().filter((id) => id === 'b').length).toBeLessThanOrEqual(1);
  });

  it.each<{ when: string; abortsAfterMs: number; timeoutMs: number; code: string }>([
    { when: 'the caller aborts', abortsAfterMs: 500, timeoutMs: 60_000, code: 'cancelled' },
    { when: 'the broker never acknowledges', abortsAfterMs: 60_000, timeoutMs: 100, code: 'deadline_exceeded' },
  ])('fails with $code when $when', async ({ abortsAfterMs, timeoutMs, code }) => {
    const broker = closing(await startBroker({ acknowledgeAfterMs: 60_000 }));
    const device = { id: 'd1', machines: [] };
    const options = { url: broker.url, tenant: 'demo', site: 'akron', device, acknowledgeTimeoutMs: timeoutMs };
    const uplink = closing(new MqttUplink(options));
    const signal = AbortSignal.timeout(abortsAfterMs);
    await expect(uplink.send(telemetryBatch('a'), { signal })).rejects.toMatchObject({ code });
  });

  it('closes at once while a broker that never answers is being connected to', async () => {
    const mute = createServer((socket) => void socket.resume());
    await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve));
    cleanups.push(() => new Promise((resolve) => mute.close(() => resolve())));
    const device = { id: 'd1', machines: [] };
    const url = `mqtt://127.0.0.1:${(mute.address() as AddressInfo).port}`;
    const uplink = new MqttUplink({ url, tenant: 'demo', site: 'akron', device });
    const sent = uplink.send(telemetryBatch('a'));
    setTimeout(() => void uplink.close(), 50);
    await expect(sent).rejects.toMatchObject({ code: 'cancelled' });
  });

  it('refuses a payload above 128 KiB before it is sent', async () => {
    const broker = closing(await startBroker());
    const message = { ...waveform, samples: new Uint8Array(100_000) };
    await expect(
      mqttUplink(broker.url).send({ machine: 'pump-1', kind: 'waveform', sensor: 'de-x', message }),
    ).rejects.toMatchObject({ code: 'invalid_argument' });
    expect(broker.published).toEqual([]);
  });
});

describe('the HTTP uplink', () => {
  it('posts telemetry and raw waveforms where wire.md says, with its bearer token', async () => {
    const gateway = closing(await startGateway());
    const uplink = closing(new HttpUplink({ url: gateway.url, site: 'akron', token: () => Promise.resolve('t0ken') }));
    await uplink.send(telemetryBatch('a', 'b'));
    await uplink.send({ machine: 'pump-1', kind: 'waveform', sensor: 'de-x', message: waveform });
    const [first, second] = gateway.requests;
    expect(first).toMatchObject({ path: '/v1/telemetry', authorization: 'Bearer t0ken' });
    expect(JSON.parse(first!.body.toString())).toEqual({
      site: 'akron',
      machine: 'pump-1',
      messages: [telemetry('a'), telemetry('b')],
    });
    expect(Object.fromEntries(new URL(second!.path, gateway.url).searchParams)).toEqual({
      site: 'akron',
      machine: 'pump-1',
      sensor: 'de-x',
      id: 'w1',
      ts: '1795222800000',
      sampleRateHz: '25600',
      unit: 'g',
      encoding: 'i16le',
      scale: '0.002',
      rpm: '1780',
    });
    expect([...second!.body]).toEqual([1, 0, 255, 255]);
  });

  it('marks imported data as such', async () => {
    const gateway = closing(await startGateway());
    const uplink = closing(new HttpUplink({ url: gateway.url, site: 'akron', imported: true }));
    await uplink.send(telemetryBatch('a'));
    await uplink.send({ machine: 'pump-1', kind: 'waveform', sensor: 'de-x', message: waveform });
    expect(gateway.requests.map(({ path }) => new URL(path, gateway.url).searchParams.get('import'))).toEqual([
      'true',
      'true',
    ]);
  });

  it('tells what became of the items', async () => {
    const gateway = closing(
      await startGateway((_request, response) => {
        response
          .writeHead(202)
          .end('{"accepted":1,"duplicate":2,"rejected":[{"code":"not_finite"}],"rejectedItems":3}');
      }),
    );
    const uplink = closing(new HttpUplink({ url: gateway.url, site: 'akron' }));
    expect(await uplink.send(telemetryBatch('a'))).toEqual({
      duplicateItems: 2,
      rejectedItems: 3,
      rejection: '{"code":"not_finite"}',
    });
  });

  it.each([
    { status: 400, code: 'invalid_argument' },
    { status: 401, code: 'permission_denied' },
    { status: 403, code: 'permission_denied' },
    { status: 404, code: 'failed_precondition' },
    { status: 413, code: 'invalid_argument' },
    { status: 422, code: 'invalid_argument' },
    { status: 429, code: 'resource_exhausted' },
    { status: 500, code: 'unavailable' },
    { status: 503, code: 'unavailable' },
  ])('fails with $code on $status, with the detail and remedy of the problem document', async ({ status, code }) => {
    const problem = { title: 'No', detail: 'the why', remedy: 'the way out' };
    const gateway = closing(
      await startGateway((_request, response) => {
        response.writeHead(status, { 'content-type': 'application/problem+json' }).end(JSON.stringify(problem));
      }),
    );
    const uplink = closing(new HttpUplink({ url: gateway.url, site: 'akron' }));
    await expect(uplink.send(telemetryBatch('a'))).rejects.toMatchObject({
      code,
      message: `/v1/telemetry answered ${status} for pump-1: No - the why - the way out`,
    });
  });

  it('passes on how long the platform asks to wait', async () => {
    const gateway = closing(
      await startGateway((_request, response) => void response.writeHead(429, { 'retry-after': '3' }).end()),
    );
    const uplink = closing(new HttpUplink({ url: gateway.url, site: 'akron' }));
    const error: unknown = await uplink.send(telemetryBatch('a')).catch((reason: unknown) => reason);
    expect(retryAfterMs(error)).toBe(3000);
  });

  it.each([
    { header: null, waitMs: 0 },
    { header: '7', waitMs: 7000 },
    { header: '999999', waitMs: 3_600_000 },
    { header: 'Sat, 21 Nov 2026 01:00:10 GMT', waitMs: 10_000 },
    { header: 'Sat, 21 Nov 2026 00:00:00 GMT', waitMs: 0 },
    { header: 'soon', waitMs: 0 },
  ])('reads Retry-After $header as $waitMs ms', ({ header, waitMs }) => {
    expect(parseRetryAfterMs(header, Date.parse('2026-11-21T01:00:00Z'))).toBe(waitMs);
  });

  it('fails with unavailable when nobody listens, and with deadline_exceeded when nobody answers', async () => {
    const gone = await startGateway();
    await gone.stop();
    const unanswered = closing(await startGateway(() => undefined));
    await expect(
      closing(new HttpUplink({ url: gone.url, site: 'akron' })).send(telemetryBatch('a')),
    ).rejects.toMatchObject({ code: 'unavailable' });
    await expect(
      closing(new HttpUplink({ url: unanswered.url, site: 'akron', timeoutMs: 50 })).send(telemetryBatch('a')),
    ).rejects.toMatchObject({ code: 'deadline_exceeded' });
  });
});

describe('batches', () => {
  it('hold every message once, in the order of its machine, within the limits', () => {
    const message = fc.record({ machine: fc.constantFrom('a', 'b'), wave: fc.boolean(), size: fc.nat(40) });
    fc.assert(
      fc.property(fc.array(message, { maxLength: 60 }), fc.integer({ min: 1, max: 8 }), (plan, maxMessages) => {
        const limits = { maxMessages, maxBytes: 400 };
        const messages = plan.map<MachineMessage>(({ machine, wave, size }, i) =>
          wave
            ? { machine, kind: 'waveform', sensor: 's', message: { ...waveform, id: `m${i}` } }
            : { machine, kind: 'telemetry', message: telemetry(`m${i}`, { ['x'.repeat(size)]: 1 }) },
        );
        const batches = batchInOrder(messages, limits);
        expect(batches.flatMap(batchIds)).toEqual(messages.map(({ message: { id } }) => id));
        for (const batch of batches) {
          if (batch.kind === 'waveform') continue;
          expect(batch.messages.length).toBeLessThanOrEqual(maxMessages);
          const bytes = batch.messages.reduce((sum, { json }) => sum + json.length + 1, 1);
          expect(batch.messages.length === 1 || bytes <= limits.maxBytes).toBe(true);
        }
      }),
    );
  });
});
