import { beforeEach, describe, expect, it } from '@jest/globals';
import { stampedEvent } from '../contracts/sample-event.ts';
import {
  MAX_EVENT_BYTES,
  type EventKind,
  type MachineEvent,
  type StampedEvent,
  type StreamName,
} from '../domain/event.ts';
import { isName, type MachineKey, type TenantId } from '../domain/ids.ts';
import { machineSchema } from '../domain/plant.ts';
import { ruleSchema, type RuleDescription, type VersionedRule } from '../domain/rule.ts';
import type { DerivedDocument } from '../ports/time-series-store.ts';
import { Judging, MAX_UNJUDGED, type SavedMachine } from './judging.ts';

const WINDOWS = { sizeMs: 1000, hopMs: 1000, watermarkDelayMs: 0, allowedLatenessMs: 500, maxSeries: 2 };

const IDLE_MS = 5000;
const PRESS = 'acme/akron/press-7' as MachineKey;

let unjudged: { readonly stream: StreamName; readonly event: StampedEvent; readonly code: string }[] = [];
beforeEach(() => {
  unjudged = [];
});

function judging(...rules: RuleDescription[]): Judging {
  const judge = new Judging({
    latenessMs: 10_000,
    windows: WINDOWS,
    windowIdleMs: IDLE_MS,
    onUnjudged: (stream, each, { code }) => unjudged.push({ stream, event: each, code }),
  });
  judge.engine.setRules(rules.map(versioned));
  return judge;
}

function versioned(rule: RuleDescription): VersionedRule {
  return { tenant: 'acme' as TenantId, rule: ruleSchema.parse(rule), version: 1 } as VersionedRule;
}

let seq = 0;
function event(
  kind: EventKind,
  machine: string,
  body: unknown = {},
  further: Partial<MachineEvent> = {},
): StampedEvent {
  const key = `acme/akron/${machine}` as MachineKey;
  const payload = Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
  return stampedEvent(++seq, { kind, key, acceptedAtMs: 0, payload, ...further });
}

describe('judging', () => {
  it('keeps nothing of rejections and duplicates, so that made-up machine names cost nothing', () => {
    const judge = judging();
    judge.take('metrics', event('telemetry', 'press-7', { ts: 0, metrics: { heat: 60 } }));
    judge.saveShard(0);
    for (let i = 0; i < 10_000; i++) judge.take('metrics', event(i % 2 ? 'rejection' : 'duplicate', `ghost-${i}`));
    expect(judge.machineCount).toBe(1);
    expect(judge.dirtyShards()).toEqual([]);
    expect(judge.saveShard(0)).toHaveLength(1);
  });

  it('counts what became of readings in windows: late, too late, and without room for their series', () => {
    const judge = judging();
    const read = (ts: number, metrics: Record<string, number>) =>
      judge.take('metrics', event('telemetry', 'press-7', { ts, metrics }, { acceptedAtMs: 5000 }));
    read(0, { heat: 60, load: 1 });
    read(1200, { heat: 61 });
    read(900, { heat: 62 });
    read(5000, { heat: 63 });
    read(900, { heat: 64 });
    read(5000, { one_too_many: 1 });
    expect(judge.windowReadings).toEqual({ counted: 4, late: 1, too_late: 1, invalid: 0, other_unit: 0, refused: 1 });
  });
});

const read = (judge: Judging, ts: number, metrics: Record<string, number>, further: Partial<MachineEvent> = {}) =>
  judge.take('metrics', event('telemetry', 'press-7', { ts, metrics }, { acceptedAtMs: ts, ...further }));

/** The windows that came out, in short. */
function windowsOf(judge: Judging) {
  return judge.takeOutputs().windowEvents.map((each) => {
    const document = JSON.parse(Buffer.from(each.payload).toString()) as DerivedDocument;
    const { 'heat:mean': mean } = document.values;
    return { id: each.eventId, endMs: document.ts, revision: document.revision, mean, imported: each.imported };
  });
}

/** Saves what changed, as JSON, and whether it became durable. */
function save(judge: Judging, isDurable = true): readonly SavedMachine[] {
  const state = JSON.parse(JSON.stringify(judge.dirtyShards().flatMap((shard) => judge.saveShard(shard)))) as never;
  if (isDurable) judge.shardSaved(0);
  return state;
}

function restored(state: readonly SavedMachine[], ...rules: RuleDescription[]): Judging {
  const judge = judging(...rules);
  judge.restore(state);
  return judge;
}

describe('the last window of a machine that stops', () => {
  it('closes once nothing came for the idle time, and only then, once', () => {
    const judge = judging();
    read(judge, 100, { heat: 60 });
    read(judge, 200, { heat: 62 });
    judge.tick(IDLE_MS - 1);
    save(judge);
    expect(windowsOf(judge)).toEqual([]);
    judge.tick(1);
    save(judge);
    expect(windowsOf(judge)).toEqual([expect.objectContaining({ endMs: 1000, revision: 0, mean: 61 })]);
    judge.tick(10 * IDLE_MS);
    save(judge);
    expect(windowsOf(judge)).toEqual([]);
  });

  it('stays open while a slow back-fill goes on, however far its times are behind', () => {
    const judge = judging();
    for (let ts = 0; ts < 900; ts += 100) {
      read(judge, ts, { heat: ts }, { imported: true });
      judge.tick(IDLE_MS - 1);
      save(judge);
    }
    expect(windowsOf(judge)).toEqual([]);
    judge.tick(1);
    save(judge);
    expect(windowsOf(judge)).toEqual([expect.objectContaining({ mean: 400, revision: 0, imported: true })]);
  });

  it('comes out only when the state in which it is closed is durable, before what corrects it', () => {
    const judge = judging();
    read(judge, 100, { heat: 60 });
    judge.tick(IDLE_MS);
    save(judge, false);
    expect(judge.hasOutputs).toBe(false);
    read(judge, 200, { heat: 62 });
    judge.tick(1000);
    save(judge);
    expect(windowsOf(judge).map(({ revision, mean }) => [revision, mean])).toEqual([
      [0, 60],
      [1, 61],
    ]);
  });

  it('is closed as it was after a crash, whatever came since, and under the same id', () => {
    const before = judging();
    const first = event('telemetry', 'press-7', { ts: 100, metrics: { heat: 60 } });
    const second = event('telemetry', 'press-7', { ts: 200, metrics: { heat: 62 } });
    before.take('metrics', first);
    before.tick(IDLE_MS);
    const state = save(before);
    const told = windowsOf(before);
    const after = restored(state);
    after.take('metrics', first);
    after.take('metrics', second);
    const toldAgain = windowsOf(after);
    expect(toldAgain[0]).toEqual(told[0]);
    expect(toldAgain.map(({ revision, mean }) => [revision, mean])).toEqual([
      [0, 60],
      [1, 61],
    ]);
    after.tick(IDLE_MS);
    // What was told is no longer in the state.
    expect(windowsOf(restored(save(after)))).toEqual([]);
  });

  it('closes after a restart that found it open, as much later as the idle time', () => {
    const before = judging();
    read(before, 100, { heat: 60 });
    before.tick(IDLE_MS - 1);
    const after = restored(save(before));
    after.tick(IDLE_MS - 1);
    save(after);
    expect(windowsOf(after)).toEqual([]);
    after.tick(1);
    save(after);
    expect(windowsOf(after)).toHaveLength(1);
  });

  it('is corrected by late data, or counts what is too late, as if a reading had closed it', () => {
    const judge = judging();
    read(judge, 100, { heat: 60 });
    judge.tick(IDLE_MS);
    save(judge);
    read(judge, 200, { heat: 62 });
    read(judge, 1600, { heat: 70 });
    read(judge, 300, { heat: 64 });
    expect(windowsOf(judge).map(({ revision, mean }) => [revision, mean])).toEqual([
      [0, 60],
      [1, 61],
    ]);
    expect(judge.windowReadings).toMatchObject({ counted: 2, late: 1, too_late: 1 });
  });
});

describe('windows of readings', () => {
  const documents = (judge: Judging) =>
    judge
      .takeOutputs()
      .windowEvents.map(({ payload }) => JSON.parse(Buffer.from(payload).toString()) as DerivedDocument);

  it('of a metric that stops while its machine goes on close once nothing of it came for the idle time', () => {
    const judge = judging();
    read(judge, 100, { heat: 60, load: 1 });
    for (let ts = 200; ts <= 500; ts += 100) {
      judge.tick(IDLE_MS / 4);
      read(judge, ts, { load: 1 });
      save(judge);
    }
    expect(documents(judge).map(({ values }) => Object.keys(values))).toEqual([
      ['heat:mean', 'heat:min', 'heat:max', 'heat:ewma'],
    ]);
    judge.tick(IDLE_MS);
    save(judge);
    expect(documents(judge).map(({ body }) => body)).toEqual([{ fromMs: 0, toMs: 1000, counts: { load: 5 } }]);
  });

  it('carry their values’ units: the sent one, else the declared one, of differences and slopes as well', () => {
    const judge = judging();
    const machine = { id: 'press-7', class: 'pump', metrics: [{ name: 'load', unit: '%' }] };
    const described = machineSchema.parse(machine);
    judge.engine.setMachines([{ key: PRESS, machine: described, revision: 1 }]);
    const send = (ts: number, heat: unknown) =>
      judge.take('metrics', event('telemetry', 'press-7', { ts, metrics: { heat, load: ts } }, { acceptedAtMs: ts }));
    send(0, { value: 20, unit: 'Cel' });
    send(500, { value: 77, unit: '[degF]' });
    send(1000, { value: 20, unit: 'Cel' });
    const [{ values, units }] = documents(judge) as [DerivedDocument];
    expect(values).toMatchObject({ 'heat:mean': expect.closeTo(22.5, 9), 'heat:slope': expect.closeTo(10, 9) });
    expect(units).toEqual({
      ...{ 'heat:mean': 'Cel', 'heat:min': 'Cel', 'heat:max': 'Cel', 'heat:ewma': 'Cel' },
      ...{ 'heat:deviation': 'K', 'heat:slope': 'K/s' },
      ...{ 'load:mean': '%', 'load:min': '%', 'load:max': '%', 'load:ewma': '%' },
      ...{ 'load:deviation': '%', 'load:slope': '%/s' },
    });
  });

  it('have names that no metric of a device can have', () => {
    const judge = judging();
    read(judge, 0, { heat: 60, heat_mean: 7 });
    read(judge, 1000, { heat: 60, heat_mean: 7 });
    const names = documents(judge).flatMap(({ values }) => Object.keys(values));
    expect(new Set(names).size).toBe(8);
    expect(names.filter((name) => isName(name))).toEqual([]);
  });
});

const HOT: RuleDescription = {
  kind: 'threshold',
  id: 'hot',
  text: 'Hot',
  metric: 'heat',
  direction: 'above',
  limit: 80,
};
const SILENT: RuleDescription = { kind: 'missing-data', id: 'silent', text: 'Silent', afterMs: 1000 };

const POISON: readonly (readonly [what: string, kind: EventKind, body: unknown])[] = [
  ['no JSON', 'telemetry', '{'],
  ['null', 'telemetry', null],
  ['a list', 'telemetry', []],
  ['telemetry without a time', 'telemetry', { metrics: { heat: 81 } }],
  ['telemetry without metrics', 'telemetry', { ts: 0, metrics: null }],
  ['a metric that is null', 'telemetry', { ts: 0, metrics: { heat: 81, load: null } }],
  ['a metric that is a word', 'telemetry', { ts: 0, metrics: { heat: 'warm' } }],
  ['an infinite metric', 'telemetry', '{"ts":0,"metrics":{"heat":1e400}}'],
  ['a document without values', 'features', { kind: 'features', id: 'f', revision: 0, ts: 0 }],
  ['a prediction that is none', 'prediction', { kind: 'features', id: 'p', revision: 0, ts: 0, values: {} }],
];

describe('an event that cannot be judged', () => {
  it.each(POISON)('is told and passed over, and decides nothing: %s', (_what, kind, body) => {
    const judge = judging(HOT);
    const poison = event(kind, 'press-7', body, { items: 0 });
    expect(judge.take('metrics', poison)).toBe(true);
    expect(judge.take('metrics', poison)).toBe(false);
    expect(unjudged).toEqual([{ stream: 'metrics', event: poison, code: 'undecodable_payload' }]);
    expect(judge.hasOutputs).toBe(false);
    read(judge, 0, { heat: 81 });
    expect(judge.takeOutputs().transitions).toHaveLength(1);
  });

  /** An event that could not be judged, and what it looks like to somebody who can read it. */
  function misread(judge: Judging, ts: number, heat: number): StampedEvent {
    const poison = event('telemetry', 'press-7', '{');
    judge.take('metrics', poison);
    return { ...poison, payload: Buffer.from(JSON.stringify({ ts, metrics: { heat } })) };
  }

  it('is judged later, once, also after a restart', () => {
    const before = judging(HOT);
    const readable = misread(before, 100, 81);
    const judge = restored(save(before), HOT);
    expect(judge.judgeAgain(readable)).toEqual({ outcome: 'judged' });
    expect(judge.takeOutputs().transitions).toMatchObject([{ type: 'activate', atMs: 100 }]);
    expect(judge.judgeAgain(readable)).toEqual({ outcome: 'duplicate' });
    expect(restored(save(judge), HOT).judgeAgain(readable)).toEqual({ outcome: 'duplicate' });
    judge.tick(IDLE_MS);
    save(judge);
    expect(windowsOf(judge)).toMatchObject([{ mean: 81 }]);
  });

  it('was judged where the events since a crash were taken by somebody who can read it', () => {
    const readable = misread(judging(HOT), 100, 81);
    const judge = judging(HOT);
    judge.take('metrics', readable);
    expect(judge.takeOutputs().transitions).toHaveLength(1);
    expect(judge.judgeAgain(readable)).toEqual({ outcome: 'duplicate' });
    expect(judge.hasOutputs).toBe(false);
  });

  it('raises no alarm when it is late by then, and corrects its window', () => {
    const judge = judging(HOT);
    const readable = misread(judge, 100, 81);
    read(judge, 150, { heat: 61 });
    read(judge, 1200, { heat: 61 });
    read(judge, 10_101, { load: 1 });
    windowsOf(judge);
    expect(judge.judgeAgain(readable)).toMatchObject({ outcome: 'judged', detail: expect.stringMatching(/too late/) });
    const { transitions, windowEvents } = judge.takeOutputs();
    expect(transitions).toEqual([]);
    expect(windowEvents).toHaveLength(1);
  });

  it('does not end the silence of its machine, nor a recording’s replay', () => {
    const judge = judging(HOT, SILENT);
    read(judge, 0, { heat: 60 });
    const readable = misread(judge, 100, 81);
    judge.tick(2000);
    expect(judge.takeOutputs().transitions).toMatchObject([{ type: 'activate', part: { rule: { id: 'silent' } } }]);
    judge.judgeAgain(readable);
    expect(judge.takeOutputs().transitions).toMatchObject([{ type: 'activate', part: { rule: { id: 'hot' } } }]);

    const replaying = judging(HOT);
    const live = misread(replaying, 100, 81);
    read(replaying, 0, { heat: 90 }, { imported: true });
    replaying.takeOutputs();
    expect(replaying.judgeAgain(live)).toMatchObject({ outcome: 'judged', detail: expect.any(String) });
    expect(replaying.takeOutputs().transitions).toEqual([]);
  });

  it('stays a dead letter while it cannot be judged, and where it is not known any more whether it was', () => {
    const judge = judging(HOT);
    const poison = event('telemetry', 'press-7', '{');
    judge.take('metrics', poison);
    expect(judge.judgeAgain(poison)).toEqual({ outcome: 'deadLettered', detail: expect.stringContaining('JSON') });
    const readable = { ...poison, payload: Buffer.from('{"ts":0,"metrics":{"heat":81}}') };
    for (let i = 0; i < MAX_UNJUDGED; i++) judge.take('metrics', event('telemetry', 'press-7', '{'));
    expect(restored(save(judge), HOT).judgeAgain(readable)).toMatchObject({
      outcome: 'deadLettered',
      detail: expect.stringContaining('not known any more'),
    });
  });

  it('is judged where the state of before it was lost', () => {
    const readable = misread(judging(HOT), 100, 81);
    expect(judging(HOT).judgeAgain(readable)).toEqual({ outcome: 'judged' });
  });
});

describe('a transition that nobody recorded', () => {
  it('may be recorded late while its condition is as it says, and not when that is over', () => {
    const judge = judging(HOT);
    read(judge, 0, { heat: 81 });
    const [raised] = judge.takeOutputs().transitions;
    expect(judge.engine.holds(raised!)).toBe(true);
    read(judge, 100, { heat: 60 });
    const [returned] = judge.takeOutputs().transitions;
    expect([judge.engine.holds(raised!), judge.engine.holds(returned!)]).toEqual([false, true]);
    read(judge, 200, { heat: 81 });
    expect([judge.engine.holds(raised!), judge.engine.holds(returned!)]).toEqual([false, false]);
    expect(judging(HOT).engine.holds({ ...raised!, machine: PRESS })).toBe(false);
  });
});

describe('windows of a machine with more metrics than an event has room for', () => {
  it('come as several documents, each with some of the metrics', () => {
    const judge = new Judging({
      latenessMs: 0,
      windows: { ...WINDOWS, maxSeries: 5000 },
      windowIdleMs: IDLE_MS,
      onUnjudged: () => undefined,
    });
    const metrics = Object.fromEntries(Array.from({ length: 2500 }, (_, i) => [`metric_${'x'.repeat(50)}_${i}`, i]));
    read(judge, 0, metrics);
    read(judge, 1000, metrics);
    const { windowEvents } = judge.takeOutputs();
    expect(new Set(windowEvents.map(({ eventId }) => eventId)).size).toBe(3);
    expect(Math.max(...windowEvents.map(({ payload }) => payload.byteLength))).toBeLessThan(MAX_EVENT_BYTES);
    const values = windowEvents.flatMap(({ payload }) => {
      return Object.keys((JSON.parse(Buffer.from(payload).toString()) as DerivedDocument).values);
    });
    expect(values.filter((name) => name.endsWith(':mean'))).toHaveLength(2500);
  });
});
