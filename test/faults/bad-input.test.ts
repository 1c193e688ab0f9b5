import { connect } from 'node:net';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import mqttPacket from 'mqtt-packet';
import type { LedgerView } from '#services/api-gateway/schemas/ledger.ts';
import { request, sendTelemetry, unreadiness } from '#test/support/edge-requests.ts';
import { MqttDevice } from '#test/support/mqtt-device.ts';
import { PlatformProcess, SITE, TENANT, until, type DeviceLogin } from '#test/support/platform-process.ts';

const TIMEOUT_MS = 240_000;
const MIB = 2 ** 20;
const MEMORY_LIMIT_BYTES = 2 ** 30;
const MACHINE = 'press-7';
const OTHER_MACHINE = 'fan-1';
const TOPIC = `tribo/v1/${TENANT}/${SITE}/${MACHINE}/telemetry`;
const WAVEFORM_TOPIC = `tribo/v1/${TENANT}/${SITE}/${MACHINE}/waveform/de`;

let platform: PlatformProcess;
let device: DeviceLogin;
let connection: MqttDevice;
/** What the ledger has to have gained by all that was sent. */
const expected = { stored: 0, duplicate: 0, rejected: 0 };
let ids = 0;

beforeAll(async () => {
  platform = await PlatformProcess.start({ env: { TRIBO_LOG_LEVEL: 'silent' } });
  const devices = await platform.addDevices([MACHINE, OTHER_MACHINE], 2);
  device = devices.find(({ topics }) => topics.includes(TOPIC))!;
  connection = await login();
}, TIMEOUT_MS);

afterAll(async () => {
  connection.client.end(true);
  await platform[Symbol.asyncDispose]();
});

/** A further connection of the device. */
function login(): Promise<MqttDevice> {
  const clientId = `${device.device}:${++ids}`;
  return MqttDevice.connect(platform.mqttPort, { clientId, username: device.device, password: device.secret });
}

interface Outcome {
  readonly stored?: number;
  readonly duplicate?: number;
  readonly rejected?: number;
}

interface BadMessage {
  readonly what: string;
  /** The message, or an array of them, as JSON text. */
  readonly json: () => string;
  readonly outcome: Outcome;
  /** Of each rejection, in order. */
  readonly codes: readonly string[];
}

const message = (more: object = {}) => ({ id: `bad-${++ids}`, ts: Date.now(), metrics: { good: 1 }, ...more });
const text = (metrics: string) => `{"id":"bad-${++ids}","ts":${Date.now()},"metrics":${metrics}}`;
const json = (make: () => unknown) => () => JSON.stringify(make());

/** What a reader of JSON takes, and the platform does not: the same by both ways in. */
const badMessages: readonly BadMessage[] = [
  {
    what: '1e400, with its good neighbour kept',
    json: () => text('{"bad":1e400,"worse":-1e400,"good":1}'),
    outcome: { stored: 1, rejected: 2 },
    codes: ['not_finite', 'not_finite'],
  },
  {
    what: 'NaN and Infinity as texts, with their good neighbour kept',
    json: () => text('{"bad":"NaN","worse":"Infinity","good":1}'),
    outcome: { stored: 1, rejected: 2 },
    codes: ['invalid_type', 'invalid_type'],
  },
  {
    what: 'wrong types of values, with their good neighbour kept',
    json: () => text('{"a":null,"b":[1],"c":true,"d":{"value":"2"},"good":1}'),
    outcome: { stored: 1, rejected: 4 },
    codes: ['invalid_type', 'invalid_type', 'invalid_type', 'invalid_type'],
  },
  {
    what: 'metrics that are a list',
    json: json(() => message({ metrics: [1, 2] })),
    outcome: { rejected: 1 },
    codes: ['missing_metrics'],
  },
  {
    what: 'a time that is an object',
    json: json(() => message({ ts: {} })),
    outcome: { rejected: 1 },
    codes: ['invalid_timestamp'],
  },
  {
    what: 'a time in 1970',
    json: json(() => message({ ts: 0 })),
    outcome: { rejected: 1 },
    codes: ['timestamp_too_old'],
  },
  {
    what: 'a time in 2099',
    json: json(() => message({ ts: '2099-01-01T00:00:00Z' })),
    outcome: { rejected: 1 },
    codes: ['timestamp_in_future'],
  },
  {
    what: 'the same id twice, stored once',
    json: json(() => {
      const twice = message();
      return [twice, twice];
    }),
    outcome: { stored: 1, duplicate: 1 },
    codes: [],
  },
  {
    what: 'path tricks as names of metrics, with their good neighbour kept',
    json: () => text('{"../../etc/passwd":1,"..":2,"a/b":3,"a\\u0000b":4,"good":1}'),
    outcome: { stored: 1, rejected: 4 },
    codes: ['invalid_metric_name', 'invalid_metric_name', 'invalid_metric_name', 'invalid_metric_name'],
  },
  {
    what: 'keys of prototypes, with their good neighbour kept',
    json: () => text('{"__proto__":{"value":1},"constructor":2,"prototype":3,"good":1}'),
    outcome: { stored: 1, rejected: 3 },
    codes: ['invalid_metric_name', 'invalid_metric_name', 'invalid_metric_name'],
  },
  {
    what: 'a message that is a number, beside a good one',
    json: json(() => [message(), 5]),
    outcome: { stored: 1, rejected: 1 },
    codes: ['invalid_type'],
  },
];

/** Bytes that no reader of JSON takes. */
const badBytes = [
  { what: 'malformed JSON', bytes: Buffer.from('{"ts":'), problem: 'malformed-json', code: 'malformed_json' },
  {
    what: 'a bare NaN',
    bytes: Buffer.from('{"ts":1,"metrics":{"a":NaN}}'),
    problem: 'malformed-json',
    code: 'malformed_json',
  },
  {
    what: 'illegal UTF-8',
    bytes: Buffer.concat([Buffer.from('{"ts":1,"metrics":{"'), Buffer.of(0xff, 0xc0), Buffer.from('":1}}')]),
    problem: 'malformed-json',
    code: 'invalid_utf8',
  },
  { what: 'deep nesting', bytes: Buffer.from('['.repeat(60_000)), problem: 'nesting-too-deep', code: 'malformed_json' },
  {
    what: 'deep nesting in a value',
    bytes: Buffer.from(`{"ts":${Date.now()},"metrics":${'{"a":'.repeat(10_000)}1${'}'.repeat(10_001)}`),
    problem: 'nesting-too-deep',
    code: 'invalid_type',
  },
] as const;

const zeros = (bytes: number) => Buffer.alloc(bytes).toString('base64');
const waveform = (more: object) => ({
  ...{ id: `bad-${++ids}`, ts: Date.now(), sampleRateHz: 4096, unit: 'g', encoding: 'i16le', scale: 0.002 },
  ...{ samples: zeros(8192), ...more },
});

const badWaveforms = [
  { what: 'an odd byte count', mqtt: { samples: zeros(8191) }, query: {}, bytes: 8191, code: 'truncated_samples' },
  {
    what: 'samples that end in the middle of one',
    mqtt: { encoding: 'f32le', samples: zeros(8190) },
    query: { encoding: 'f32le' },
    bytes: 8190,
    code: 'truncated_samples',
  },
  { what: 'samples that are no base64', mqtt: { samples: '@@@@' }, code: 'invalid_base64' },
  {
    what: 'a sample rate of zero',
    mqtt: { sampleRateHz: 0 },
    query: { sampleRateHz: '0' },
    bytes: 8192,
    code: 'invalid_sample_rate',
  },
] as const;

describe('bad input by MQTT', () => {
  it.each(badMessages)('$what: is acknowledged and accounted for', async ({ json: make, outcome, codes }) => {
    await expectOutcome(outcome, codes, () => connection.publishTo(TOPIC, make()));
  });

  it.each(badBytes)('$what: is acknowledged and rejected as one item', async ({ bytes, code }) => {
    await expectOutcome({ rejected: 1 }, [code], () => connection.publishTo(TOPIC, bytes));
  });

  it.each(badWaveforms)('a waveform with $what: is acknowledged and rejected', async ({ mqtt, code }) => {
    await expectOutcome({ rejected: 1 }, [code], () =>
      connection.publishTo(WAVEFORM_TOPIC, JSON.stringify(waveform(mqtt))),
    );
  });

  it.each([
    ['another machine’s topic', TOPIC.replace(MACHINE, OTHER_MACHINE)],
    ['an unknown machine', TOPIC.replace(MACHINE, 'nobody')],
    ['another tenant’s topic', TOPIC.replace(`/${TENANT}/`, '/rival/')],
    ['a path trick as machine', TOPIC.replace(MACHINE, '..')],
    ['a path trick in the topic', `tribo/v1/${TENANT}/${SITE}/../${SITE}/${MACHINE}/telemetry`],
    ['a reserved name as machine', TOPIC.replace(MACHINE, '__proto__')],
    ['a path trick as sensor', WAVEFORM_TOPIC.replace(/de$/, '..')],
  ])('%s: is refused, never acknowledged, and counted', async (_what, topic) => {
    await expectRefused(async () => {
      const stranger = await login();
      await expect(stranger.publishTo(topic, JSON.stringify(message()))).rejects.toThrow('closed');
    });
  });

  it('a topic in illegal UTF-8: is refused, never acknowledged, and counted', async () => {
    const packet = mqttPacket.generate({
      ...{ cmd: 'publish', topic: TOPIC, payload: '{}', qos: 1, messageId: 1, dup: false, retain: false },
    });
    packet[packet.indexOf('demo')] = 0xff;
    await expectRefused(() => untilClosed([packet]));
  });

  it('a message of 10 MB: is cut off without being read', async () => {
    const packet = mqttPacket.generate({
      ...{ cmd: 'publish', topic: TOPIC, payload: Buffer.alloc(10 * MIB, 0x20), qos: 1, messageId: 1, dup: false },
      retain: false,
    });
    await expectRefused(() => untilClosed([packet]));
  });

  it('a fixed header that announces 256 MB: is cut off at once', async () => {
    const before = platform.anonymousBytes();
    await expectRefused(() => untilClosed([Buffer.of(0x32, 0xff, 0xff, 0xff, 0x7f)]));
    expect(platform.anonymousBytes() - before).toBeLessThan(64 * MIB);
  });

  it.each([
    ['a wrong secret', () => ({ password: 'wrong' })],
    ['another device’s name', () => ({ username: 'device-9' })],
    ['no credentials', () => ({ username: '', password: '' })],
    ['a path trick as name', () => ({ username: '../device-0' })],
  ])('%s: does not connect, and is counted', async (_what, given) => {
    await expect(
      MqttDevice.connect(platform.mqttPort, {
        ...{ clientId: `${device.device}:${++ids}`, username: device.device, password: device.secret },
        ...given(),
      }),
    ).rejects.toThrow();
  });
});

describe('bad input by HTTP', () => {
  it.each(badMessages)('$what: is answered with what became of each item', async ({ json: make, outcome, codes }) => {
    await expectOutcome(outcome, codes, async () => {
      const made = make();
      const messages = made.startsWith('[') ? made : `[${made}]`;
      const answer = await postText(`{"site":"${SITE}","machine":"${MACHINE}","messages":${messages}}`);
      expect(answer.status).toBe(202);
      expect(answer.body).toMatchObject({
        ...{ accepted: outcome.stored ?? 0, duplicate: outcome.duplicate ?? 0, rejectedItems: outcome.rejected ?? 0 },
        rejected: codes.map((code) => ({ code })),
      });
    });
  });

  it.each(badBytes)('$what: is refused with a problem that says why', async ({ bytes, problem }) => {
    await expectOutcome({}, [], async () => {
      const answer = await postText(bytes);
      expect(answer).toMatchObject({ status: 400, problem: { type: `urn:tribo:problem:${problem}` } });
      expect(answer.problem?.remedy).toBeTruthy();
    });
  });

  it.each(badWaveforms.filter((each) => 'bytes' in each))(
    'a waveform with $what: is not taken, and the answer says why',
    async (bad) => {
      if (!('bytes' in bad)) throw new Error('this one has no body');
      const before = await settledItems();
      const query = new URLSearchParams({
        ...{
          site: SITE,
          machine: MACHINE,
          sensor: 'de',
          sampleRateHz: '4096',
          unit: 'g',
          encoding: 'i16le',
          scale: '0.002',
        },
        ...{ ts: String(Date.now()), ...bad.query },
      });
      const answer = await request(platform, `/v1/waveforms?${query.toString()}`, {
        ...{ method: 'POST', headers: { 'content-type': 'application/octet-stream' }, body: Buffer.alloc(bad.bytes) },
      });
      // What the query says is checked before anything is taken; the samples are judged like a device's, and accounted for.
      if (answer.status === 422) expect(answer.problem?.pointer).toBe('query:sampleRateHz');
      else {
        expect(answer).toMatchObject({ status: 202, body: { accepted: 0, rejected: [{ code: bad.code }] } });
        expected.rejected += 1;
      }
      expect((await settledItems()).stored).toBe(before.stored);
    },
  );

  it('an unknown machine: is acknowledged, rejected and quarantined', async () => {
    await expectOutcome({ rejected: 1 }, ['unknown_machine'], async () => {
      const answer = await sendTelemetry(platform, 'nobody', [message()]);
      expect(answer).toMatchObject({ status: 202, body: { accepted: 0, rejected: [{ code: 'unknown_machine' }] } });
    });
  });

  it.each([
    ['10 MB', 413, () => postText(Buffer.alloc(10 * MIB, 0x20))],
    ['a path trick as machine', 422, () => sendTelemetry(platform, '../../etc', [message()])],
    ['a reserved name as machine', 422, () => sendTelemetry(platform, '__proto__', [message()])],
    ['a path trick in the address', 422, () => request(platform, '/v1/machines/..%2f..%2fetc%2fpasswd')],
    ['a token that was forged', 401, () => withToken(forged())],
    ['a token without a signature', 401, () => withToken(unsigned())],
    ['a token that was never one', 401, () => withToken('e30.e30.e30')],
    ['no token', 401, () => withToken('')],
    ['another machine’s data by a device', 403, () => byDevice(OTHER_MACHINE)],
    ['another tenant’s plant', 422, () => putPlantOf('rival')],
  ] as const)('%s: is refused with %s', async (_what, status, send) => {
    await expectOutcome({}, [], async () => {
      const answer = await send();
      expect(answer.status).toBe(status);
      expect(answer.problem?.remedy).toBeTruthy();
    });
  });

  it('a token that has expired: is refused', async () => {
    const body = { name: 'brief', roles: ['ingest'], lifetimeDays: 1.2 / 86_400 };
    const { token } = await platform.api.request<{ token: string }>('POST', '/v1/tokens', body);
    await expectOutcome({}, [], () =>
      until('the token has expired', async () => (await withToken(token)).status === 401),
    );
  });
});

describe('after all of it', () => {
  it('the ledger is exact, memory is bounded, nothing was polluted, and the platform is well', async () => {
    const ledger = await platform.drainedLedger();
    const { stored, duplicate, rejected } = expected;
    expect(ledger).toMatchObject({ exact: true, pending: 0, deadLettered: 0, stored, duplicate, rejected });
    expect(ledger.accepted).toBe(stored + duplicate + rejected);
    expect(await unreadiness(platform)).toEqual({});
    expect(platform.anonymousBytes()).toBeLessThan(MEMORY_LIMIT_BYTES);
    await expectOutcome({ stored: 1 }, [], () => connection.publishTo(TOPIC, JSON.stringify(message())));
    expect(await platform.stop()).toMatchObject({ code: 0 });
    console.info(
      `after the barrage: ${ledger.accepted} items accepted, ${stored} stored, ${duplicate} duplicate, ${rejected} rejected, ${ledger.refused} messages refused`,
    );
  });
});

async function settledItems(): Promise<LedgerView> {
  return platform.drainedLedger();
}

/** Sends something, and sees exactly that in the ledger and among the rejections. */
async function expectOutcome(
  { stored = 0, duplicate = 0, rejected = 0 }: Outcome,
  codes: readonly string[],
  send: () => Promise<unknown>,
): Promise<void> {
  const before = await settledItems();
  await send();
  const after = await settledItems();
  expect({
    stored: after.stored - before.stored,
    duplicate: after.duplicate - before.duplicate,
    rejected: after.rejected - before.rejected,
  }).toEqual({ stored, duplicate, rejected });
  expect(after).toMatchObject({ exact: true, deadLettered: 0 });
  expected.stored += stored;
  expected.duplicate += duplicate;
  expected.rejected += rejected;
  if (codes.length === 0) return;
  const { items } = await platform.api.request<{ items: readonly { code: string; detail: string }[] }>(
    ...(['GET', `/v1/rejections?limit=${codes.length}`] as const),
  );
  expect(items.map(({ code }) => code).sort()).toEqual([...codes].sort());
  for (const { detail } of items) expect(detail).toBeTruthy();
}

async function expectRefused(send: () => Promise<unknown>): Promise<void> {
  const before = await settledItems();
  await send();
  await until('it is counted as refused', async () => (await platform.ledger()).refused > before.refused);
  expect((await settledItems()).accepted).toBe(before.accepted);
}

/** Connects as the device, writes the packets, and resolves when the broker has closed; rejects on a PUBACK. */
async function untilClosed(packets: readonly Buffer[]): Promise<void> {
  const socket = connect(platform.mqttPort, '127.0.0.1');
  socket.on('error', () => undefined);
  const closed = new Promise((resolve) => socket.once('close', resolve));
  const connack = once(socket, 'data');
  socket.write(
    mqttPacket.generate({
      ...{ cmd: 'connect', protocolId: 'MQTT', protocolVersion: 4, clean: true, keepalive: 60 },
      ...{ clientId: `${device.device}:${++ids}`, username: device.device, password: Buffer.from(device.secret) },
    }),
  );
  await connack;
  let answered = 0;
  socket.on('data', (data) => (answered += data.length));
  for (const packet of packets) socket.write(packet);
  await closed;
  expect(answered).toBe(0);
}

function postText(body: string | Buffer) {
  return request(platform, '/v1/telemetry', { method: 'POST', headers: { 'content-type': 'application/json' }, body });
}

function post(authorization: string, machine: string) {
  return request(platform, '/v1/telemetry', {
    method: 'POST',
    headers: { authorization, 'content-type': 'application/json' },
    body: JSON.stringify({ site: SITE, machine, messages: [message()] }),
  });
}

/** Sends nothing that would be stored: only who may send is asked. */
function withToken(token: string) {
  return request(platform, '/v1/ledger', { headers: { authorization: `Bearer ${token}` } });
}

function byDevice(machine: string) {
  return post(`Basic ${Buffer.from(`${device.device}:${device.secret}`).toString('base64')}`, machine);
}

function putPlantOf(tenant: string) {
  return request(platform, '/v1/plant', {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ tenant, site: SITE, machines: [{ id: 'theirs', class: 'fan' }] }),
  });
}

/** The platform's own token, with another tenant in it. */
function forged(): string {
  const [header, claims = '', signature] = platform.api.token.split('.');
  return [header, changed(claims), signature].join('.');
}

function unsigned(): string {
  const [, claims = ''] = platform.api.token.split('.');
  return [Buffer.from('{"alg":"none","typ":"JWT"}').toString('base64url'), changed(claims), ''].join('.');
}

function changed(claims: string): string {
  const given = JSON.parse(Buffer.from(claims, 'base64url').toString()) as object;
  return Buffer.from(JSON.stringify({ ...given, tenant: 'rival' })).toString('base64url');
}
