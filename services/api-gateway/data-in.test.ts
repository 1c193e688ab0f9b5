import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { until } from '#core/contracts/until.ts';
import { machineKey, type MachineId } from '#core/domain/ids.ts';
import { machineSchema } from '#core/domain/plant.ts';
import { PortError } from '#core/errors.ts';
import {
  GatewayPlatform,
  NORTH,
  SITE,
  SOUTH,
  type Answer,
  type RequestOptions,
} from '#test/support/gateway-platform.ts';
import type { IntakeReceiptView } from './schemas/telemetry.ts';
import type { LedgerView } from './schemas/ledger.ts';
import type { Spectra, WaveformFeaturesView, WaveformList } from './schemas/waveforms.ts';
import type { MachineDetail } from './schemas/machines.ts';

const JSON_TYPE = 'application/json';
const NDJSON = 'application/x-ndjson';
const OCTETS = 'application/octet-stream';

const PRESS = machineKey(NORTH, SITE, 'press-7' as MachineId);

let platform: GatewayPlatform;
let refuse: PortError | undefined;
let id = 0;

beforeAll(async () => {
  platform = await GatewayPlatform.start({ maxTelemetryBytes: 200_000, maxWaveformBytes: 300_000 }, (dependencies) => ({
    ...dependencies,
    intake: {
      accept: (message) => (refuse ? Promise.reject(refuse) : dependencies.intake.accept(message)),
      isReady: (kind) => dependencies.intake.isReady(kind),
      whenReady: (kind) => dependencies.intake.whenReady(kind),
    },
  }));
});
afterAll(async () => {
  await platform[Symbol.asyncDispose]();
});

const message = (metrics: Record<string, unknown>, more = {}) => ({
  id: `m-${++id}`,
  ts: Date.now(),
  metrics,
  ...more,
});
const envelope = (messages: readonly unknown[]) => ({ site: SITE, machine: 'press-7', messages });
const post = (options: RequestOptions, query = '') => platform.call('ingest', 'POST', `/v1/telemetry${query}`, options);
const receipt = (answer: Answer) => answer.json as IntakeReceiptView;
const raw = (type: string, bytes: string | Uint8Array) => ({ raw: { type, bytes } });
const ledger = async (tenant = NORTH) =>
  (await platform.call('viewer', 'GET', '/v1/ledger', {}, tenant)).json as LedgerView;

describe('POST /v1/telemetry', () => {
  it('answers 202 with what was accepted, and the values can be read', async () => {
    const answer = await platform.send([message({ velocity_rms: 2.31, temperature: 61.2 })]);
    expect(answer.status).toBe(202);
    expect(receipt(answer)).toEqual({ accepted: 2, duplicate: 0, rejected: [], rejectedItems: 0 });
    const { latest } = (await platform.call('viewer', 'GET', '/v1/machines/press-7')).json as {
      latest: { metric: string; value: number }[];
    };
    expect(latest).toEqual(expect.arrayContaining([expect.objectContaining({ metric: 'velocity_rms', value: 2.31 })]));
  });

  it('keeps a value in a unit that does not convert to a rule’s, and the machine says that the rule does not judge it', async () => {
    const rule = {
      ...{ kind: 'threshold', id: 'too-hot', text: 'Too hot', metric: 'temperature_mean' },
      ...{ direction: 'above', limit: 80, unit: 'Cel' },
    };
    expect((await platform.call('engineer', 'PUT', '/v1/rules/too-hot', { body: rule })).status).toBe(200);
    const unjudgedIn = async (unit: string) => {
      const answer = await platform.send([message({ temperature_mean: { value: 95, unit } })]);
      expect(receipt(answer)).toMatchObject({ accepted: 1, rejected: [] });
      return ((await platform.call('viewer', 'GET', '/v1/machines/press-7')).json as MachineDetail).unjudged;
    };
    expect(await unjudgedIn('C')).toEqual([
      { rule: 'too-hot', metric: 'temperature_mean', readingUnit: 'C', ruleUnit: 'Cel' },
    ]);
    expect(await unjudgedIn('Celsius')).toEqual([]);
  });

  it('keeps the good metrics of a partly bad message, and points at the bad one', async () => {
    const good = message({ rpm: 1480 });
    const answer = await post({ body: envelope([good, message({ velocity_rms: 'high', temperature: 60 })]) });
    expect(answer.status).toBe(202);
    expect(receipt(answer)).toMatchObject({
      accepted: 2,
      rejectedItems: 1,
      rejected: [{ pointer: '/messages/1/metrics/velocity_rms' }],
    });
  });

  it('splits a long request, and points at the right one of its messages', async () => {
    const messages = Array.from({ length: 2100 }, (_unused, index) =>
      index === 2050 ? { ts: 'yesterday', metrics: { a: 1 } } : { ts: Date.now() - index, metrics: { a: index } },
    );
    const answer = await post({ body: envelope(messages) });
    expect(receipt(answer)).toMatchObject({ accepted: 2099, rejected: [{ pointer: '/messages/2050/ts' }] });
  });

  it('stores the same message once, and says so', async () => {
    const body = envelope([message({ rpm: 1480, temperature: 60 })]);
    expect(receipt(await post({ body })).accepted).toBe(2);
    expect(receipt(await post({ body }))).toMatchObject({ accepted: 0, duplicate: 2 });
  });

  it('is idempotent by its message ids: an Idempotency-Key keeps no answer', async () => {
    const request = { body: envelope([message({ rpm: 1480 })]), headers: { 'idempotency-key': 'telemetry-1' } };
    expect(receipt(await post(request)).accepted).toBe(1);
    const again = await post(request);
    expect(again.headers.get('idempotency-replayed')).toBeNull();
    expect(receipt(again)).toMatchObject({ accepted: 0, duplicate: 1 });
  });

  it.each([
    ['a time in 1970', { ts: 0 }],
    ['a time in 2099', { ts: '2099-01-01T00:00:00Z' }],
    ['no time', { ts: undefined }],
    ['a time that is none', { ts: 'soon' }],
  ])('rejects a message with %s', async (_what, more) => {
    const answer = await post({ body: envelope([message({ rpm: 1 }, more)]) });
    expect(answer.status).toBe(202);
    expect(receipt(answer)).toMatchObject({ accepted: 0, rejected: [{ pointer: '/messages/0/ts' }] });
  });

  it('takes old data as an import', async () => {
    const old = message({ rpm: 1480 }, { ts: Date.now() - 30 * 86_400_000 });
    expect(receipt(await post({ body: envelope([old]) })).accepted).toBe(0);
    expect(receipt(await post({ body: envelope([{ ...old, id: 'import-1' }]) }, '?import=true')).accepted).toBe(1);
  });

  it.each(['1e400', '-1e400', 'null', '"NaN"', '[]', '{}', 'true'])(
    'rejects the value %s and keeps its neighbour',
    async (value) => {
      const text = `{"site":"akron","machine":"press-7","messages":[{"id":"v-${++id}","ts":${Date.now()},"metrics":{"bad":${value},"good":1}}]}`;
      expect(receipt(await post(raw(JSON_TYPE, text)))).toMatchObject({
        accepted: 1,
        rejected: [{ pointer: '/messages/0/metrics/bad' }],
      });
    },
  );

  it('takes prototype pollution keys for names that nobody may use', async () => {
    const text = `{"site":"akron","machine":"press-7","messages":[{"id":"p-1","ts":${Date.now()},"metrics":{"__proto__":{"value":1},"constructor":2,"good":1}}]}`;
    const answer = await post(raw(JSON_TYPE, text));
    expect(receipt(answer)).toMatchObject({ accepted: 1, rejectedItems: 2 });
    expect(({} as Record<string, unknown>)['value']).toBeUndefined();
  });

  it.each([
    ['malformed JSON', raw(JSON_TYPE, '{"site":'), 400, 'malformed-json', undefined],
    [
      'bare NaN',
      raw(JSON_TYPE, '{"site":"akron","machine":"press-7","messages":[NaN]}'),
      400,
      'malformed-json',
      undefined,
    ],
    ['illegal UTF-8', raw(JSON_TYPE, new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x7d])), 400, 'malformed-json', undefined],
    ['deep nesting', raw(JSON_TYPE, '['.repeat(50_000)), 400, 'nesting-too-deep', undefined],
    [
      'deep nesting in objects',
      raw(JSON_TYPE, '{"a":'.repeat(100) + '1' + '}'.repeat(100)),
      400,
      'nesting-too-deep',
      undefined,
    ],
    ['no machine', { body: { site: 'akron', messages: [{}] } }, 422, 'invalid-request', '/machine'],
    [
      'a path trick as machine',
      { body: { ...envelope([{}]), machine: '../../etc' } },
      422,
      'invalid-request',
      '/machine',
    ],
    [
      'a reserved name as machine',
      { body: { ...envelope([{}]), machine: '__proto__' } },
      422,
      'invalid-request',
      '/machine',
    ],
    ['a field that is not there', { body: { ...envelope([{}]), machines: [] } }, 422, 'invalid-request', '/machines'],
    ['no messages', { body: envelope([]) }, 422, 'invalid-request', '/messages'],
    ['an array', { body: [] }, 422, 'invalid-request', ''],
    ['another content type', raw('text/plain', '{}'), 415, 'unsupported-media-type', 'header:content-type'],
    [
      'a compressed body',
      { ...raw(JSON_TYPE, '{}'), headers: { 'content-encoding': 'gzip' } },
      415,
      'unsupported-media-type',
      'header:content-encoding',
    ],
    ['10 MB', raw(JSON_TYPE, `"${'x'.repeat(10_000_000)}"`), 413, 'body-too-large', undefined],
    ['a misspelt parameter', { body: envelope([{}]), query: '?imprt=true' }, 422, 'invalid-request', 'query:imprt'],
  ] as const)('refuses %s', async (_what, request, status, type, pointer) => {
    const before = await ledger();
    const answer = await post(request, 'query' in request ? request.query : '');
    expect(answer.status).toBe(status);
    expect(answer.json).toMatchObject({ type: `urn:tribo:problem:${type}`, ...(pointer !== undefined && { pointer }) });
    expect((await ledger()).accepted).toBe(before.accepted);
  });

  it('quarantines an unknown machine, whose items are in the ledger as rejected', async () => {
    const answer = await platform.send([message({ rpm: 1 })], NORTH, 'stray-1');
    expect(receipt(answer)).toMatchObject({ accepted: 0, rejected: [{ code: 'unknown_machine' }] });
    const { items } = (await platform.call('viewer', 'GET', '/v1/quarantine')).json as { items: { machine: string }[] };
    expect(items.map(({ machine }) => machine)).toContain('stray-1');
    expect((await platform.call('viewer', 'GET', '/v1/quarantine', {}, SOUTH)).json).toEqual({ items: [] });
  });

  it.each([
    ['resource_exhausted', 429, 'overloaded'],
    ['unavailable', 503, 'unavailable'],
  ] as const)(
    'answers %s of the intake with %d and Retry-After, and counts it as refused',
    async (code, status, type) => {
      const before = await ledger();
      refuse = new PortError(code, 'intake takes no more for now');
      const answer = await post({ body: envelope([message({ rpm: 1 })]) });
      refuse = undefined;
      expect(answer.status).toBe(status);
      expect(answer.json).toMatchObject({ type: `urn:tribo:problem:${type}` });
      expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
      const after = await ledger();
      expect([after.accepted, after.refused]).toEqual([before.accepted, before.refused + 1]);
    },
  );

  it('keeps what a connection sends after a refused body apart from it', async () => {
    await post(raw(JSON_TYPE, 'x'.repeat(5_000_000)));
    expect((await post({ body: envelope([message({ rpm: 1 })]) })).status).toBe(202);
  });
});

describe('POST /v1/telemetry as NDJSON', () => {
  const line = (value: unknown) => JSON.stringify(value);

  it('takes lines for several machines, in the line or by the query', async () => {
    const lines = [
      line(message({ a: 1 })),
      line({ site: SITE, machine: 'press-7', ...message({ a: 2 }) }),
      '',
      line(message({ a: 3 })),
    ];
    const answer = await post(raw(NDJSON, lines.join('\n')), '?site=akron&machine=press-7');
    expect(answer.status).toBe(202);
    expect(receipt(answer).accepted).toBe(3);
  });

  it('rejects a line that is no JSON by its number, and keeps the others', async () => {
    const lines = [line(message({ a: 1 })), '{"ts":', line(message({ a: 'x', b: 2 }))];
    const answer = await post(raw(NDJSON, lines.join('\r\n')), '?site=akron&machine=press-7');
    expect(receipt(answer)).toMatchObject({
      accepted: 2,
      rejected: [{ code: 'malformed_json', pointer: '/1' }, { pointer: '/2/metrics/a' }],
    });
  });

  it.each([
    ['a line without a machine', '{"ts":1}', ''],
    ['a line with a bad machine', '{"site":"akron","machine":"../x"}', ''],
    ['no lines', '\n\n', '?site=akron&machine=press-7'],
  ])('refuses %s before anything is accepted', async (_what, text, query) => {
    const good = line({ site: SITE, machine: 'press-7', ...message({ a: 1 }) });
    const before = await ledger();
    const answer = await post(raw(NDJSON, query === '' ? `${good}\n${text}` : text), query);
    expect(answer.status).toBe(422);
    expect((await ledger()).accepted).toBe(before.accepted);
  });

  it('refuses more lines than its bound', async () => {
    const answer = await post(raw(NDJSON, '1\n'.repeat(10_001)), '?site=akron&machine=press-7');
    expect(answer.status).toBe(413);
  });
});

describe('many large bodies at once', () => {
  const describeWaveform = (id: number) =>
    `/v1/waveforms?${new URLSearchParams({ site: SITE, machine: 'press-7', sensor: 'acc', sampleRateHz: '2560', unit: 'g', encoding: 'f32le', ts: String(Date.now()), id: `many-${id}` }).toString()}`;
  const samples = new Uint8Array(Float32Array.from({ length: 50_000 }, Math.sin).buffer);
  const inChunks = () => new Blob([samples]).stream();

  it.each([
    ['of an announced length', () => raw(OCTETS, samples)],
    ['in chunks', () => ({ raw: { type: OCTETS, bytes: inChunks() as never } })],
  ])(
    'are taken %s as far as their tenant’s share goes, the rest is refused and counted, and others are not',
    async (_what, body) => {
      const open = Promise.withResolvers<undefined>();
      await using own = await GatewayPlatform.start({ maxBodyBytesHeld: 1_000_000 }, (dependencies) => ({
        ...dependencies,
        intake: {
          accept: async (message) => {
            await open.promise;
            return dependencies.intake.accept(message);
          },
          isReady: (kind) => dependencies.intake.isReady(kind),
          whenReady: (kind) => dependencies.intake.whenReady(kind),
        },
      }));
      const refused: Answer[] = [];
      const send = async (index: number, tenant = NORTH) => {
        const answer = await own.call('ingest', 'POST', describeWaveform(index), body(), tenant);
        if (answer.status === 429) refused.push(answer);
        return answer;
      };
      const sent = Array.from({ length: 12 }, (_unused, index) => send(index));
      // 200,000 bytes each: two of them fit into half of the budget.
      await until(() => refused.length >= 10);
      const south = send(100, SOUTH);
      open.resolve(undefined);
      const statuses = (await Promise.all(sent)).map(({ status }) => status);
      expect([statuses.filter((status) => status === 202).length, refused.length]).toEqual([2, 10]);
      expect((await south).status).toBe(202);
      expect(refused[0]?.json).toMatchObject({ type: 'urn:tribo:problem:overloaded' });
      expect(refused[0]?.headers.get('retry-after')).toBe('1');
      expect((await own.call('viewer', 'GET', '/v1/ledger')).json).toMatchObject({ refused: 10 });
      for (let again = 0; again < 3; again++) expect((await send(again)).status).toBe(202);
    },
  );
});

describe('a device’s own credentials', () => {
  const basic = (device: string, secret: string) => ({
    authorization: `Basic ${Buffer.from(`${device}:${secret}`).toString('base64')}`,
  });

  it('let it send for its machines and no others, and do nothing else', async () => {
    const added = await platform.call('engineer', 'POST', '/v1/devices', {
      body: { id: 'gateway-1', machines: [{ site: SITE, machine: 'press-7' }] },
    });
    expect(added.status).toBe(201);
    const { secret, topics } = added.json as { secret: string; topics: string[] };
    expect(topics).toEqual(['tribo/v1/north/akron/press-7/telemetry']);
    const headers = basic('gateway-1', secret);
    const send = (machine: string) =>
      platform.call('nobody', 'POST', '/v1/telemetry', {
        headers,
        body: { ...envelope([message({ a: 1 })]), machine },
      });
    expect((await send('press-7')).status).toBe(202);
    const [unknown, foreign] = [await send('stray-2'), await send('press-8')];
    expect([unknown.status, foreign.status]).toEqual([403, 403]);
    expect((await platform.call('nobody', 'GET', '/v1/machines', { headers })).status).toBe(401);

    expect((await platform.call('engineer', 'POST', '/v1/devices/gateway-1/disable')).status).toBe(200);
    expect((await send('press-7')).status).toBe(401);
    expect((await platform.call('engineer', 'POST', '/v1/devices/gateway-1/enable')).status).toBe(200);
    expect((await send('press-7')).status).toBe(202);

    const renewed = await platform.call('engineer', 'POST', '/v1/devices/gateway-1/secret');
    expect([renewed.status, renewed.json]).toEqual([
      200,
      { ...(added.json as object), secret: expect.stringMatching(/^.{43}$/) },
    ]);
    const former = await send('press-7');
    expect([former.status, former.json]).toEqual([
      401,
      expect.objectContaining({ remedy: expect.stringContaining('npx tribo device secret') }),
    ]);
    Object.assign(headers, basic('gateway-1', (renewed.json as { secret: string }).secret));
    expect((await send('press-7')).status).toBe(202);
  });

  it.each([
    ['a wrong secret', basic('gateway-1', 'wrong')],
    ['an unknown device', basic('nobody', 'wrong')],
    ['no secret', { authorization: `Basic ${Buffer.from('gateway-1').toString('base64')}` }],
    ['nonsense', { authorization: 'Basic ???' }],
    ['another scheme', { authorization: 'Digest a=b' }],
  ])('are refused with %s', async (_what, headers) => {
    expect((await platform.call('nobody', 'POST', '/v1/telemetry', { headers, body: envelope([{}]) })).status).toBe(
      401,
    );
  });
});

describe('POST /v1/waveforms', () => {
  const describe = (more: Record<string, string> = {}) =>
    `?${new URLSearchParams({ site: SITE, machine: 'press-7', sensor: 'acc', sampleRateHz: '2560', unit: 'g', encoding: 'f32le', ts: String(Date.now()), ...more }).toString()}`;
  const tone = Float32Array.from({ length: 2560 }, (_unused, i) => Math.sin((2 * Math.PI * 100 * i) / 2560));
  const bytes = new Uint8Array(tone.buffer);
  const send = (query: string, payload: Uint8Array = bytes) =>
    platform.call('ingest', 'POST', `/v1/waveforms${query}`, raw(OCTETS, payload));

  it('stores samples that come back as they were sent, with a spectrum that shows the tone', async () => {
    const answer = await send(describe({ rpm: '1480', id: 'w-1' }));
    expect(answer.status).toBe(202);
    expect(receipt(answer).accepted).toBe(1);
    await platform.settled();
    const list = (await platform.call('viewer', 'GET', '/v1/machines/press-7/waveforms')).json as {
      items: { id: string; rpm: number }[];
    };
    expect(list.items).toEqual([
      expect.objectContaining({ sensor: 'acc', sampleCount: 2560, durationMs: 1000, rpm: 1480 }),
    ]);
    const path = `/v1/waveforms/${list.items[0]!.id}`;
    const response = await fetch(`${platform.gateway.url}${path}`, {
      headers: { authorization: `Bearer ${await platform.token('viewer')}`, accept: OCTETS },
    });
    expect(new Uint8Array(await response.arrayBuffer())).toEqual(bytes);
    const withSamples = (await platform.call('viewer', 'GET', `${path}?maxSamples=3`)).json as { samples: number[] };
    expect(withSamples.samples).toHaveLength(3);

    const { spectra } = (await platform.call('viewer', 'GET', `${path}/spectrum?kind=amplitude&maxLines=128`)).json as {
      spectra: { amplitudes: number[]; frequencyStepHz: number; mergedLines: number; provenance: object }[];
    };
    const [spectrum] = spectra;
    const peak = spectrum!.amplitudes.indexOf(Math.max(...spectrum!.amplitudes));
    expect(spectrum!.mergedLines).toBe(11);
    expect(Math.floor(100 / spectrum!.frequencyStepHz)).toBe(peak);
    expect(spectrum!.amplitudes[peak]).toBeCloseTo(1, 2);
    expect(spectrum!.provenance).toMatchObject({ rpm: 1480 });
    const both = (await platform.call('viewer', 'GET', `${path}/spectrum`)).json as { spectra: { kind: string }[] };
    expect(both.spectra.map(({ kind }) => kind)).toEqual(['amplitude', 'envelope']);
    expect((await platform.call('viewer', 'GET', path, {}, SOUTH)).status).toBe(404);
    expect((await platform.call('viewer', 'GET', `${path}/spectrum`, {}, SOUTH)).status).toBe(404);
  });

  it('have a spectrum at the speed that their features were computed with, which says who told it and why marks are missing', async () => {
    const bearing = { id: 'de', elements: 9, elementDiameterMm: 8, pitchDiameterMm: 39, contactAngleDeg: 0 };
    const described = machineSchema.parse({ id: 'pump-s', class: 'pump', nominalRpm: 1500, bearings: [bearing] });
    const impossible = { ...bearing, id: 'nde', contactAngleDeg: 90 };
    // As it may have been kept before there were limits.
    const old = { ...described, bearings: [...described.bearings, impossible] };
    await platform.call('engineer', 'PUT', `/v1/machines/pump-s?site=${SITE}`, { body: described });
    const { key } = await platform.dependencies.machines.putMachine(NORTH, SITE, old);
    const ts = Date.now() - 50_000;
    await send(describe({ id: 'w-speed', machine: 'pump-s', ts: String(ts) }));
    await platform.settled();
    const query = `/v1/machines/pump-s/waveforms?from=${ts}&to=${ts + 1}`;
    const [waveform] = ((await platform.call('viewer', 'GET', query)).json as WaveformList).items;
    const spectrum = async () => {
      const path = `/v1/waveforms/${waveform!.id}/spectrum?kind=amplitude`;
      return ((await platform.call('viewer', 'GET', path)).json as Spectra).spectra[0]!;
    };
    const nominal = await spectrum();
    expect(nominal.provenance).toMatchObject({ rpm: 1500, rpmSource: 'machine' });
    expect(nominal.unmarked).toEqual([
      { kind: 'bearing', reason: expect.stringMatching(/^bearing nde is left out: contactAngleDeg must be/) },
    ]);

    const provenance = { rpm: 1200, rpmSource: 'reading', rpmReadAtMs: ts - 300 };
    const body = { waveformId: waveform!.id, isoZone: { verdict: 'none' }, rpmFrom: 'reading', provenance };
    const document = { kind: 'features', id: 'f-speed', revision: 1, ts, sensor: 'acc', values: {}, body } as const;
    const event = { eventId: 'f-speed', kind: 'features', key, items: 0, acceptedAtMs: ts } as const;
    const stamp = { source: 'test-speed', epoch: 1, seq: 1, cumulativeItems: 0, payload: new Uint8Array() };
    const outcomes = [{ type: 'document', event: { ...event, ...stamp }, document }] as const;
    await platform.store.settle({ stream: 'features', group: 'store', fence: 1, outcomes });
    const read = await spectrum();
    expect(read.provenance).toMatchObject(provenance);
    const shaftHz = read.marks.find(({ label }) => label === 'shaft 1x')?.frequencyHz;
    expect(shaftHz).toBe(20);
  });

  it('say their zone of ISO 20816-3, or why they have none', async () => {
    const ts = Date.now() - 60_000;
    await send(describe({ id: 'w-iso', ts: String(ts) }));
    await platform.settled();
    const query = `/v1/machines/press-7/waveforms?from=${ts}&to=${ts + 1}`;
    const [waveform] = ((await platform.call('viewer', 'GET', query)).json as WaveformList).items;
    const path = `/v1/waveforms/${waveform!.id}/features`;
    const features = async () => (await platform.call('viewer', 'GET', path)).json as WaveformFeaturesView;
    expect(await features()).toMatchObject({
      waveform: { sensor: 'acc' },
      isoZone: { verdict: 'none', codes: ['no_features'], reason: expect.stringContaining('not computed yet') },
      operatingState: 'unknown',
      values: {},
    });

    const none = { verdict: 'none', codes: ['unknown_support'], reason: 'whether the support is rigid is not known' };
    const [boundaries, bandHz] = [{ abMmPerS: 1.4, bcMmPerS: 2.8, cdMmPerS: 4.5 }, [10, 1000]];
    const zone = { verdict: 'B', velocityRmsMmPerS: 2, group: 2, support: 'rigid', boundaries, bandHz, basis: 'ISO' };
    for (const [revision, isoZone] of [none, zone].entries()) {
      const body = { waveformId: waveform!.id, isoZone, operatingState: 'running', provenance: { rpm: 1480 } };
      const values = { 'acc.velocity_rms_mm_s': 2 };
      const document = { kind: 'features', id: 'f-iso', revision, ts, sensor: 'acc', values, body } as const;
      const event = { eventId: `f-iso-${revision}`, kind: 'features', key: PRESS, items: 0, acceptedAtMs: ts } as const;
      const stamp = { source: 'test', epoch: 1, seq: revision + 1, cumulativeItems: 0, payload: new Uint8Array() };
      const outcomes = [{ type: 'document', event: { ...event, ...stamp }, document }] as const;
      await platform.store.settle({ stream: 'features', group: 'store', fence: 1, outcomes });
      expect(await features()).toMatchObject({ isoZone, values, operatingState: 'running', provenance: { rpm: 1480 } });
    }
    expect((await platform.call('viewer', 'GET', path, {}, SOUTH)).status).toBe(404);
  });

  it.each([
    ['an odd number of bytes', describe(), bytes.subarray(1)],
    ['no samples', describe(), new Uint8Array()],
    ['samples that are no numbers', describe(), new Uint8Array(new Float32Array([1, Number.NaN]).buffer)],
    ['i16le without a scale', describe({ encoding: 'i16le' }), bytes],
  ])('rejects %s', async (_what, query, payload) => {
    const answer = await send(query, payload);
    expect(answer.status).toBe(202);
    expect(receipt(answer)).toMatchObject({ accepted: 0, rejectedItems: 1 });
  });

  it.each([
    ['a sample rate of zero', { sampleRateHz: '0' }, 'query:sampleRateHz'],
    ['a sample rate that is no number', { sampleRateHz: 'fast' }, 'query:sampleRateHz'],
    ['an unknown encoding', { encoding: 'wav' }, 'query:encoding'],
    ['a path trick as sensor', { sensor: '../acc' }, 'query:sensor'],
  ])('refuses %s', async (_what, more, pointer) => {
    const answer = await send(describe(more));
    expect(answer.status).toBe(422);
    expect(answer.json).toMatchObject({ pointer });
  });

  it('refuses samples above its bound', async () => {
    expect((await send(describe(), new Uint8Array(300_001))).status).toBe(413);
  });
});
