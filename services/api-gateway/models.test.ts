import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { TenantId } from '#core/domain/ids.ts';
import { DEFAULT_INDICATOR_PARAMETERS } from '#core/inference/health-indicator.ts';
import { healthGraph } from '#core/inference/health-model.ts';
import { encodeOnnxModel } from '#core/inference/onnx-model.ts';
import { GatewayPlatform, NORTH, SOUTH } from '#test/support/gateway-platform.ts';
import type { ModelDetail, ModelVersionView } from './schemas/models.ts';

const MODEL_BYTES = 64 * 1024;
const FEATURES = ['rms_g', 'kurtosis'];

let platform: GatewayPlatform;
beforeAll(async () => {
  platform = await GatewayPlatform.start({ maxModelBytes: MODEL_BYTES });
});
afterAll(async () => {
  await platform[Symbol.asyncDispose]();
});

/** A model that runs, with another baseline for each `mean`. */
function artifact(mean: number): Uint8Array {
  return encodeOnnxModel(
    healthGraph({
      kind: 'log-level-baseline',
      version: 1,
      features: FEATURES,
      mean: [mean, mean],
      scale: [1, 1],
      trainedOn: 10,
      parameters: DEFAULT_INDICATOR_PARAMETERS,
    }),
  );
}

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

function draft(bytes: Uint8Array, more: object = {}) {
  return {
    artifact: Buffer.from(bytes).toString('base64'),
    sha256: sha256(bytes),
    inputs: FEATURES,
    parameters: { threshold: 3 },
    provenance: {
      trainedOn: 'last month',
      fromMs: 1,
      toMs: 2,
      samples: 10,
      software: 'notebook 3',
      metrics: { auc: 0.9 },
    },
    ...more,
  };
}

const path = (name: string, rest = '', query = '') => `/v1/models/${name}${rest}${query}`;
const get = (at: string, tenant: TenantId = NORTH) => platform.call('viewer', 'GET', at, {}, tenant);
const post = (at: string, body: unknown, headers = {}, tenant: TenantId = NORTH) =>
  platform.call('engineer', 'POST', at, { body, headers }, tenant);
const register = (name: string, mean: number, query = '') =>
  post(path(name, '/versions', query), draft(artifact(mean)));

describe('model versions', () => {
  it('are registered once they ran here, with who did it, and can be read back as they were sent', async () => {
    const answer = await register('outlier', 1);
    expect([answer.status, answer.json]).toEqual([
      201,
      expect.objectContaining({ version: 1, promoted: false, registeredBy: 'engineer-client', inputs: FEATURES }),
    ]);
    const response = await fetch(new URL(path('outlier', '/versions/1'), platform.gateway.url), {
      headers: { authorization: `Bearer ${await platform.token('viewer')}`, accept: 'application/octet-stream' },
    });
    expect(sha256(new Uint8Array(await response.arrayBuffer()))).toBe((answer.json as ModelVersionView).sha256);
    expect(response.headers.get('etag')).toBe(`"${(answer.json as ModelVersionView).sha256}"`);
    expect((await get(path('outlier', '/versions/1'))).json).toMatchObject({
      parameters: { threshold: 3 },
      provenance: { trainedOn: 'last month', metrics: { auc: 0.9 } },
    });
    expect((await get('/v1/models')).json).toMatchObject({ items: [{ name: 'outlier', latestVersion: 1 }] });
  });

  it('are the same where the same file is registered again, also under an Idempotency-Key', async () => {
    const body = draft(artifact(1));
    const once = await post(path('again', '/versions'), body, { 'idempotency-key': 'r-1' });
    const replayed = await post(path('again', '/versions'), body, { 'idempotency-key': 'r-1' });
    expect([replayed.status, replayed.headers.get('idempotency-replayed')]).toEqual([201, 'true']);
    expect((await post(path('again', '/versions'), body)).json).toEqual(once.json);
    expect((await register('again', 2)).json).toMatchObject({ version: 2 });
    const page = (await get(path('again', '/versions', '?limit=1'))).json as {
      items: ModelVersionView[];
      nextCursor: string;
    };
    expect(page.items.map(({ version }) => version)).toEqual([2]);
    expect((await get(path('again', '/versions', `?limit=1&cursor=${page.nextCursor}`))).json).toEqual({
      items: [once.json],
    });
  });

  it('belong to a machine or a sensor of it where that is said', async () => {
    const query = '?site=akron&machine=press-7&sensor=de';
    expect((await register('scoped', 1, query)).status).toBe(201);
    expect((await get(path('scoped', '', query))).json).toMatchObject({ machine: 'press-7', sensor: 'de' });
    expect((await get(path('scoped', '', '?machine=press-7'))).status).toBe(404);
    expect((await get(path('scoped'))).status).toBe(404);
    expect((await get(path('scoped', '', '?sensor=de'))).json).toMatchObject({ status: 422, pointer: 'query:machine' });
    expect((await register('scoped', 1, '?site=akron&machine=press-99')).status).toBe(404);
  });

  it.each([
    ['is no base64', () => draft(artifact(1), { artifact: '***' }), '/artifact', 422],
    ['is no ONNX file', () => draft(Buffer.from('hello')), '/artifact', 422],
    ['is cut short', () => draft(artifact(1).subarray(0, 100)), '/artifact', 422],
    ['is larger than allowed', () => draft(new Uint8Array(MODEL_BYTES + 1)), '/artifact', 413],
    ['came damaged', () => draft(artifact(1), { sha256: '0'.repeat(64) }), '/sha256', 422],
    ['takes more inputs than are named', () => draft(artifact(1), { inputs: ['rms_g'] }), '/inputs', 422],
    ['names an input twice', () => draft(artifact(1), { inputs: ['rms_g', 'rms_g'] }), '/inputs', 422],
    ['does not say what it was trained on', () => draft(artifact(1), { provenance: {} }), '/provenance/trainedOn', 422],
    ['has a field that is not there', () => draft(artifact(1), { threshold: 3 }), '/threshold', 422],
  ])('are refused when the model %s, which is pointed at; nothing is kept', async (_what, body, pointer, status) => {
    const answer = await post(path('refused', '/versions'), body());
    expect([answer.status, answer.json]).toEqual([
      status,
      expect.objectContaining({ pointer, detail: expect.any(String), remedy: expect.any(String) }),
    ]);
    expect((await get(path('refused', '/versions'))).status).toBe(404);
  });

  it('of the health model need the decision by which it alarms', async () => {
    const answer = await register('vibration-health', 1);
    expect(answer.json).toMatchObject({
      status: 422,
      pointer: '/parameters',
      detail: expect.stringContaining('decision'),
    });
    const parameters = { decision: DEFAULT_INDICATOR_PARAMETERS };
    expect((await post(path('vibration-health', '/versions'), draft(artifact(1), { parameters }))).status).toBe(201);
  });

  it('of another tenant are not there', async () => {
    await register('mine', 1);
    for (const rest of ['', '/versions', '/versions/1'])
      expect((await get(path('mine', rest), SOUTH)).status).toBe(404);
    expect((await post(path('mine', '/promote'), { version: 1 }, {}, SOUTH)).status).toBe(404);
    expect((await post(path('mine', '/rollback'), {}, {}, SOUTH)).status).not.toBe(200);
    expect((await get(path('mine'))).json).not.toHaveProperty('promotedVersion');
  });
});

describe('promotion', () => {
  it('says who and why, needs to know what it replaces, and can be taken back', async () => {
    for (const mean of [1, 2]) await register('live', mean);
    const first = await post(path('live', '/promote'), { version: 1, reason: 'first' });
    expect([first.status, first.headers.get('etag')]).toEqual([200, '"1"']);
    expect((await post(path('live', '/promote'), { version: 2 })).status).toBe(428);
    expect((await post(path('live', '/promote'), { version: 2 }, { 'if-match': '"7"' })).status).toBe(412);
    const second = await post(path('live', '/promote'), { version: 2, reason: 'better' }, { 'if-match': '"1"' });
    expect(second.json).toMatchObject({ promotedVersion: 2, latestVersion: 2 });
    const back = await post(path('live', '/rollback'), { reason: 'false alarms' }, { 'if-match': '"2"' });
    expect([back.status, back.headers.get('etag')]).toEqual([200, '"1"']);
    expect((back.json as ModelDetail).promotions.map(({ atMs: _atMs, ...each }) => each)).toEqual([
      { version: 1, kind: 'rollback', by: 'engineer-client', reason: 'false alarms' },
      { version: 2, kind: 'promote', by: 'engineer-client', reason: 'better' },
      { version: 1, kind: 'promote', by: 'engineer-client', reason: 'first' },
    ]);
    const further = await post(path('live', '/rollback'), {}, { 'if-match': '"1"' });
    expect([further.status, further.json]).toEqual([409, expect.objectContaining({ remedy: expect.any(String) })]);
    expect((await post(path('live', '/promote'), { version: 9 }, { 'if-match': '"1"' })).status).toBe(404);
    expect((await get(path('live', '/versions'))).json).toMatchObject({
      items: [
        { version: 2, promoted: false },
        { version: 1, promoted: true },
      ],
    });
  });
});
