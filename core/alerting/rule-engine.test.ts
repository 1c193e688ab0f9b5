import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Activation, ConditionTransition } from '../domain/alarm.ts';
import { machineKey, type MachineId, type SiteId, type TenantId } from '../domain/ids.ts';
import { readHistory, type MachineEventKind } from '../domain/machine-history.ts';
import { machineSchema } from '../domain/plant.ts';
import type { TelemetryBody } from '../domain/reading.ts';
import { ruleSchema, type RuleDescription, type VersionedRule } from '../domain/rule.ts';
import { isoZone } from '../features/iso-20816.ts';
import type { DerivedDocument } from '../ports/time-series-store.ts';
import { DEFAULT_RULES } from './default-rules.ts';
import { RuleEngine, type MachineSnapshot } from './rule-engine.ts';

const tenant = 'north' as TenantId;
const key = machineKey(tenant, 'akron' as SiteId, 'press-7' as MachineId);
const LATENESS = 10_000;
const T0 = Date.UTC(2026, 10, 21, 1);

const hot: RuleDescription = {
  kind: 'threshold',
  id: 'hot',
  text: 'Temperature high',
  metric: 'temperature',
  direction: 'above',
  limit: 80,
};

const worse: RuleDescription = {
  kind: 'feature',
  id: 'worse',
  text: 'Worse',
  feature: 'rms_g',
  direction: 'above',
  limit: 2,
  relativeTo: 'baseline',
  baselineDocuments: 3,
};

const speedTold = { operatingState: { from: 'threshold', metric: 'rpm', runningAbove: 100 } };

function versioned(description: RuleDescription, version = 1): VersionedRule {
  return { tenant, rule: ruleSchema.parse(description), version, updatedAtMs: 0, updatedBy: 'asha' };
}

/** An engine whose transitions are kept, with short ways to feed it. */
class Bench {
  readonly transitions: ConditionTransition[] = [];
  readonly mismatches: unknown[] = [];
  readonly engine = new RuleEngine(
    { latenessMs: LATENESS, onUnitMismatch: (mismatch) => this.mismatches.push(mismatch) },
    (transition) => this.transitions.push(transition),
  );

  constructor(...rules: RuleDescription[]) {
    this.engine.setRules(rules.map((rule) => versioned(rule)));
  }

  describe(description: object = {}): this {
    const machine = machineSchema.parse({ id: 'press-7', class: 'press', ...description });
    this.engine.setMachines([{ key, machine, revision: 1 }]);
    return this;
  }

  /** Takes notes of what was done to the machine, in place of earlier ones. */
  note(...noted: readonly (readonly [kind: MachineEventKind, atMs: number])[]): this {
    const events = noted.map(([kind, at], i) => ({ id: `${i}`, kind, atMs: T0 + at, by: 'maria', text: '' }));
    this.engine.setHistories(new Map([[key, readHistory(events)]]));
    return this;
  }

  read(atMs: number, metrics: TelemetryBody['metrics'], { imported = false, at = key } = {}): this {
    const ts = T0 + atMs;
    this.engine.observe({ key: at, acceptedAtMs: ts, ...(imported && { imported }) }, { ts, metrics });
    return this;
  }

  document(atMs: number, document: Partial<DerivedDocument>, { imported = false } = {}): this {
    const ts = T0 + atMs;
    const whole: DerivedDocument = {
      kind: 'features',
      id: `d-${atMs}`,
      revision: 1,
      ts,
      values: {},
      body: {},
      ...document,
    };
    this.engine.observeDocument({ key, acceptedAtMs: ts, ...(imported && { imported }) }, whole);
    return this;
  }

  /** Time passes without data; `fromMs` is the time of day at which that begins. */
  silence(ms: number, fromMs?: number): this {
    for (let passed = 1000; passed <= ms; passed += 1000) {
      this.engine.tick(1000, fromMs === undefined ? {} : { nowMs: T0 + fromMs + passed });
    }
    return this;
  }

  /** `+rule@ms` for an activation, `-rule@ms cause` for a return. */
  get log(): string[] {
    return this.transitions.map((each) => {
      const at = each.atMs - T0;
      return each.type === 'activate'
        ? `+${each.part.rule.id}@${at}`
        : `-${each.partKey.split('|')[0]!}@${at} ${each.cause}`;
    });
  }

  get first(): Activation {
    const [first] = this.transitions;
    if (first?.type !== 'activate') throw new Error('nothing was activated');
    return first;
  }
}

describe('default rules', () => {
  it.each([
    ['current_mean', 10, 'current-mean-high'],
    ['temperature_mean', 80, 'temperature-mean-high'],
  ])('raise above %s %d, neither at it nor below it', (metric, limit, rule) => {
    const bench = new Bench();
    bench.engine.setRules(DEFAULT_RULES.map((each) => ({ ...versioned(hot), rule: each })));
    bench.read(0, { [metric]: limit - 0.01 }).read(1000, { [metric]: limit });
    expect(bench.log).toEqual([]);
    bench.read(2000, { [metric]: limit + 0.01 });
    expect(bench.log).toEqual([`+${rule}@2000`]);
  });

  it.each([
    ['current_mean', [10.1, 9.9, 10.1, 9.6, 9.5], 'current-mean-high'],
    ['temperature_mean', [80.1, 79, 80.1, 78.1, 78], 'temperature-mean-high'],
  ])('do not chatter when %s is about its limit: %j', (metric, values, rule) => {
    const bench = new Bench();
    bench.engine.setRules(DEFAULT_RULES.map((each) => ({ ...versioned(hot), rule: each })));
    values.forEach((value, i) => bench.read(i * 1000, { [metric]: value }));
    expect(bench.log).toEqual([`+${rule}@0`, `-${rule}@4000 condition`]);
  });

  it('make of a missing metric no value at all', () => {
    const bench = new Bench({ ...hot, direction: 'below', limit: 1 });
    bench.read(0, { current: 3 }).read(1000, { temperature: { value: 0, quality: 'bad' } });
    expect(bench.log).toEqual([]);
  });
});

describe('threshold rule', () => {
  it('says why: rule with version, value, limit, unit and time', () => {
    const bench = new Bench({ ...hot, onDelayMs: 2000, consequence: 'seizure', response: 'stop it' });
    bench.describe({ metrics: [{ name: 'temperature', unit: 'Cel' }] });
    bench.read(0, { temperature: 81 }).read(2000, { temperature: 81.456789 });
    expect(bench.first).toMatchObject({
      machine: key,
      atMs: T0 + 2000,
      replayed: false,
      part: {
        rule: { id: 'hot', version: 1 },
        title: 'Temperature high',
        message: 'temperature 81.46 Cel is above 80 Cel',
        consequence: 'seizure',
        response: 'stop it',
        metric: 'temperature',
        value: 81.456789,
        limit: 80,
        unit: 'Cel',
        window: { fromMs: T0, toMs: T0 + 2000 },
      },
    });
  });

  it.each<[string, string | undefined, TelemetryBody['metrics'][string], string[]]>([
    ['of the catalogue', 'Cel', 79.9, []],
    ['of the catalogue', 'Cel', 80.1, ['+hot@0']],
    ['that a metric outside the catalogue was sent with', undefined, { value: 79.9, unit: 'degC' }, []],
    ['that a metric outside the catalogue was sent with', undefined, { value: 353.5, unit: 'K' }, ['+hot@0']],
    ['that is not known, and so is the rule’s own', undefined, 176.1, ['+hot@0']],
  ])('compares a reading in its own unit with one in the unit %s (%s): %j', (_what, unit, reading, log) => {
    const bench = new Bench({ ...hot, limit: 176, unit: '[degF]' });
    bench.describe({ metrics: unit === undefined ? [] : [{ name: 'temperature', unit }] });
    expect(bench.read(0, { temperature: reading }).log).toEqual(log);
  });

  it('says in its own unit what it judged', () => {
    const bench = new Bench({ ...hot, limit: 176, unit: '[degF]' });
    bench.describe({ metrics: [{ name: 'temperature', unit: 'Cel' }] }).read(0, { temperature: 90 });
    expect(bench.first.part).toMatchObject({
      message: 'temperature 194 [degF] is above 176 [degF]',
      value: expect.closeTo(194, 9),
      limit: 176,
      unit: '[degF]',
    });
  });

  it('does not judge a reading that does not convert to its unit, counts it, and says so once', () => {
    const bench = new Bench({ ...hot, unit: 'Cel' });
    for (let at = 0; at < 3000; at += 1000) bench.read(at, { temperature: { value: 99, unit: 'bar' } });
    expect(bench.log).toEqual([]);
    expect(bench.engine.counts.unitMismatch).toBe(3);
    const mismatch = { machine: key, rule: 'hot', metric: 'temperature', readingUnit: 'bar', ruleUnit: 'Cel' };
    expect(bench.mismatches).toEqual([mismatch]);
  });

  it.each<[string, RuleDescription['appliesTo'], boolean]>([
    ['its id', { machines: ['press-7'] }, true],
    ['a pattern of its id', { machines: ['fan-*', 'press-*'] }, true],
    ['its class', { classes: ['press'] }, true],
    ['its site', { sites: ['ak*n'] }, true],
    ['class and site together', { classes: ['press'], sites: ['akron'] }, true],
    ['another id', { machines: ['press-70', 'ress-7'] }, false],
    ['another class', { classes: ['pump'] }, false],
    ['its class at another site', { classes: ['press'], sites: ['brno'] }, false],
  ])('applies by %s', (_what, appliesTo, applies) => {
    const bench = new Bench({ ...hot, ...(appliesTo && { appliesTo }) }).describe();
    bench.read(0, { temperature: 81 });
    expect(bench.log).toEqual(applies ? ['+hot@0'] : []);
  });

  it('applies to no machine of another tenant, and not when disabled', () => {
    const other = machineKey('south' as TenantId, 'akron' as SiteId, 'press-7' as MachineId);
    expect(new Bench(hot).read(0, { temperature: 81 }, { at: other }).log).toEqual([]);
    expect(new Bench({ ...hot, enabled: false }).read(0, { temperature: 81 }).log).toEqual([]);
  });

  it('judges metrics of any name, and none that came with the language', () => {
    const bench = new Bench({ ...hot, metric: 'toString' }, { ...hot, id: 'value', metric: 'valueOf' });
    bench.read(0, { temperature: 99 });
    expect(bench.log).toEqual([]);
    bench.read(1000, { toString: 99 });
    expect(bench.log).toEqual(['+hot@1000']);
  });
});

describe('operating state', () => {
  it('keeps a rule quiet while the machine is in another state, and judges while it is not known', () => {
    const bench = new Bench(hot).describe(speedTold);
    bench.read(0, { rpm: 0, temperature: 99 }).read(1000, { temperature: 99 });
    expect(bench.log).toEqual([]);
    expect(bench.read(2000, { rpm: 1480, temperature: 99 }).log).toEqual(['+hot@2000']);
    expect(new Bench(hot).describe(speedTold).read(0, { temperature: 99 }).log).toEqual(['+hot@0']);
  });

  it('is told by a speed in the unit that it was sent with, and by none that does not convert', () => {
    const bench = new Bench(hot).describe(speedTold);
    const rpm = (value: number, unit: string) => ({ value, unit });
    bench.read(0, { rpm: rpm(1, 'Hz'), temperature: 99 });
    expect(bench.log).toEqual([]);
    expect(bench.read(1000, { rpm: rpm(25, 'Hz'), temperature: 99 }).log).toEqual(['+hot@1000']);
    expect(bench.read(2000, { rpm: rpm(0, 'rev'), temperature: 99 }).log).toEqual(['+hot@1000']);
  });

  it('returns a condition when the machine leaves the state', () => {
    const bench = new Bench(hot).describe(speedTold);
    bench.read(0, { rpm: 1480, temperature: 99 }).read(1000, { rpm: 0, temperature: 99 });
    expect(bench.log).toEqual(['+hot@0', '-hot@1000 operating-state']);
  });

  it('is not known any more when what tells it has stopped: a dead speed sensor does not silence the rules', () => {
    const machineSilent: RuleDescription = { kind: 'missing-data', id: 'silent', text: 'Silent', afterMs: 60_000 };
    const bench = new Bench(hot, machineSilent).describe(speedTold).read(0, { rpm: 0, temperature: 20 });
    for (let at = 60_000; at <= 300_000; at += 60_000) bench.silence(60_000).read(at, { temperature: 99 });
    expect(bench.log).toEqual([]);
    bench.silence(59_000).read(300_001, { temperature: 99 });
    expect(bench.log).toEqual(['+hot@300001']);
    expect(bench.silence(60_000).log).toEqual(['+hot@300001', '+silent@360001']);
  });

  it('is not known any more to documents either, nor after a restart', () => {
    const worn: RuleDescription = { kind: 'model-score', id: 'model', text: 'Odd', limit: 3 };
    const before = new Bench(worn).describe(speedTold).read(0, { rpm: 0 });
    before.document(300_000, { kind: 'prediction', values: { score: 4 } });
    expect(before.log).toEqual([]);
    const after = new Bench(worn).describe(speedTold);
    after.engine.restoreMachine(before.engine.snapshotMachine(key)!);
    expect(after.document(300_001, { kind: 'prediction', values: { score: 4 } }).log).toEqual(['+model@300001']);
  });

  it.each<[string, RuleDescription, Partial<DerivedDocument>]>([
    [
      'a zone',
      { kind: 'iso-zone', id: 'worn', text: 'Vibration', zone: 'C' },
      { sensor: 'de', body: { isoZone: { verdict: 'D' } } },
    ],
    [
      'a feature',
      { kind: 'feature', id: 'worn', text: 'Loud', feature: 'rms_g', direction: 'above', limit: 2 },
      { sensor: 'de', values: { 'de.rms_g': 3 } },
    ],
    [
      'a score',
      { kind: 'model-score', id: 'worn', text: 'Odd', limit: 3 },
      { kind: 'prediction', values: { score: 4 } },
    ],
  ])('returns the condition of %s too when the machine leaves the state', (_what, rule, document) => {
    const bench = new Bench(rule)
      .describe(speedTold)
      .read(0, { rpm: 1480 })
      .document(10, document)
      .read(1000, { rpm: 0 });
    expect(bench.log).toEqual(['+worn@10', '-worn@1000 operating-state']);
    expect(bench.read(2000, { rpm: 1480 }).document(2010, document).log.slice(2)).toEqual(['+worn@2010']);
  });

  it('returns at once what a document tells of the time before the machine left the state', () => {
    const bench = new Bench({ kind: 'model-score', id: 'model', text: 'Odd', limit: 3 }).describe(speedTold);
    const running = { kind: 'prediction', values: { score: 4 }, body: { operatingState: 'running' } } as const;
    bench.read(0, { rpm: 1480 }).read(1000, { rpm: 0 }).document(500, running);
    expect(bench.log).toEqual(['+model@500', '-model@1000 operating-state']);
  });

  it('is told by a tag too, and a rule may be for maintenance only', () => {
    const bench = new Bench({ ...hot, operatingStates: ['maintenance'] }).describe({
      operatingState: { from: 'tag', metric: 'mode', running: 1, maintenance: 2 },
    });
    bench.read(0, { mode: 1, temperature: 99 }).read(1000, { mode: 2, temperature: 99 });
    expect(bench.log).toEqual(['+hot@1000']);
  });
});

describe('maintenance that was noted', () => {
  const START = 'maintenance-start';
  const END = 'maintenance-end';
  const silent: RuleDescription = { kind: 'missing-data', id: 'silent', text: 'Silent', afterMs: 60_000 };
  const loud: RuleDescription = {
    ...{ kind: 'feature', id: 'loud', text: 'Loud', feature: 'rms_g', direction: 'above', limit: 2 },
  };

  it('keeps rules quiet from its start to its end, whatever the readings say', () => {
    const bench = new Bench(hot).describe(speedTold).note([START, 1000], [END, 3000]);
    bench.read(999, { rpm: 1480, temperature: 20 }).read(1000, { rpm: 1480, temperature: 99 });
    bench.read(2999, { temperature: 99 });
    expect(bench.log).toEqual([]);
    expect(bench.read(3000, { temperature: 99 }).log).toEqual(['+hot@3000']);
  });

  it('returns what is active when it begins, though nothing is sent', () => {
    const bench = new Bench(hot).read(0, { temperature: 99 }).note([START, 2500]).silence(5000, 0);
    expect(bench.log).toEqual(['+hot@0', '-hot@2500 operating-state']);
  });

  it('returns what is active also when it is noted afterwards', () => {
    const bench = new Bench(hot).read(5000, { temperature: 99 }).note([START, 2500]).silence(1000, 5000);
    expect(bench.log).toEqual(['+hot@5000', '-hot@5000 operating-state']);
  });

  it('raises no silence, and lets the machine’s time to send begin anew when it is over', () => {
    const bench = new Bench(silent).read(0, { temperature: 20 }).note([START, 30_000], [END, 200_000]);
    expect(bench.silence(259_000, 0).log).toEqual([]);
    expect(bench.silence(2000, 259_000).log).toHaveLength(1);
  });

  it('ends by itself after a day, so that a forgotten end does not leave the machine unwatched', () => {
    const day = 86_400_000;
    const bench = new Bench(hot).note([START, 0]).read(day - 1, { temperature: 99 });
    expect(bench.log).toEqual([]);
    expect(bench.read(day, { temperature: 99 }).log).toEqual([`+hot@${day}`]);
  });

  it('gates late readings by their own time', () => {
    const bench = new Bench(hot).note([START, 1000], [END, 3000]).read(4000, { temperature: 20 });
    expect(bench.read(2000, { temperature: 99 }).log).toEqual([]);
    expect(bench.read(3500, { temperature: 99 }).log).toEqual(['+hot@3500']);
  });

  it('gates documents by their own time, whatever they say of the machine’s state', () => {
    const odd: RuleDescription = { kind: 'model-score', id: 'odd', text: 'Odd', limit: 3 };
    const bench = new Bench(loud, odd).note([START, 1000], [END, 3000]);
    bench.document(2000, { values: { rms_g: 3 }, body: { operatingState: 'running' } });
    bench.document(2000, { kind: 'prediction', values: { score: 4 }, body: { operatingState: 'running' } });
    expect(bench.log).toEqual([]);
    bench.document(3000, { values: { rms_g: 3 }, body: { operatingState: 'running' } });
    expect(bench.log).toEqual(['+loud@3000']);
  });

  it('gates windows of readings that it touches', () => {
    const warm: RuleDescription = { ...loud, source: 'window', id: 'warm' };
    const bench = new Bench(warm).note([START, 1000], [END, 3000]);
    const window = (from: number) => ({ kind: 'window', values: { rms_g: 3 }, body: { fromMs: T0 + from } }) as const;
    bench.document(3500, window(2500));
    expect(bench.log).toEqual([]);
    expect(bench.document(4000, window(3000)).log).toEqual(['+warm@4000']);
  });

  it('returns at once what a document tells of the time before it', () => {
    const bench = new Bench(loud).note([START, 1000]).read(1500, {});
    bench.document(500, { values: { rms_g: 3 }, body: { operatingState: 'running' } });
    expect(bench.log).toEqual(['+loud@500', '-loud@1500 operating-state']);
  });

  it('judges rules that are for maintenance', () => {
    const bench = new Bench({ ...hot, operatingStates: ['maintenance'] }).note([START, 1000], [END, 3000]);
    bench.read(500, { temperature: 20 }).read(1000, { temperature: 99 }).read(3000, { temperature: 99 });
    expect(bench.log).toEqual(['+hot@1000', '-hot@3000 operating-state']);
  });

  it.each<[string, readonly (readonly [MachineEventKind, number])[], boolean]>([
    [
      'overlaps the time of learning',
      [
        [START, 2],
        [END, 3],
      ],
      true,
    ],
    [
      'prolongs what was known',
      [
        [START, -9],
        [END, 2],
      ],
      true,
    ],
    [
      'is from before it',
      [
        [START, -9],
        [END, 0],
      ],
      false,
    ],
    [
      'is from after it',
      [
        [START, 4],
        [END, 5],
      ],
      false,
    ],
  ])('noted afterwards, has a baseline learned anew only where it overlaps its learning: %s', (_what, notes, anew) => {
    const bench = new Bench(worse).note([START, -9], [END, -8]);
    const see = (at: number, value: number) =>
      bench.document(at, { values: { rms_g: value }, body: { operatingState: 'running' } });
    [1, 2, 3].forEach((at) => see(at, 1));
    see(4, 3).note(...notes);
    [6, 7, 8, 9, 10].forEach((at) => see(at, 3));
    expect(bench.log.filter((each) => each.includes('new-baseline'))).toEqual(anew ? ['-worse@6 new-baseline'] : []);
    expect(bench.engine.snapshotMachine(key)?.judges[0]?.baseline?.median).toBe(anew ? 3 : 1);
  });

  it('known while a baseline was learned around it, leaves the baseline alone, over a restart too', () => {
    const bench = new Bench(worse).note([START, 10], [END, 20]);
    const run = { operatingState: 'running' };
    [1, 2, 21].forEach((at) => bench.document(at, { values: { rms_g: 1 }, body: run }));
    const restored = new Bench(worse).note([START, 10], [END, 20]);
    restored.engine.restoreMachine(JSON.parse(JSON.stringify(bench.engine.snapshotMachine(key))) as MachineSnapshot);
    expect(restored.document(22, { values: { rms_g: 3 }, body: run }).log).toEqual(['+worse@22']);
  });

  it('teaches a baseline nothing', () => {
    const bench = new Bench(worse).note([START, 10], [END, 20]);
    [1, 11, 12, 13, 21, 22].forEach((at) =>
      bench.document(at, { values: { rms_g: at > 10 && at < 20 ? 100 : 1 }, body: { operatingState: 'running' } }),
    );
    expect(bench.document(23, { values: { rms_g: 3 }, body: { operatingState: 'running' } }).log).toEqual([
      '+worse@23',
    ]);
    expect(bench.first.part).toMatchObject({ baseline: 1, limit: 2 });
  });
});

describe('missing-data rule', () => {
  const silent: RuleDescription = { kind: 'missing-data', id: 'silent', text: 'Silent', afterMs: 60_000 };
  const deadSensor: RuleDescription = { ...silent, id: 'dead', metric: 'temperature' };

  it('alarms a machine that stopped sending, at the time when it should have sent, and returns when it sends', () => {
    const bench = new Bench(silent).read(0, { temperature: 20 }).silence(59_000);
    expect(bench.log).toEqual([]);
    bench.silence(10_000);
    expect(bench.log).toEqual(['+silent@60000']);
    expect(bench.first.part).toMatchObject({
      message: 'neither a reading nor a waveform has come for 60 s although the machine runs',
      window: { fromMs: T0, toMs: T0 + 60_000 },
    });
    expect(bench.read(75_000, { temperature: 20 }).log).toEqual(['+silent@60000', '-silent@75000 condition']);
  });

  it('alarms a sensor that stopped while others go on, or that never began', () => {
    const bench = new Bench(deadSensor).read(0, { temperature: 20, rpm: 1 });
    for (let at = 10_000; at <= 70_000; at += 10_000) bench.silence(10_000).read(at, { rpm: 1 });
    expect(bench.log).toEqual(['+dead@60000']);
    const never = new Bench(deadSensor).read(0, { rpm: 1 });
    for (let at = 10_000; at <= 70_000; at += 10_000) never.silence(10_000).read(at, { rpm: 1 });
    expect(never.log).toEqual(['+dead@60000']);
  });

  it('takes a value of bad quality for none', () => {
    const bench = new Bench(deadSensor).read(0, { temperature: 20 });
    for (let at = 10_000; at <= 70_000; at += 10_000) {
      bench.silence(10_000).read(at, { temperature: { value: 20, quality: 'bad' } });
    }
    expect(bench.log).toEqual(['+dead@60000']);
  });

  const waveform = (sensor: string): Partial<DerivedDocument> => ({ sensor, values: { [`${sensor}.rms_g`]: 1 } });

  it('hears a machine by its waveforms: one that goes on with them alone is not silent', () => {
    const bench = new Bench(silent).read(0, { temperature: 20 });
    for (let at = 30_000; at <= 120_000; at += 30_000) bench.silence(30_000).document(at, waveform('de'));
    expect(bench.log).toEqual([]);
  });

  it('alarms a machine of waveforms alone that stopped, and returns when it goes on', () => {
    const bench = new Bench(silent).document(0, waveform('de')).silence(61_000);
    expect(bench.log).toEqual(['+silent@60000']);
    expect(bench.document(75_000, waveform('de')).log).toEqual(['+silent@60000', '-silent@75000 condition']);
  });

  it('alarms a sensor whose waveforms stopped while all else goes on, or that never sent any', () => {
    const bench = new Bench({ ...silent, id: 'deaf', sensor: 'de' }).document(0, waveform('de'));
    for (let at = 30_000; at <= 90_000; at += 30_000) {
      bench
        .silence(30_000)
        .read(at, { rpm: 1 })
        .document(at, waveform('nde'))
        .document(at, { ...waveform('de'), kind: 'prediction' });
    }
    expect(bench.log).toEqual(['+deaf@60000']);
    expect(bench.first.part).toMatchObject({
      key: 'deaf||de',
      sensor: 'de',
      message: 'no waveform of sensor de has come for 60 s although the machine runs',
    });
    const restored = new Bench({ ...silent, id: 'deaf', sensor: 'de' });
    restored.engine.restoreMachine(bench.engine.snapshotMachine(key)!);
    expect(restored.document(95_000, waveform('de')).log).toEqual(['-deaf@95000 condition']);
    expect(restored.transitions[0]).toMatchObject({ partKey: 'deaf||de' });
    const never = new Bench({ ...silent, id: 'deaf', sensor: 'de' }).read(0, { rpm: 1 }).silence(61_000);
    expect(never.log).toEqual(['+deaf@60000']);
  });

  it('does not judge by waveforms while they wait to become features, and judges readings meanwhile', () => {
    const rules: RuleDescription[] = [silent, { ...silent, id: 'deaf', sensor: 'de' }];
    const tick = (bench: Bench, waveformsWait: boolean) => {
      for (let passed = 0; passed < 61_000; passed += 1000) bench.engine.tick(1000, { waveformsWait });
      return bench;
    };
    const waiting = tick(new Bench(...rules).document(0, waveform('de')), true);
    expect(waiting.log).toEqual([]);
    waiting.engine.tick(1000);
    expect(waiting.log).toEqual(['+silent@60000', '+deaf@60000']);
    expect(tick(new Bench(...rules).document(0, waveform('de')).read(1, { rpm: 1 }), true).log).toEqual([
      '+silent@60001',
    ]);
  });

  it('is not heard of by what an import brings', () => {
    const bench = new Bench(silent).read(0, { rpm: 1 }).silence(59_000);
    expect(bench.document(59_000, waveform('de'), { imported: true }).silence(2000).log).toEqual(['+silent@60000']);
  });

  it('waits only while the machine runs, and from the moment it does', () => {
    const bench = new Bench(silent).describe({
      operatingState: { from: 'threshold', metric: 'rpm', runningAbove: 100 },
    });
    bench.read(0, { rpm: 0 }).silence(120_000);
    expect(bench.log).toEqual([]);
    bench.read(120_000, { rpm: 1480 }).silence(59_000);
    expect(bench.log).toEqual([]);
    expect(bench.silence(1000).log).toEqual(['+silent@180000']);
  });

  it('never heard of is not missing: a machine is silent only after it spoke', () => {
    expect(new Bench(silent).describe().silence(600_000).log).toEqual([]);
  });

  it('decides with one id however often it is decided', () => {
    const ids = [0, 1].map(() => new Bench(silent).read(0, { temperature: 20 }).silence(61_000).first.id);
    expect(ids[0]).toBe(ids[1]);
  });
});

describe('missing-data rule for every metric', () => {
  const rule: RuleDescription = { kind: 'missing-data', id: 'dead', text: 'Dead', metric: '*', afterMs: 60_000 };
  /** Both metrics each second, or what the time says, from one second to another, both included. */
  const run = (bench: Bench, fromS: number, toS: number, metricsAt?: (s: number) => TelemetryBody['metrics']) => {
    for (let s = fromS; s <= toS; s++)
      bench.read(s * 1000, metricsAt?.(s) ?? { temperature: 20, rpm: 1480 }).silence(1000);
    return bench;
  };
  const onlyRpm = () => ({ rpm: 1480 });
  const missed = (bench: Bench) =>
    bench.transitions.map((each) => [
      each.type,
      each.type === 'activate' ? each.part.metric : each.partKey.split('|')[1],
    ]);

  it('raises an alarm that names the metric which stopped while its machine goes on, once, and returns when it comes', () => {
    const bench = run(new Bench(rule), 0, 100);
    run(bench, 101, 300, onlyRpm);
    expect(missed(bench)).toEqual([['activate', 'temperature']]);
    expect(bench.first.atMs - T0).toBeGreaterThanOrEqual(160_000);
    expect(bench.first.atMs - T0).toBeLessThan(168_000);
    expect(bench.first.part).toMatchObject({
      key: 'dead|temperature|',
      message: 'temperature has not come for 60 s although the machine runs',
      window: { toMs: bench.first.atMs },
    });
    // In rounds of a sixteenth of a minute.
    expect(bench.first.part.window.fromMs - T0).toBeGreaterThan(100_000 - 3750 - 1000);
    expect(bench.first.part.window.fromMs - T0).toBeLessThanOrEqual(100_000);
    run(bench, 301, 302);
    expect(missed(bench).slice(1)).toEqual([['return', 'temperature']]);
    expect(bench.transitions[1]).toMatchObject({ atMs: T0 + 301_000, cause: 'condition' });
  });

  it('names each metric that stopped, and takes a value of bad quality for none', () => {
    const bench = run(new Bench(rule), 0, 100, () => ({ a: 1, b: 2, c: 3, d: 4 }));
    run(bench, 101, 200, () => ({ c: 3, d: { value: 4, quality: 'bad' } }));
    expect(missed(bench)).toEqual([
      ['activate', 'a'],
      ['activate', 'b'],
      ['activate', 'd'],
    ]);
  });

  it.each<[string, TelemetryBody['metrics']]>([
    ['in other messages', { rpm: 1480 }],
    ['seldom', { rpm: 1480 }],
  ])('is silent while all metrics come, some %s', (how, others) => {
    const every = how === 'seldom' ? 50 : 2;
    const bench = run(new Bench(rule), 0, 3000, (s) => (s % every === 0 ? { temperature: 20 } : others));
    expect(bench.log).toEqual([]);
  });

  it('gives a metric that comes more seldom than `afterMs` three times its longest gap', () => {
    const bench = run(new Bench(rule), 0, 10_000, (s) =>
      s % 400 === 0 || s % 400 === 90 ? { slow: 1, rpm: 1 } : { rpm: 1 },
    );
    run(bench, 10_001, 10_000 + 900, onlyRpm);
    expect(bench.log).toEqual([]);
    run(bench, 10_901, 11_000, onlyRpm);
    expect(missed(bench)).toEqual([['activate', 'slow']]);
    expect(bench.first.part.message).toBe('slow has not come for 15.5 min although the machine runs');
  });

  it('does not miss what somebody tried out, nor when it is tried again', () => {
    const bench = run(new Bench(rule), 0, 30, () => ({ test: 1, rpm: 1480 }));
    run(bench, 31, 300, onlyRpm);
    run(bench, 301, 301, () => ({ test: 1, rpm: 1480 }));
    expect(run(bench, 302, 1000, onlyRpm).log).toEqual([]);
  });

  it('holds no more than so many metrics of a machine, whatever names it makes up, and finds room for real ones later', () => {
    const bench = new Bench(rule).read(0, Object.fromEntries(Array.from({ length: 900 }, (_, i) => [`x${i}`, i])));
    const known = () => bench.engine.snapshotMachine(key)!.rosters![0]!.metrics.length;
    expect(known()).toBe(512);
    run(bench, 1, 300);
    expect(known()).toBeLessThan(512);
    run(bench, 301, 400, onlyRpm);
    expect(missed(bench)).toEqual([['activate', 'temperature']]);
  });

  const catalogue = (...metrics: object[]) => ({ metrics: metrics.map((each) => ({ unit: 'Cel', ...each })) });

  it('expects what the catalogue declares from the first message on', () => {
    const bench = new Bench(rule).describe(catalogue({ name: 'temperature' }, { name: 'oil' }));
    expect(run(bench, 0, 200).log).toHaveLength(1);
    expect(bench.first.part).toMatchObject({
      metric: 'oil',
      message: 'oil has not come for 60 s although the machine runs',
    });
    expect(bench.first.part.window.fromMs).toBeGreaterThanOrEqual(T0);
  });

  it('misses what comes too late to be judged, by a clock that is behind that of another device', () => {
    const bench = new Bench(rule).describe(catalogue({ name: 'rpm', unit: '/min' }, { name: 'oil' }));
    for (let s = 100; s < 300; s++) bench.read(s * 1000, { rpm: 1480 }).read(s * 1000 - LATENESS - 1, { oil: 20 });
    expect(missed(bench)).toEqual([['activate', 'oil']]);
  });

  it('does not miss what the catalogue calls optional, and returns what it missed when that is said later', () => {
    const optional = { name: 'temperature', optional: true };
    expect(run(run(new Bench(rule).describe(catalogue(optional)), 0, 100), 101, 300, onlyRpm).log).toEqual([]);
    const bench = run(run(new Bench(rule), 0, 100), 101, 300, onlyRpm).describe(catalogue(optional));
    expect(missed(bench)).toEqual([
      ['activate', 'temperature'],
      ['return', 'temperature'],
    ]);
    expect(run(bench, 301, 400, onlyRpm).log).toHaveLength(2);
  });

  it('misses nothing of a machine that is wholly silent, nor at once when it is back: that is one alarm, another rule’s', () => {
    const silent: RuleDescription = { kind: 'missing-data', id: 'silent', text: 'Silent', afterMs: 60_000 };
    const bench = run(new Bench(rule, silent), 0, 100).silence(600_000);
    bench.read(86_400_000, { rpm: 1480 }).silence(1000).read(86_401_000, { temperature: 20 });
    expect(run(bench, 86_402, 86_500).log).toEqual(['+silent@160000', '-silent@86400000 condition']);
  });

  it.each<[string, (bench: Bench) => Bench]>([
    ['stopped', (bench) => bench.describe(speedTold)],
    ['in maintenance', (bench) => bench.note(['maintenance-start', 101_000], ['maintenance-end', 1_000_000])],
  ])('misses nothing of a machine that is %s, and begins where it left when it runs', (how, prepare) => {
    const bench = run(prepare(new Bench(rule)), 0, 100);
    run(bench, 101, 999, () => ({ rpm: how === 'stopped' ? 0 : 1480 }));
    expect(bench.log).toEqual([]);
    run(bench, 1000, 1050, onlyRpm);
    expect(bench.log).toEqual([]);
    expect(missed(run(bench, 1051, 1070, onlyRpm))).toEqual([['activate', 'temperature']]);
  });

  it('returns what it missed when the machine stops, and misses it again when it has run for as long', () => {
    const bench = run(run(new Bench(rule).describe(speedTold), 0, 100), 101, 200, onlyRpm).read(201_000, { rpm: 0 });
    expect(bench.log.at(-1)).toBe('-dead@201000 operating-state');
    expect(run(bench, 202, 255, onlyRpm).log).toHaveLength(2);
    expect(missed(run(bench, 256, 280, onlyRpm)).slice(2)).toEqual([['activate', 'temperature']]);
  });

  it('misses readings while waveforms alone go on, once no readings wait', () => {
    const bench = run(new Bench(rule), 0, 100);
    for (let s = 110; s <= 200; s += 10) bench.document(s * 1000, { sensor: 'de', values: { 'de.rms_g': 1 } });
    expect(bench.log).toEqual([]);
    for (let s = 210; s <= 300; s += 10)
      bench.document(s * 1000, { sensor: 'de', values: { 'de.rms_g': 1 } }).silence(1000);
    expect(missed(bench)).toEqual([
      ['activate', 'temperature'],
      ['activate', 'rpm'],
    ]);
  });

  it('watches what its pattern matches, and judges nothing in a replay', () => {
    const bench = run(new Bench({ ...rule, metric: 'temp*' }), 0, 100, () => ({ temperature: 1, oil: 2, rpm: 3 }));
    expect(missed(run(bench, 101, 300, onlyRpm))).toEqual([['activate', 'temperature']]);
    const replay = new Bench(rule).describe(catalogue({ name: 'oil' }));
    for (let s = 0; s < 300; s++)
      replay.read(s * 1000, { rpm: 1, ...(s < 100 && { temperature: 2 }) }, { imported: true });
    expect(replay.log).toEqual([]);
  });

  it('keeps what it knows when the rule changes, and misses anew under the new version', () => {
    const bench = run(run(new Bench(rule), 0, 100), 101, 200, onlyRpm);
    bench.engine.setRules([versioned({ ...rule, priority: 'high' }, 2)]);
    expect(missed(run(bench, 201, 220, onlyRpm))).toEqual([
      ['activate', 'temperature'],
      ['return', 'temperature'],
      ['activate', 'temperature'],
    ]);
    expect(bench.transitions[1]).toMatchObject({ cause: 'rule-changed' });
    bench.engine.setRules([]);
    expect(bench.transitions).toHaveLength(4);
  });

  it('is missed once over a restart, and what the journal alone knows of returns when it comes', () => {
    const before = run(run(new Bench(rule), 0, 100), 101, 200, onlyRpm);
    const after = new Bench(rule);
    after.engine.restoreMachine(JSON.parse(JSON.stringify(before.engine.snapshotMachine(key))) as MachineSnapshot);
    expect(missed(run(run(after, 201, 300, onlyRpm), 301, 301))).toEqual([['return', 'temperature']]);
    const raised = before.first;
    const part = { ...raised.part, active: true, occurrences: 1, firstAtMs: raised.atMs, lastAtMs: raised.atMs };
    const adopted = new Bench(rule);
    adopted.engine.adopt([{ machine: key, replayed: false, parts: [part] } as never]);
    expect(adopted.engine.holds(raised)).toBe(true);
    expect(missed(run(adopted, 301, 301))).toEqual([['return', 'temperature']]);
    const gone = new Bench();
    gone.engine.restoreMachine(before.engine.snapshotMachine(key)!);
    expect(gone.transitions).toMatchObject([{ partKey: 'dead|temperature|', cause: 'rule-changed' }]);
  });
});

describe('rules over documents', () => {
  const features = (values: Record<string, number>, body: object = {}): Partial<DerivedDocument> => ({
    sensor: 'de',
    values: Object.fromEntries(Object.entries(values).map(([name, value]) => [`de.${name}`, value])),
    units: { 'de.rms_g': 'g' },
    body: { waveformId: 'w-1', ...body },
  });

  it.each([
    ['B', []],
    ['C', ['+iso@0']],
    ['D', ['+iso@0']],
    ['none', []],
  ])('judge zone %s by the ISO rule for C', (verdict, log) => {
    const bench = new Bench({ kind: 'iso-zone', id: 'iso', text: 'Vibration', zone: 'C' });
    expect(bench.document(0, features({ velocity_rms_mm_s: 5 }, { isoZone: { verdict } })).log).toEqual(log);
  });

  it.each([
    ['C', [2.8, 2.81, 2.79, 2.81, 2.53, 2.5], ['+iso@1', '-iso@5 condition']],
    ['D', [4.5, 4.51, 4.4, 4.51, 4.06, 4], ['+iso@1', '-iso@5 condition']],
  ] as const)('leave zone %s a tenth below its boundary: %j mm/s', (zone, velocities, log) => {
    const bench = new Bench({ kind: 'iso-zone', id: 'iso', text: 'Vibration', zone });
    for (const [at, velocityRmsMmPerS] of velocities.entries()) {
      const verdict = velocityRmsMmPerS > 4.5 ? 'D' : velocityRmsMmPerS > 2.8 ? 'C' : 'B';
      const boundaries = { abMmPerS: 1.4, bcMmPerS: 2.8, cdMmPerS: 4.5 };
      bench.document(at, features({}, { isoZone: { verdict, velocityRmsMmPerS, boundaries } }));
    }
    expect(bench.log).toEqual(log);
  });

  it.each([
    [
      'C',
      3.21,
      'vibration velocity 3.21 mm/s is above 2.8 mm/s, where zone C of ISO 20816-3 begins for group 2, rigid support: it is in zone C',
    ],
    [
      'C',
      9,
      'vibration velocity 9 mm/s is above 2.8 mm/s, where zone C of ISO 20816-3 begins for group 2, rigid support: it is in zone D',
    ],
    [
      'D',
      9,
      'vibration velocity 9 mm/s is above 4.5 mm/s, where zone D of ISO 20816-3 begins for group 2, rigid support: it is in zone D',
    ],
  ] as const)(
    'say why zone %s is reached at %d mm/s: the velocity, the boundary, the zone and the standard',
    (zone, value, message) => {
      const verdict = isoZone(
        { powerKw: 75, support: 'rigid', bearings: [], operatingState: 'running' },
        { rpm: 1480, bandHz: [10, 1000], velocityRmsMmPerS: value, obstacle: undefined },
      );
      const bench = new Bench({ kind: 'iso-zone', id: 'iso', text: 'Vibration', zone });
      expect(bench.document(0, features({}, { isoZone: verdict })).first.part).toMatchObject({
        ...{
          message,
          value,
          unit: 'mm/s',
          limit: zone === 'C' ? 2.8 : 4.5,
          zone: value > 4.5 ? 'D' : 'C',
          sensor: 'de',
        },
        basis: expect.stringMatching(
          /^ISO 20816-3 \(.*10816-3:2009\), group 2, rigid support, velocity RMS 10-1000 Hz/,
        ),
      });
    },
  );

  it('leave a zone alarm as it is when a waveform gives no verdict', () => {
    const bench = new Bench({ kind: 'iso-zone', id: 'iso', text: 'Vibration', zone: 'C' });
    for (const [at, verdict] of [
      [0, 'D'],
      [1, 'none'],
      [2, 'B'],
    ] as const)
      bench.document(at, features({}, { isoZone: { verdict } }));
    expect(bench.log).toEqual(['+iso@0', '-iso@2 condition']);
    expect(bench.first.part).toMatchObject({ zone: 'D', sensor: 'de', waveformId: 'w-1', documentId: 'd-0' });
  });

  it('judge a feature against a limit, each sensor by itself', () => {
    const bench = new Bench({
      kind: 'feature',
      id: 'loud',
      text: 'Loud',
      feature: 'rms_*',
      direction: 'above',
      limit: 2,
    });
    bench
      .document(0, features({ rms_g: 3, kurtosis: 9 }))
      .document(0, { ...features({}), sensor: 'nde', values: { 'nde.rms_g': 4 } });
    expect(bench.log).toEqual(['+loud@0', '+loud@0']);
    expect(bench.first.part).toMatchObject({ metric: 'rms_g', sensor: 'de', message: 'rms_g 3 g is above 2 g' });
  });

  it('judge a feature against the median of the machine’s own first values', () => {
    const bench = new Bench(worse);
    [1, 9, 1.2].forEach((value, at) => bench.document(at, features({ rms_g: value })));
    bench.document(3, features({ rms_g: 2.4 }));
    expect(bench.log).toEqual([]);
    bench.document(4, features({ rms_g: 2.5 }));
    expect(bench.first.part).toMatchObject({
      baseline: 1.2,
      limit: 2.4,
      message: expect.stringContaining('2.083 times its baseline'),
    });
    bench.note(['repair', -1], ['bearing-change', 9]);
    expect(bench.document(5, features({ rms_g: 2.5 })).log).toEqual(['+worse@4']);
    bench.note(['repair', 5]);
    [6, 7, 8, 9].forEach((at) => bench.document(at, features({ rms_g: 2.5 })));
    expect(bench.log.slice(1)).toEqual(['-worse@6 new-baseline']);
    expect(bench.document(10, features({ rms_g: 5.1 })).log.slice(2)).toEqual(['+worse@10']);
  });

  it('learns what is normal only while the machine runs for sure', () => {
    const bench = new Bench({ ...worse, operatingStates: ['running', 'stopped'] }).describe(speedTold);
    const states = [undefined, 'stopped', 'running', 'running', undefined, 'running'] as const;
    states.forEach((operatingState, at) => {
      const value = operatingState === 'running' ? 1 : 100;
      bench.document(at, features({ rms_g: value }, operatingState && { operatingState }));
    });
    bench.document(9, features({ rms_g: 2.5 }, { operatingState: 'running' }));
    expect(bench.first.part).toMatchObject({ baseline: 1, baselineWindow: { fromMs: T0 + 2, toMs: T0 + 5 } });
  });

  it('keeps what is normal when a rule changes in anything but how it learns', () => {
    const bench = new Bench(worse);
    [0, 1, 2].forEach((at) => bench.document(at, features({ rms_g: 1 })));
    bench.engine.setRules([versioned({ ...worse, limit: 3 }, 2)]);
    const restored = new Bench();
    restored.engine.setRules([versioned({ ...worse, limit: 3 }, 2)]);
    restored.engine.restoreMachine(bench.engine.snapshotMachine(key)!);
    expect(restored.document(3, features({ rms_g: 3.1 })).log).toEqual(['+worse@3']);
    bench.engine.setRules([versioned({ ...worse, limit: 3, baselineDocuments: 4 }, 3)]);
    expect(bench.document(3, features({ rms_g: 3.1 })).log).toEqual([]);
  });

  it('tell how far learning is, since when, and why it waits, until it is over', () => {
    const iso: RuleDescription = { kind: 'iso-baseline', id: 'above', text: 'Above' };
    const bench = new Bench(worse, iso).describe(speedTold);
    const waits = { learnt: 0, needed: 3, detail: 'the value has not come yet' };
    expect(bench.engine.learning(key)).toEqual([]);
    bench.read(0, { rpm: 0 });
    expect(bench.engine.learning(key)[0]).toMatchObject({
      ...waits,
      detail: 'it waits until the machine is known to run',
    });
    bench.read(1, { rpm: 1480 });
    expect(bench.engine.learning(key)).toEqual([
      { by: 'rule', id: 'worse', ...waits },
      {
        by: 'rule',
        id: 'above',
        learnt: 0,
        needed: 50,
        detail: 'no waveform has given a velocity with a zone of ISO 20816-3 yet',
      },
    ]);
    [2, 3].forEach((at) => bench.document(at, features({ rms_g: 1 })));
    const progress = { by: 'rule', id: 'worse', sensor: 'de', metric: 'rms_g', learnt: 2, needed: 3, sinceMs: T0 + 2 };
    expect(bench.engine.learning(key)[0]).toEqual(progress);
    bench.note(['maintenance-start', 4]).read(5, { rpm: 1480 });
    expect(bench.engine.learning(key)[0]).toEqual({ ...progress, detail: 'it waits until maintenance is over' });
    bench
      .note()
      .read(6, { rpm: 1480 })
      .document(7, features({ rms_g: 1 }));
    expect(bench.engine.learning(key).map(({ id }) => id)).toEqual(['above']);
  });

  it('tell what a model says of its learning, until it judges', () => {
    const bench = new Bench({ kind: 'model-score', id: 'model', text: 'Odd' });
    const learning = { verdict: 'learning', reason: '3 of 50 feature sets learnt', baseline: { sinceMs: T0 } };
    bench.document(0, { kind: 'prediction', sensor: 'de', body: learning });
    expect(bench.engine.learning(key)).toEqual([
      { by: 'model', id: 'health', sensor: 'de', detail: '3 of 50 feature sets learnt', sinceMs: T0 },
    ]);
    bench.document(1, { kind: 'prediction', sensor: 'de', body: { verdict: 'healthy' } });
    expect(bench.engine.learning(key)).toEqual([]);
  });

  describe('by ISO 20816’s alarm limit above a baseline', () => {
    const rule: RuleDescription = {
      kind: 'iso-baseline',
      id: 'above',
      text: 'Above its baseline',
      baselineDocuments: 3,
    };
    const boundaries = { abMmPerS: 1.4, bcMmPerS: 2.8, cdMmPerS: 4.5 };
    const velocity = (value: number, operatingState = 'running'): Partial<DerivedDocument> => ({
      ...features(
        { velocity_rms_mm_s: value },
        { operatingState, isoZone: { verdict: 'B', velocityRmsMmPerS: value, boundaries } },
      ),
    });
    const learned = (baseline: number, change: Partial<RuleDescription> = {}) => {
      const bench = new Bench({ ...rule, ...change } as RuleDescription);
      [0, 1, 2].forEach((at) => bench.document(at, velocity(baseline)));
      return bench;
    };

    it.each<[string, number, Partial<RuleDescription>, number]>([
      ['a quarter of the boundary of zone C above it', 1, {}, 1.7],
      ['the part that the rule says above it', 1, { aboveBaseline: 0.5 }, 2.4],
      ['at most a quarter above that boundary', 3, {}, 3.5],
      ['at most as far above as the rule says', 3, { atMost: 1 }, 2.8],
    ])('raises above %s, not at it', (_what, baseline, change, limit) => {
      expect(learned(baseline, change).document(3, velocity(limit - 1e-9)).log).toEqual([]);
      const bench = learned(baseline, change).document(3, velocity(limit + 1e-9));
      expect(bench.log).toEqual(['+above@3']);
      expect(bench.first.part.limit).toBeCloseTo(limit, 12);
    });

    it('says why: the velocity, the limit, the baseline and when it was taken, the boundary', () => {
      const { part } = learned(1).document(3, { ...velocity(2.1), id: 'doc' }).first;
      expect(part).toMatchObject({
        kind: 'iso-baseline',
        sensor: 'de',
        value: 2.1,
        limit: 1.7,
        unit: 'mm/s',
        baseline: 1,
        baselineWindow: { fromMs: T0, toMs: T0 + 2 },
        boundary: 2.8,
        documentId: 'doc',
        message:
          'vibration velocity 2.1 mm/s is above 1.7 mm/s: its baseline 1 mm/s of 2026-11-21 and 25 % of 2.8 mm/s, where ISO 20816-3’s zone C begins',
      });
      expect(learned(3).document(3, velocity(4)).first.part.message).toBe(
        'vibration velocity 4 mm/s is above 3.5 mm/s: 125 % of 2.8 mm/s, where ISO 20816-3’s zone C begins, the most that counts above its baseline 3 mm/s of 2026-11-21',
      );
    });

    it('returns two fifths of the way back to the baseline', () => {
      const bench = learned(1).document(3, velocity(1.8)).document(4, velocity(1.43));
      expect(bench.log).toEqual(['+above@3']);
      expect(bench.document(5, velocity(1.41)).log).toEqual(['+above@3', '-above@5 condition']);
    });

    it('gives no verdict until the baseline is known, nor where there is no zone', () => {
      const bench = new Bench(rule);
      bench.document(0, velocity(1)).document(1, velocity(9)).document(2, velocity(9, 'stopped'));
      expect(bench.document(3, velocity(9)).log).toEqual([]);
      const none = { ...velocity(99), body: { isoZone: { verdict: 'none', codes: ['unknown_support'], reason: '' } } };
      expect(learned(1).document(3, none).log).toEqual([]);
    });

    it('takes its baseline anew after a repair, and what it had raised returns', () => {
      const bench = learned(1).document(3, velocity(2)).note(['bearing-change', 4]);
      [5, 6, 7].forEach((at) => bench.document(at, velocity(2)));
      expect(bench.log).toEqual(['+above@3', '-above@5 new-baseline']);
      expect(bench.document(8, velocity(2.71)).log.slice(2)).toEqual(['+above@8']);
    });

    it('is of one sensor where the rule names it', () => {
      expect(learned(1, { sensor: 'nde' }).document(3, velocity(9)).log).toEqual([]);
    });
  });

  it.each(['temperature:mean', '*:mean', 'temperature_mean', '*_mean'])(
    'judge a rolling mean of readings by %s',
    (feature) => {
      const bench = new Bench({
        kind: 'feature',
        source: 'window',
        id: 'warm',
        text: 'Warm',
        feature,
        direction: 'above',
        limit: 80,
      });
      bench.document(0, { kind: 'features', values: { 'temperature:mean': 90 } });
      expect(bench.log).toEqual([]);
      expect(
        bench.document(0, { kind: 'window', values: { 'temperature:mean': 90, 'temperature:max': 99 } }).log,
      ).toEqual(['+warm@0']);
    },
  );

  it.each<[string, object, number | undefined, string[]]>([
    ['above the model’s own threshold', { threshold: 3 }, undefined, ['+model@0']],
    ['below the rule’s limit', { threshold: 3 }, 5, []],
    ['of a model without threshold', {}, undefined, []],
  ])('judge a score %s', (_what, body, limit, log) => {
    const bench = new Bench({ kind: 'model-score', id: 'model', text: 'Odd', ...(limit !== undefined && { limit }) });
    bench.document(0, {
      kind: 'prediction',
      sensor: 'de',
      values: { 'de.score': 4 },
      body: { model: { id: 'health', version: 7 }, ...body },
    });
    expect(bench.log).toEqual(log);
    if (log.length > 0) expect(bench.first.part.model).toEqual({ id: 'health', version: '7' });
  });

  it('follow the operating state of the document’s own time', () => {
    const bench = new Bench({
      kind: 'feature',
      id: 'loud',
      text: 'Loud',
      feature: 'rms_g',
      direction: 'above',
      limit: 2,
    });
    bench.document(0, features({ rms_g: 3 }, { operatingState: 'stopped' }));
    expect(bench.log).toEqual([]);
    bench
      .document(1, features({ rms_g: 3 }, { operatingState: 'running' }))
      .document(2, features({ rms_g: 3 }, { operatingState: 'stopped' }));
    expect(bench.log).toEqual(['+loud@1', '-loud@2 operating-state']);
  });

  it('alone raise an alarm, and so do readings alone', () => {
    const rules: RuleDescription[] = [hot, { kind: 'model-score', id: 'model', text: 'Odd', limit: 3 }];
    expect(new Bench(...rules).read(0, { temperature: 81 }).log).toEqual(['+hot@0']);
    expect(new Bench(...rules).document(0, { kind: 'prediction', values: { score: 4 } }).log).toEqual(['+model@0']);
  });
});

describe('the operating state of their own time gates', () => {
  const mean: RuleDescription = {
    ...{ kind: 'feature', source: 'window', id: 'mean', text: 'Mean', feature: 'temperature:mean' },
    ...{ direction: 'above', limit: 80 },
  };
  const window = (fromMs: number) =>
    ({ kind: 'window', values: { 'temperature:mean': 90 }, body: { fromMs: T0 + fromMs } }) as const;

  it('late readings: of a time in which the machine was stopped, although it runs now', () => {
    const bench = new Bench(hot).describe(speedTold).read(0, { rpm: 0 }).read(5000, { rpm: 1500 });
    expect(bench.read(3000, { temperature: 90 }).log).toEqual([]);
    expect(bench.read(5001, { temperature: 90 }).log).toEqual(['+hot@5001']);
  });

  it('late readings: of a time in which it ran, although it is stopped now, with the end of what they raise', () => {
    const bench = new Bench(hot, { ...hot, id: 'idle', operatingStates: ['stopped'] }).describe(speedTold);
    bench.read(0, { rpm: 1500 }).read(5000, { rpm: 0 }).read(3000, { temperature: 90 });
    expect(bench.log).toEqual(['+hot@3000', '-hot@5000 operating-state']);
  });

  it('late readings that tell the state themselves', () => {
    const bench = new Bench(hot).describe(speedTold).read(0, { rpm: 1500 }).read(5000, { rpm: 1500 });
    bench.read(3000, { rpm: 0, temperature: 90 }).read(3500, { temperature: 20 });
    expect(bench.log).toEqual([]);
    expect(bench.read(4000, { rpm: 1500, temperature: 90 }).log).toEqual(['+hot@4000']);
  });

  it.each<[string, readonly [at: number, rpm: number][], string[]]>([
    [
      'that it ran through, although it is stopped now',
      [
        [0, 1500],
        [50_000, 1500],
        [65_000, 0],
      ],
      ['+mean@60000', '-mean@65000 operating-state'],
    ],
    [
      'that it stood through, although it runs now',
      [
        [0, 0],
        [50_000, 0],
        [65_000, 1500],
      ],
      [],
    ],
    [
      'in which it stopped',
      [
        [0, 1500],
        [30_000, 0],
        [65_000, 1500],
      ],
      [],
    ],
    [
      'in which it stopped for a moment',
      [
        [0, 1500],
        [30_000, 0],
        [31_000, 1500],
        [65_000, 1500],
      ],
      [],
    ],
    ['in which it is not known', [], ['+mean@60000']],
  ])('windows of readings: one %s', (_what, told, log) => {
    const bench = new Bench(mean).describe(speedTold);
    for (const [at, rpm] of told) bench.read(at, { rpm });
    expect(bench.document(60_000, window(0)).log).toEqual(log);
  });

  it('windows of readings that a baseline is learned from', () => {
    const rise: RuleDescription = { ...mean, relativeTo: 'baseline', limit: 2, baselineDocuments: 3 };
    const bench = new Bench(rise).describe(speedTold);
    const learn = (value: number, at: number) =>
      bench.document(at, { ...window(at - 60_000), values: { 'temperature:mean': value } });
    bench.read(0, { rpm: 1500 });
    for (let at = 60_000; at <= 420_000; at += 60_000) {
      // It stands in the middle of each second minute, and runs when windows are judged.
      if (at % 120_000 === 0) bench.read(at - 30_000, { rpm: 0 });
      bench.read(at - 1, { rpm: 1500 });
      learn(at % 120_000 === 0 ? 1 : 50, at);
    }
    expect(learn(90, 480_000).log).toEqual([]);
    expect(bench.read(480_000, { rpm: 1500 }).read(540_000, { rpm: 1500 }).log).toEqual([]);
    expect(learn(101, 540_000).log).toEqual(['+mean@540000']);
  });

  it('an older window, corrected, does not end what a newer one raised', () => {
    const bench = new Bench(mean).describe(speedTold).read(0, { rpm: 0 }).read(30_000, { rpm: 1500 });
    bench.read(95_000, { rpm: 1500 }).document(90_000, window(30_000)).document(80_000, window(20_000));
    expect(bench.log).toEqual(['+mean@90000']);
  });

  it('what is judged after a maintenance was noted with its past times', () => {
    const bench = new Bench(hot, mean).describe(speedTold).read(0, { rpm: 1500 }).read(9000, { rpm: 1500 });
    bench.note(['maintenance-start', 1000], ['maintenance-end', 4000]);
    bench.read(3000, { temperature: 90 }).document(5000, window(2000));
    expect(bench.log).toEqual([]);
    expect(bench.read(4000, { temperature: 90 }).log).toEqual(['+hot@4000']);
  });

  it('late readings of before a maintenance that is under way, with the end of what they raise', () => {
    const bench = new Bench(hot).describe(speedTold).note(['maintenance-start', 4000]).read(0, { rpm: 1500 });
    bench.read(5000, { rpm: 1500 }).read(3000, { temperature: 90 }).read(4000, { temperature: 90 });
    expect(bench.log).toEqual(['+hot@3000', '-hot@5000 operating-state']);
  });

  it('what comes after a restart', () => {
    const before = new Bench(hot).describe(speedTold).read(0, { rpm: 0 }).read(5000, { rpm: 1500 });
    const after = new Bench(hot).describe(speedTold);
    after.engine.restoreMachine(JSON.parse(JSON.stringify(before.engine.snapshotMachine(key))) as MachineSnapshot);
    expect(after.read(3000, { temperature: 90 }).log).toEqual([]);
  });
});

describe('late and imported data', () => {
  it('is judged up to the lateness behind the newest reading, and not beyond', () => {
    const bench = new Bench(hot).read(LATENESS, { rpm: 1 }).read(0, { temperature: 81 });
    expect(bench.log).toEqual(['+hot@0']);
    const late = new Bench(hot).read(LATENESS + 1, { rpm: 1 }).read(0, { temperature: 81 });
    expect(late.log).toEqual([]);
    expect(late.engine.counts).toMatchObject({ judged: 1, late: 1 });
  });

  it.each<[string, (bench: Bench) => Bench]>([
    ['its sensor’s newest, by the lateness', (bench) => bench.document(LATENESS, { sensor: 'de' })],
    ['its machine’s newest reading, by a quarter of an hour', (bench) => bench.read(900_000, { rpm: 1 })],
  ])('judges a document as far behind %s, and not beyond', (_what, newest) => {
    const loud = { kind: 'feature', id: 'loud', text: 'Loud', feature: 'rms_g', direction: 'above', limit: 1 } as const;
    const judged = (atMs: number) =>
      newest(new Bench(loud)).document(atMs, { sensor: 'de', values: { 'de.rms_g': 2 } });
    expect(judged(0).log).toEqual(['+loud@0']);
    expect(judged(-1).log).toEqual([]);
    expect(judged(-1).engine.counts.late).toBe(1);
  });

  it('does not make everything late when one clock is ahead', () => {
    const bench = new Bench(hot);
    bench.engine.observe({ key, acceptedAtMs: T0 }, { ts: T0 + 300_000, metrics: { rpm: 1 } });
    expect(bench.read(1000, { temperature: 81 }).log).toEqual(['+hot@1000']);
  });

  it.each([0, 60_000, 300_000])(
    'judges what comes up to the lateness behind its arrival, while a clock is %d ms ahead',
    (skewMs) => {
      const bench = new Bench(hot);
      bench.engine.observe({ key, acceptedAtMs: T0 }, { ts: T0 + skewMs, metrics: { rpm: 1 } });
      bench.engine.observe({ key, acceptedAtMs: T0 }, { ts: T0 - LATENESS, metrics: { temperature: 81 } });
      bench.engine.observe({ key, acceptedAtMs: T0 }, { ts: T0 - LATENESS - 1, metrics: { temperature: 20 } });
      expect(bench.log).toEqual([`+hot@${-LATENESS}`]);
      expect(bench.engine.counts.late).toBe(1);
    },
  );

  it('never raises a live alarm by import', () => {
    const bench = new Bench(hot).read(0, { temperature: 20 }).read(-5000, { temperature: 99 }, { imported: true });
    expect(bench.log).toEqual([]);
    expect(bench.engine.counts.imported).toBe(1);
  });

  it('is judged in its own time, and marked, where an import is all there is', () => {
    const bench = new Bench({ ...hot, onDelayMs: 2000 });
    for (const at of [0, 1000, 2000]) bench.read(at, { temperature: 99 }, { imported: true });
    expect(bench.log).toEqual(['+hot@2000']);
    expect(bench.first.replayed).toBe(true);
  });

  it('ends when the machine goes live, and live judging begins anew', () => {
    const bench = new Bench(hot).read(0, { temperature: 99 }, { imported: true }).read(-3_600_000, { temperature: 99 });
    expect(bench.log).toEqual(['+hot@0', '-hot@0 replay-ended', '+hot@-3600000']);
    expect(bench.transitions.map((each) => each.replayed)).toEqual([true, true, false]);
  });

  it('leaves live conditions alone when an import is newer than the last live reading', () => {
    const bench = new Bench(hot).read(0, { temperature: 99 }).read(5000, { temperature: 20 }, { imported: true });
    expect(bench.log).toEqual(['+hot@0']);
  });

  it('learns its own baselines, and leaves those that were learned live for when the machine goes on, over a restart too', () => {
    const loud = (bench: Bench, at: number, value: number, imported: boolean) =>
      bench.read(at, { rpm: 1 }, { imported }).document(at, { values: { rms_g: value } }, { imported });
    const live = new Bench(worse);
    [0, 1, 2].forEach((at) => loud(live, at, 1, false));
    [1000, 1001, 1002].forEach((at) => loud(live, at, 10, true));
    expect(loud(live, 1003, 19, true).log).toEqual([]);
    expect(loud(live, 1004, 21, true).log).toEqual(['+worse@1004']);
    expect(live.first.replayed).toBe(true);
    const after = new Bench(worse);
    after.engine.restoreMachine(JSON.parse(JSON.stringify(live.engine.snapshotMachine(key))) as MachineSnapshot);
    for (const bench of [live, after]) {
      loud(bench, 2000, 1.9, false);
      expect(loud(bench, 2001, 2.1, false).log.slice(-2)).toEqual(['-worse@1004 replay-ended', '+worse@2001']);
      expect(bench.transitions.at(-1)).toMatchObject({ replayed: false, part: { baseline: 1 } });
    }
  });

  it('judges no silence in a replay', () => {
    const bench = new Bench({ kind: 'missing-data', id: 'silent', text: 'Silent', afterMs: 1000 });
    expect(bench.read(0, { rpm: 1 }, { imported: true }).silence(60_000).log).toEqual([]);
  });
});

describe('the id of a transition', () => {
  const loud = { kind: 'feature', id: 'loud', text: 'Loud', feature: 'rms_g', direction: 'above', limit: 1 } as const;
  const ids = ({ transitions }: Bench) => transitions.map(({ id }) => id);

  it('is the same for the same data, and another each time, for each machine, sensor and metric, and for a replay', () => {
    const all = () => [
      ...ids(
        new Bench(hot).read(0, { temperature: 99 }).read(1000, { temperature: 1 }).read(2000, { temperature: 99 }),
      ),
      ...ids(
        new Bench(hot).read(
          0,
          { temperature: 99 },
          { at: machineKey(tenant, 'akron' as SiteId, 'press-8' as MachineId) },
        ),
      ),
      ...ids(new Bench(hot).read(0, { temperature: 99 }, { imported: true })),
      ...['de', 'nde'].flatMap((sensor) =>
        ids(new Bench(loud).document(0, { sensor, values: { [`${sensor}.rms_g`]: 2 } })),
      ),
      ...ids(new Bench({ ...loud, feature: '*_g' }).document(0, { values: { rms_g: 2, peak_g: 2 } })),
    ];
    expect(all()).toHaveLength(9);
    expect(new Set(all()).size).toBe(9);
    expect(all()).toEqual(all());
  });
});

describe('change of rules and machines', () => {
  it('puts a new rule in force at the next reading', () => {
    const bench = new Bench().read(0, { temperature: 99 });
    bench.engine.setRules([versioned(hot)]);
    expect(bench.read(1000, { temperature: 99 }).log).toEqual(['+hot@1000']);
  });

  it('keeps the state of a rule that did not change', () => {
    const bench = new Bench({ ...hot, onDelayMs: 5000 }).read(0, { temperature: 99 });
    bench.engine.setRules([versioned({ ...hot, onDelayMs: 5000 }), versioned({ ...hot, id: 'other' })]);
    expect(bench.read(5000, { temperature: 99 }).log).toEqual(['+hot@5000', '+other@5000']);
  });

  it.each<[string, VersionedRule[]]>([
    ['deleted', []],
    ['changed', [versioned({ ...hot, limit: 200 }, 2)]],
    ['disabled', [versioned({ ...hot, enabled: false }, 2)]],
  ])('returns the condition of a rule that was %s', (_what, rules) => {
    const bench = new Bench(hot).read(0, { temperature: 99 });
    bench.engine.setRules(rules);
    expect(bench.log).toEqual(['+hot@0', '-hot@0 rule-changed']);
  });

  it('returns the condition of a machine that sends nothing but waveforms', () => {
    const bench = new Bench({ kind: 'model-score', id: 'model', text: 'Odd', limit: 3 });
    bench.document(5, { kind: 'prediction', values: { score: 4 } });
    bench.engine.setRules([]);
    expect(bench.log).toEqual(['+model@5', '-model@5 rule-changed']);
  });

  it('returns the conditions of a machine that was removed', () => {
    const bench = new Bench(hot).describe().read(0, { temperature: 99 });
    bench.engine.setMachines([]);
    expect(bench.log).toEqual(['+hot@0', '-hot@0 rule-changed']);
    expect(bench.engine.machineCount).toBe(0);
  });
});

describe('snapshot', () => {
  const rules: RuleDescription[] = [
    { ...hot, onDelayMs: 3000, offDelayMs: 2000, deadband: 5 },
    { kind: 'missing-data', id: 'silent', text: 'Silent', afterMs: 5000 },
    { kind: 'missing-data', id: 'dead', text: 'Dead', metric: 'temperature', afterMs: 4000 },
    { kind: 'missing-data', id: 'any', text: 'Any', metric: '*', afterMs: 8000 },
    worse,
  ];
  type Step =
    | {
        readonly do: 'read';
        readonly at: number;
        readonly value: number;
        readonly metric: string;
        readonly imported: boolean;
      }
    | { readonly do: 'document'; readonly at: number; readonly value: number }
    | { readonly do: 'tick' };
  const at = fc.integer({ min: 0, max: 40_000 });
  const step: fc.Arbitrary<Step> = fc.oneof(
    fc.record({
      do: fc.constant('read' as const),
      at,
      value: fc.integer({ min: 60, max: 100 }),
      metric: fc.constantFrom('temperature', 'rpm'),
      imported: fc.boolean(),
    }),
    fc.record({ do: fc.constant('document' as const), at, value: fc.integer({ min: 1, max: 10 }) }),
    fc.record({ do: fc.constant('tick' as const) }),
  );
  const machine = {
    operatingState: { from: 'threshold', metric: 'rpm', runningAbove: 70 },
    metrics: [
      { name: 'temperature', unit: 'Cel' },
      { name: 'oil', unit: 'Cel' },
    ],
  };

  function take(bench: Bench, each: Step): void {
    if (each.do === 'read') bench.read(each.at, { [each.metric]: each.value }, { imported: each.imported });
    else if (each.do === 'document') bench.document(each.at, { values: { rms_g: each.value } });
    else bench.silence(1000);
  }

  it('resumes any history with the same transitions and ids, each id once', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), fc.nat(80), (steps, cut) => {
        const make = () =>
          new Bench(...rules).describe(machine).note(['maintenance-start', 20_000], ['maintenance-end', 25_000]);
        const whole = make();
        for (const each of steps) take(whole, each);
        const before = make();
        for (const each of steps.slice(0, cut)) take(before, each);
        const after = make();
        const saved = before.engine.snapshotMachine(key);
        if (saved) after.engine.restoreMachine(JSON.parse(JSON.stringify(saved)) as MachineSnapshot);
        for (const each of steps.slice(cut)) take(after, each);
        expect([...before.transitions, ...after.transitions]).toEqual(whole.transitions);
        const ids = whole.transitions.map((each) => each.id);
        expect(new Set(ids).size).toBe(ids.length);
      }),
      { numRuns: 300 },
    );
  });

  it('returns what was active under a rule that changed meanwhile', () => {
    const before = new Bench(hot).read(0, { temperature: 99 });
    const after = new Bench();
    after.engine.setRules([versioned(hot, 2)]);
    after.engine.restoreMachine(before.engine.snapshotMachine(key)!);
    expect(after.log).toEqual(['-hot@0 rule-changed']);
  });

  it('is not needed to know what is active: the journal’s alarms tell', () => {
    const raised = new Bench(hot).read(0, { temperature: 99 }).first;
    const part = { ...raised.part, active: true, occurrences: 1, firstAtMs: raised.atMs, lastAtMs: raised.atMs };
    const adopt = (bench: Bench) => {
      bench.engine.adopt([{ machine: key, replayed: false, parts: [part] } as never]);
      return bench;
    };
    const same = adopt(new Bench(hot)).read(1000, { temperature: 99 }).read(2000, { temperature: 20 });
    expect(same.log).toEqual(['-hot@2000 condition']);
    expect(adopt(new Bench()).log).toEqual(['-hot@0 rule-changed']);
  });
});
