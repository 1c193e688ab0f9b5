import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { SqliteCheckpointStore } from '#adapters/embedded/sqlite-checkpoint-store/sqlite-checkpoint-store.ts';
import { stampedEvent } from '#core/contracts/sample-event.ts';
import { until } from '#core/contracts/until.ts';
import { deadLettersInStore } from '#core/derivation/dead-letters.ts';
import type { MachineEvent, StampedEvent, StreamName } from '#core/domain/event.ts';
import { ruleSchema } from '#core/domain/rule.ts';
import { startAlertEngine, type RunningAlertEngine } from '#services/alert-engine/alert-engine.ts';
import { alertEngineConfigSchema } from '#services/alert-engine/config.ts';
import { GatewayPlatform, NORTH, pressOf, SITE, SOUTH } from '#test/support/gateway-platform.ts';
import type { DeadLetterView, LedgerView } from './schemas/ledger.ts';

let platform: GatewayPlatform;
beforeAll(async () => {
  platform = await GatewayPlatform.start();
  await platform.stream.declareGroup('raw-waveform', 'compute');
  await platform.stream.declareGroup('features', 'ml');
});
afterAll(async () => {
  await platform[Symbol.asyncDispose]();
});

const pathOf = ({ id }: DeadLetterView, action = '') => `/v1/dead-letters/${encodeURIComponent(id)}${action}`;
const replay = async (letter: DeadLetterView) =>
  (await platform.call('engineer', 'POST', pathOf(letter, '/replay'))).json as { outcome: string; detail?: string };
const ledger = async () => (await platform.call('viewer', 'GET', '/v1/ledger')).json as LedgerView;

async function letters(query = '', tenant = NORTH): Promise<{ items: DeadLetterView[]; nextCursor?: string }> {
  return (await platform.call('viewer', 'GET', `/v1/dead-letters?${query}`, {}, tenant)).json;
}

async function ofStage(stage: DeadLetterView['stage']): Promise<readonly DeadLetterView[]> {
  return (await letters('limit=500')).items.filter((letter) => letter.stage === stage);
}

/** The events that the group has not taken yet. */
async function nextEvents(stream: StreamName, group: string): Promise<readonly StampedEvent[]> {
  const taken = Promise.withResolvers<readonly StampedEvent[]>();
  const subscription = await platform.stream.subscribe(
    stream,
    group,
    async (batch) => {
      await batch.ack();
      taken.resolve(batch.events);
    },
    { maxBatchEvents: 1 },
  );
  try {
    return await taken.promise;
  } finally {
    await subscription.close();
  }
}

async function sendWaveform(): Promise<StampedEvent> {
  const samples = new Float32Array(1024).map((_, i) => Math.sin((2 * Math.PI * 50 * i) / 1024));
  const query = `site=${SITE}&machine=press-7&sensor=de&sampleRateHz=1024&unit=g&encoding=f32le&ts=${Date.now()}`;
  const raw = { type: 'application/octet-stream', bytes: new Uint8Array(samples.buffer) };
  expect((await platform.call('ingest', 'POST', `/v1/waveforms?${query}`, { raw })).status).toBe(202);
  await platform.settled();
  const [event] = await nextEvents('raw-waveform', 'compute');
  return event!;
}

describe('dead letters of the feature stage', () => {
  it('are featurised again on replay: the features are published, the letter goes, the ledger stays exact', async () => {
    const event = await sendWaveform();
    const before = await ledger();
    const dead = deadLettersInStore(platform.store, { writesTo: 'features', group: 'compute' });
    await dead(event, { code: 'missing_object', detail: 'on purpose' });
    const [letter] = await ofStage('features');
    expect(letter).toMatchObject({ eventId: event.eventId, kind: 'waveform', items: 0, stream: 'features' });
    expect(await replay(letter!)).toEqual({ id: letter!.id, outcome: 'published', stream: 'features' });
    const [features] = await nextEvents('features', 'ml');
    expect(features).toMatchObject({ kind: 'features', key: event.key, items: 0 });
    expect(JSON.parse(Buffer.from(features!.payload).toString())).toMatchObject({ sensor: 'de', kind: 'features' });
    expect(await ofStage('features')).toEqual([]);
    expect(await ledger()).toEqual({ ...before, atMs: expect.any(Number) });
  });

  it('stay where they cannot be featurised yet, and say why', async () => {
    const event = await sendWaveform();
    const { objectKey } = JSON.parse(Buffer.from(event.payload).toString()) as { objectKey: string };
    await platform.dependencies.objects.delete(objectKey);
    const dead = deadLettersInStore(platform.store, { writesTo: 'features', group: 'compute' });
    await dead(event, { code: 'missing_object', detail: 'gone' });
    const [letter] = await ofStage('features');
    expect(await replay(letter!)).toMatchObject({
      outcome: 'deadLettered',
      detail: expect.stringContaining(objectKey),
    });
    expect(await ofStage('features')).toHaveLength(1);
  });
});

describe('dead letters of the inference stage', () => {
  it('are given to the stage again, under their event id', async () => {
    const event = stampedEvent(1, {
      ...{ eventId: randomBytes(8).toString('hex'), kind: 'features', items: 0 },
      ...{ key: pressOf(NORTH), payload: Buffer.from('{"kind":"features"}') },
    });
    const dead = deadLettersInStore(platform.store, { writesTo: 'inference-results', group: 'ml' });
    await dead(event, { code: 'internal', detail: 'on purpose' });
    const [letter] = await ofStage('inference');
    expect(await replay(letter!)).toMatchObject({ outcome: 'published', stream: 'features' });
    const [again] = await nextEvents('features', 'ml');
    expect([again?.eventId, Buffer.from(again!.payload).toString()]).toEqual([event.eventId, '{"kind":"features"}']);
    expect(await ofStage('inference')).toEqual([]);
  });
});

describe('dead letters of alerting', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tribo-alerting-'));
  let judged: GatewayPlatform;
  let checkpoints: SqliteCheckpointStore;
  let engine: RunningAlertEngine;
  beforeAll(async () => {
    judged = await GatewayPlatform.start({}, (dependencies) => ({
      ...dependencies,
      alerting: {
        judgeAgain: (event) => engine.judgeAgain(event),
        learning: (machine) => engine.learning(machine),
      },
    }));
    const { dependencies, stream, store, alarms } = judged;
    const { rules, machines, clock, logger, metrics } = dependencies;
    checkpoints = await SqliteCheckpointStore.open({ databasePath: join(folder, 'state.db') }, clock);
    const hot = { kind: 'threshold', id: 'hot', text: 'Hot', metric: 'heat', direction: 'above', limit: 80 };
    await rules.put(NORTH, ruleSchema.parse(hot), { by: 'asha' });
    const ports = { stream, store, journal: alarms, rules, machines, checkpoints, notifiers: [] };
    engine = await startAlertEngine(alertEngineConfigSchema.parse({}), { ...ports, clock, logger, metrics });
  });
  afterAll(async () => {
    await engine.close();
    await checkpoints.close();
    await judged[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  });

  const telemetry = (eventId: string, payload: string): MachineEvent => ({
    ...{ eventId, kind: 'telemetry', key: `${NORTH}/${SITE}/press-7` as never, items: 1, acceptedAtMs: Date.now() },
    payload: Buffer.from(payload),
  });
  const listed = async (eventId: string) => {
    const { items } = (await judged.call('viewer', 'GET', '/v1/dead-letters?limit=500')).json as {
      items: readonly DeadLetterView[];
    };
    return items.filter((letter) => letter.eventId === eventId && letter.stage === 'alerting');
  };
  const replayed = async (letter: DeadLetterView) =>
    (await judged.call('engineer', 'POST', pathOf(letter, '/replay'))).json as { outcome: string };

  it('are listed beside that of settlement for the same event, with why, and stay where nothing has changed', async () => {
    await judged.stream.publish('metrics', [telemetry('odd-9', '{')]);
    await until(async () => (await listed('odd-9')).length === 1);
    const [letter] = await listed('odd-9');
    expect(letter).toMatchObject({ machine: 'press-7', stream: 'alarms', items: 0, code: 'undecodable_payload' });
    const detail = await judged.call('engineer', 'GET', pathOf(letter!));
    expect(detail.json).toMatchObject({ stage: 'alerting', payload: '{', payloadBytes: 1 });
    expect(await replayed(letter!)).toMatchObject({ outcome: 'deadLettered', detail: expect.stringContaining('JSON') });
    expect(await listed('odd-9')).toEqual([letter]);
  });

  it('are judged on replay: the alarm is raised once, however many replay them at the same time, and the letter goes', async () => {
    const stamp = { source: 'edge', epoch: 1, seq: 1, cumulativeItems: 1 };
    const reading = telemetry('hot-9', JSON.stringify({ ts: Date.now(), metrics: { heat: 81 } }));
    const dead = deadLettersInStore(judged.store, { writesTo: 'alarms', group: 'alerts.metrics' });
    await dead({ ...reading, ...stamp }, { code: 'internal', detail: 'on purpose' });
    const [letter] = await listed('hot-9');
    const answers = await Promise.all([1, 2, 3].map(() => judged.call('engineer', 'POST', pathOf(letter!, '/replay'))));
    expect(answers.map(({ json }) => (json as { outcome?: string }).outcome)).toContain('judged');
    expect(await listed('hot-9')).toEqual([]);
    const { items } = (await judged.call('viewer', 'GET', '/v1/alarms')).json as { items: readonly unknown[] };
    expect(items).toMatchObject([{ machine: 'press-7', parts: [{ value: 81, occurrences: 1 }] }]);
  });

  it('stay while no process judges, and can be replayed later', async () => {
    await judged.stream.publish('metrics', [telemetry('odd-10', '{')]);
    await until(async () => (await listed('odd-10')).length === 1);
    const [letter] = await listed('odd-10');
    await engine.close();
    expect((await judged.call('engineer', 'POST', pathOf(letter!, '/replay'))).status).toBe(503);
    expect(await listed('odd-10')).toEqual([letter]);
  });
});

describe('dead letters of settlement', () => {
  it('are dead as before where nothing has changed, and no item moves', async () => {
    platform.settleAs('odd-1', (outcome) => ({
      type: 'deadLettered',
      event: { ...outcome.event, payload: Buffer.from('{') },
      code: 'undecodable_payload',
      detail: 'on purpose',
    }));
    await platform.send([{ id: 'odd-1', ts: Date.now(), metrics: { a: 1 } }]);
    const before = await ledger();
    const [letter] = await ofStage('store');
    expect(await replay(letter!)).toMatchObject({ outcome: 'deadLettered', detail: expect.stringContaining('JSON') });
    expect(await ofStage('store')).toEqual([letter]);
    expect(await ledger()).toEqual({ ...before, exact: true, atMs: expect.any(Number) });
  });

  it('move their items once, however many replay them at the same time', async () => {
    platform.settleAs('race-1', (outcome) => ({
      type: 'deadLettered',
      event: outcome.event,
      code: 'undecodable_payload',
      detail: 'on purpose',
    }));
    await platform.send([{ id: 'race-1', ts: Date.now(), metrics: { a: 1, b: 2 } }]);
    const before = await ledger();
    const letter = (await ofStage('store')).find(({ eventId }) => eventId === 'race-1');
    const statuses = await Promise.all(
      [1, 2, 3].map(async () => (await platform.call('engineer', 'POST', pathOf(letter!, '/replay'))).status),
    );
    expect(statuses.sort()).toEqual([200, 404, 404]);
    await until(async () => (await ledger()).stored === before.stored + 2);
    expect(await ledger()).toMatchObject({ exact: true, deadLettered: before.deadLettered - 2 });
  });
});

describe('notifications that nobody could be told', () => {
  it('are among the dead letters of their tenant, and are tried again on replay', async () => {
    const { alarms } = platform;
    const raised = await platform.raiseAndNotify('told-1', 'webhook');
    const [message] = await alarms.pendingMessages({ destination: 'webhook', nowMs: Infinity, limit: 10 });
    await alarms.markFailed(message!.id, { code: 'permission_denied', detail: '401 from the receiver' });
    const [letter] = await ofStage('notification');
    expect(letter).toMatchObject({ destination: 'webhook', code: 'permission_denied', items: 0, machine: 'press-7' });
    const detail = await platform.call('engineer', 'GET', pathOf(letter!));
    expect(JSON.parse((detail.json as { payload: string }).payload)).toMatchObject({ alarm: { id: raised } });
    expect((await platform.call('engineer', 'POST', pathOf(letter!, '/replay'), {}, SOUTH)).status).toBe(404);
    expect((await letters('', SOUTH)).items).toEqual([]);
    expect(await replay(letter!)).toMatchObject({ outcome: 'queued' });
    const [again] = await alarms.pendingMessages({ destination: 'webhook', nowMs: Infinity, limit: 10 });
    expect([again?.id, again?.attempts]).toEqual([message!.id, 0]);
    expect(await ofStage('notification')).toEqual([]);
  });

  it('follow the events of the stages, page by page', async () => {
    for (const id of ['told-2', 'told-3']) {
      await platform.raiseAndNotify(id, 'mail');
      const [message] = await platform.alarms.pendingMessages({ destination: 'mail', nowMs: Infinity, limit: 1 });
      await platform.alarms.markFailed(message!.id, { code: 'unavailable', detail: 'gone' });
    }
    const all = (await letters('limit=500')).items;
    expect(new Set(all.map(({ stage }) => stage)).size).toBeGreaterThan(1);
    for (const limit of [1, 2, 3]) {
      const paged: DeadLetterView[] = [];
      for (let cursor: string | undefined = ''; cursor !== undefined;) {
        const page = await letters(`limit=${limit}${cursor && `&cursor=${cursor}`}`);
        expect(page.items.length).toBeLessThanOrEqual(limit);
        paged.push(...page.items);
        cursor = page.nextCursor;
      }
      expect(paged).toEqual(all);
    }
  });
});
