import { afterEach, describe, expect, it } from '@jest/globals';
import { HeldClock } from '#test/support/held-clock.ts';
import { MemoryEventStream } from '#test/support/memory-event-stream.ts';
import { MemoryMachineRegistry } from '#test/support/memory-machine-registry.ts';
import { MemoryObjectStore } from '#test/support/memory-object-store.ts';
import { until } from '../contracts/until.ts';
import { PortError } from '../errors.ts';
import { machineKey, type MachineId, type MachineKey, type SiteId, type TenantId } from '../domain/ids.ts';
import { machineSchema } from '../domain/plant.ts';
import type { StreamName } from '../domain/event.ts';
import { parseWaveformObject, WAVEFORM_KEY } from '../domain/waveform-object.ts';
import type { WaveformReference } from '../domain/waveform.ts';
import type { DeviceMessage } from '../ports/device-gateway.ts';
import type { Backlog, ReadBacklogs } from './backlog-watch.ts';
import { INTAKE_KINDS } from './back-pressure.ts';
import { Intake, INTAKE_DEFAULTS, type IntakeOptions } from './intake.ts';

const NOW_MS = Date.parse('2026-11-21T01:00:00.000Z');
const TENANT = 'acme' as TenantId;
const SITE = 'akron' as SiteId;
const PRESS = machineKey(TENANT, SITE, 'press-7' as MachineId);
const PUMP = machineKey(TENANT, SITE, 'pump-2' as MachineId);

interface World {
  readonly stream: MemoryEventStream;
  readonly objects: MemoryObjectStore;
  readonly machines: MemoryMachineRegistry;
  readonly clock: HeldClock;
  readonly problems: unknown[];
  intake: Intake;
  restart(options?: Partial<IntakeOptions>): Promise<void>;
}

const opened: World[] = [];
afterEach(async () => {
  for (const world of opened.splice(0)) {
    world.stream.release();
    await world.intake.stop();
    expect(world.problems).toEqual([]);
  }
});

async function open(
  options: Partial<IntakeOptions> = {},
  backlogs?: ReadBacklogs,
  isMoved: boolean | 'unknown' = false,
): Promise<World> {
  const stream = new MemoryEventStream();
  const objects = new MemoryObjectStore();
  const machines = new MemoryMachineRegistry();
  const clock = new HeldClock(NOW_MS);
  const problems: unknown[] = [];
  for (const id of ['press-7', 'pump-2']) {
    const metrics = [{ name: 'temperature', unit: 'Cel', min: -60, max: 400 }];
    await machines.putMachine(TENANT, SITE, machineSchema.parse({ id, class: 'press', metrics }));
  }
  let incarnation = 0;
  const make = (changed: Partial<IntakeOptions>) =>
    new Intake(
      {
        stream,
        tail: stream,
        machines,
        objects,
        clock,
        receiptKey: Uint8Array.from({ length: 16 }, () => ++incarnation),
        incarnation: `i${incarnation}`,
        onProblem: (_what, error) => problems.push(error),
        ...(backlogs && { backlogs }),
        isMoved: async () => {
          if (isMoved === 'unknown') throw new PortError('unavailable', 'the store is away');
          return isMoved;
        },
      },
      { ...INTAKE_DEFAULTS, retryDelayMs: 20, ...options, ...changed },
    );
  const world: World = {
    ...{ stream, objects, machines, clock, problems },
    intake: make({}),
    restart: async (changed = {}) => {
      await world.intake.stop();
      world.intake = make(changed);
      await world.intake.start();
    },
  };
  await world.intake.start();
  opened.push(world);
  return world;
}

function telemetry(body: unknown, machine: MachineKey = PRESS): DeviceMessage {
  const payload = Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
  return { tenant: TENANT, machine, sender: 'press-7', content: { kind: 'telemetry', payload } };
}

const FLOATS = Float32Array.from({ length: 16 }, (_, at) => at / 2 - 3);

function waveform(body: Record<string, unknown>): DeviceMessage {
  const samples = Buffer.from(FLOATS.buffer).toString('base64');
  const full = { ts: NOW_MS, sampleRateHz: 25_600, unit: 'g', encoding: 'f32le', samples, ...body };
  const content = {
    kind: 'waveform-json',
    sensor: 'de-horizontal',
    payload: Buffer.from(JSON.stringify(full)),
  } as const;
  return { tenant: TENANT, machine: PRESS, sender: 'press-7', content };
}

function log(world: World, stream: 'metrics' | 'raw-waveform' = 'metrics'): string[] {
  return world.stream
    .events(stream)
    .map(({ kind, eventId, items }) => `${kind} ${eventId.replace(/^~r.*/, '~r')} ${items}`);
}

const message = (id: string, ts = NOW_MS) => ({ id, ts, metrics: { temperature: 61, current: 4 } });
const settled = (promise: Promise<unknown>) =>
  Promise.race([
    promise.then(
      () => 'settled',
      () => 'failed',
    ),
    new Promise((resolve) => setTimeout(resolve, 20, 'waiting')),
  ]);

describe('acknowledgement', () => {
  it('comes after the events are durable', async () => {
    const world = await open();
    world.stream.hold();
    const accepted = world.intake.accept(telemetry(message('a')));
    expect(await settled(accepted)).toBe('waiting');
    world.stream.release();
    expect(await accepted).toEqual({ accepted: 2, duplicate: 0, rejected: [] });
  });

  it('shares one publish among all messages of a turn', async () => {
    const world = await open();
    const turn = Array.from({ length: 50 }, (_, i) => world.intake.accept(telemetry(message(`m-${i}`))));
    await Promise.all(turn);
    expect(world.stream.publishes).toBe(1);
    expect(world.stream.events('metrics')).toHaveLength(50);
  });

  it('fails when the append fails, and the message is accepted when it comes again', async () => {
    const world = await open();
    world.stream.failure = { error: new PortError('resource_exhausted', 'the disk is full') };
    await expect(world.intake.accept(telemetry(message('a')))).rejects.toMatchObject({ code: 'resource_exhausted' });
    expect(world.intake.refusalReasons('telemetry')).toEqual(['append-failing']);
    expect(world.intake.refusalReasons('waveform')).toEqual([]);
    await expect(world.intake.accept(telemetry(message('b')))).rejects.toMatchObject({ code: 'resource_exhausted' });

    world.stream.failure = undefined;
    await world.intake.whenReady('telemetry');
    expect(await world.intake.accept(telemetry(message('a')))).toMatchObject({ accepted: 2 });
    expect(log(world)).toEqual(['telemetry a 2']);
  });

  it('tells of an append that failed until one has succeeded, also while it takes messages', async () => {
    const world = await open();
    const problems = () => INTAKE_KINDS.map((kind) => [world.intake.problem(kind), world.intake.appendProblem(kind)]);
    const none = [undefined, undefined];
    world.stream.failure = { error: new PortError('unavailable', 'no answer') };
    await expect(world.intake.accept(telemetry(message('a')))).rejects.toMatchObject({ code: 'unavailable' });
    const failing = 'events cannot be made durable: no answer';
    expect(problems()).toEqual([[`intake takes no more telemetry for now: ${failing}`, undefined], none]);
    await world.intake.whenReady('telemetry');
    expect(problems()).toEqual([[undefined, `the newest telemetry was refused: ${failing}`], none]);
    world.stream.failure = undefined;
    await world.intake.accept(telemetry(message('a')));
    expect(problems()).toEqual([none, none]);
  });

  it('after an append that failed without saying whether it is durable, the same event is looked up in the store', async () => {
    const world = await open();
    world.stream.failure = { error: new PortError('unavailable', 'no answer'), alsoAppends: true };
    await expect(world.intake.accept(telemetry(message('a')))).rejects.toMatchObject({ code: 'unavailable' });
    world.stream.failure = undefined;
    await world.intake.whenReady('telemetry');
    await world.intake.accept(telemetry(message('a')));
    await world.intake.accept(telemetry(message('b', NOW_MS + 1)));
    expect(world.stream.events('metrics').map(({ eventId, verifyStored }) => [eventId, verifyStored === true])).toEqual(
      [
        ['a', false],
        ['a', true],
        ['b', false],
      ],
    );
  });
});

describe('the ledger of intake', () => {
  it('holds each item of a partly bad message: what was kept and what was refused', async () => {
    const world = await open();
    const body = { id: 'a', ts: NOW_MS, metrics: { temperature: 61, current: 'x', torque: null } };
    const receipt = await world.intake.accept(telemetry(body));
    expect(receipt).toMatchObject({ accepted: 1, duplicate: 0 });
    expect(receipt.rejected.map(({ code, pointer }) => `${code} ${pointer}`)).toEqual([
      'invalid_type /metrics/current',
      'invalid_type /metrics/torque',
    ]);
    expect(log(world)).toEqual(['telemetry a 1', 'rejection ~r 2']);
    const [, refused] = world.stream.events('metrics');
    expect(JSON.parse(Buffer.from(refused?.payload ?? []).toString())).toEqual(receipt.rejected);
    expect(world.intake.counts().get(TENANT)).toEqual({
      accepted: 1,
      duplicate: 0,
      rejected: { invalid_type: 2 },
      refused: {},
    });
  });

  it('counts a message that cannot be read as one item, each time it comes', async () => {
    const world = await open();
    for (let i = 0; i < 2; i++) {
      expect(await world.intake.accept(telemetry('{"ts":'))).toMatchObject({ rejected: [{ code: 'malformed_json' }] });
    }
    expect(log(world)).toEqual(['rejection ~r 1', 'rejection ~r 1']);
    expect(new Set(world.stream.events('metrics').map(({ eventId }) => eventId)).size).toBe(2);
  });

  it('splits thousands of rejections into events that a stream takes', async () => {
    const world = await open();
    const metrics = Object.fromEntries(
      Array.from({ length: 1000 }, (_, i) => [`m${i}/\u0001${'\u0002'.repeat(90)}`, '\u0003'.repeat(90)]),
    );
    const receipt = await world.intake.accept(telemetry({ ts: NOW_MS, metrics }));
    expect(receipt.rejected).toHaveLength(1000);
    const events = world.stream.events('metrics');
    expect(events.reduce((sum, { items }) => sum + items, 0)).toBe(1000);
    for (const { payload } of events) expect(payload.length).toBeLessThan(900 * 1024);
  });

  it('rejects a payload above the bound without reading it', async () => {
    const world = await open({ maxTelemetryBytes: 10 });
    expect(await world.intake.accept(telemetry(message('a')))).toMatchObject({ rejected: [{ code: 'too_large' }] });
  });

  it('keeps refused traffic apart', async () => {
    const world = await open();
    world.intake.refuse('foreign-topic', TENANT);
    world.intake.refuse('bad-credentials');
    expect(world.intake.counts().get(TENANT)?.refused).toEqual({ 'foreign-topic': 1 });
    expect(world.intake.counts().get('unauthenticated')?.refused).toEqual({ 'bad-credentials': 1 });
    expect(log(world)).toEqual([]);
  });
});

describe('the same message twice', () => {
  it('is stored once and counted as duplicate, refused items included', async () => {
    const world = await open();
    const body = { id: 'a', ts: NOW_MS, metrics: { temperature: 61, current: 'x' } };
    await world.intake.accept(telemetry(body));
    expect(await world.intake.accept(telemetry(body))).toEqual({ accepted: 0, duplicate: 2, rejected: [] });
    expect(log(world)).toEqual(['telemetry a 1', 'rejection ~r 1', 'duplicate a 2']);
    expect(world.intake.counts().get(TENANT)).toMatchObject({
      accepted: 1,
      duplicate: 2,
      rejected: { invalid_type: 1 },
    });
  });

  it('is recognised by its content where it has no id', async () => {
    const world = await open();
    const body = { ts: NOW_MS, metrics: { temperature: 61 } };
    await world.intake.accept(telemetry(body));
    expect(await world.intake.accept(telemetry(body))).toMatchObject({ accepted: 0, duplicate: 1 });
    expect(await world.intake.accept(telemetry({ ...body, ts: NOW_MS + 1 }))).toMatchObject({ accepted: 1 });
  });

  it('is recognised in an array, by place and content', async () => {
    const world = await open();
    const array = [
      { ts: NOW_MS, metrics: { a: 1 } },
      { ts: 'bad', metrics: { a: 1 } },
      { ts: NOW_MS, metrics: { a: 1 } },
    ];
    expect(await world.intake.accept(telemetry(array))).toMatchObject({
      accepted: 2,
      rejected: [{ pointer: '/1/ts' }],
    });
    expect(await world.intake.accept(telemetry(array))).toMatchObject({
      duplicate: 2,
      rejected: [{ pointer: '/1/ts' }],
    });
  });

  it('waits for the first while that is on its way, and is then a duplicate', async () => {
    const world = await open();
    world.stream.hold();
    const first = world.intake.accept(telemetry(message('a')));
    const second = world.intake.accept(telemetry(message('a')));
    expect(await settled(second)).toBe('waiting');
    world.stream.release();
    expect(await Promise.all([first, second])).toMatchObject([{ accepted: 2 }, { duplicate: 2 }]);
    expect(log(world)).toEqual(['telemetry a 2', 'duplicate a 2']);
  });

  it('fails with the first, because nothing of either is durable', async () => {
    const world = await open();
    world.stream.failure = { error: new PortError('unavailable', 'no answer') };
    const both = [world.intake.accept(telemetry(message('a'))), world.intake.accept(telemetry(message('a')))];
    const outcomes = await Promise.allSettled(both);
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(log(world)).toEqual([]);
  });

  it('within one array is stored once', async () => {
    const world = await open();
    const receipt = await world.intake.accept(telemetry([message('a'), message('a')]));
    expect(receipt).toEqual({ accepted: 2, duplicate: 2, rejected: [] });
  });

  it('is another event on another machine', async () => {
    const world = await open();
    await world.intake.accept(telemetry(message('a'), PRESS));
    expect(await world.intake.accept(telemetry(message('a'), PUMP))).toMatchObject({ accepted: 2, duplicate: 0 });
  });

  it('is recognised after a restart, from the log', async () => {
    const world = await open();
    await world.intake.accept(telemetry({ ...message('a'), ts: new Date(NOW_MS).toISOString() }));
    await world.intake.accept(telemetry({ ts: NOW_MS, metrics: { ts: 7 } }));
    await world.restart();
    expect(await world.intake.accept(telemetry(message('a')))).toMatchObject({ duplicate: 2 });
    expect(await world.intake.accept(telemetry({ ts: NOW_MS, metrics: { ts: 7 } }))).toMatchObject({ duplicate: 1 });
  });

  it('is looked up in the store while the log is still being read back, which a start does not wait for', async () => {
    const world = await open();
    await world.intake.accept(telemetry(message('a')));
    const { promise: read, resolve: readOn } = Promise.withResolvers<undefined>();
    const readTail = world.stream.readTail.bind(world.stream);
    world.stream.readTail = async function* (stream, limits) {
      await read;
      yield* readTail(stream, limits);
    };
    await world.restart({ receiptWaitMs: 10 });
    await world.intake.accept(telemetry(message('a')));
    expect(world.stream.events('metrics').map(({ verifyStored }) => verifyStored === true)).toEqual([false, true]);
    readOn(undefined);
    await settled(new Promise(() => undefined));
    world.clock.advance(6 * 60_000);
    await world.intake.accept(telemetry(message('b', NOW_MS + 6 * 60_000)));
    expect(world.stream.events('metrics').at(-1)?.verifyStored).toBeUndefined();
  });

  it('is looked up in the store when it may have come before the window', async () => {
    const world = await open({ maxReceiptsPerGeneration: 10 });
    for (let i = 0; i < 30; i++) await world.intake.accept(telemetry(message(`m-${i}`, NOW_MS + i)));
    await world.intake.accept(telemetry(message('m-0', NOW_MS)));
    await world.intake.accept(telemetry(message('m-30', NOW_MS + 30)));
    const byId = (id: string) => world.stream.events('metrics').filter(({ eventId }) => eventId === id);
    expect(byId('m-0').map(({ verifyStored }) => verifyStored)).toEqual([undefined, true]);
    expect(byId('m-30').map(({ verifyStored }) => verifyStored)).toEqual([undefined]);
  });

  it('is looked up after a restart when the log tail does not reach back far enough', async () => {
    const world = await open();
    world.clock.advance(3_600_000);
    await world.restart();
    await world.intake.accept(telemetry(message('old', NOW_MS)));
    await world.intake.accept(telemetry(message('new', NOW_MS + 3_600_000)));
    expect(world.stream.events('metrics').map(({ verifyStored }) => verifyStored === true)).toEqual([true, false]);
  });
});

describe('an event at a site that was moved here', () => {
  const MINUTE_MS = 60_000;

  it.each([
    [true, [true, undefined, true, undefined]],
    ['unknown', [true, undefined, true, undefined]],
    [false, [undefined, undefined, undefined, undefined]],
  ] as const)(
    'is looked up in the store where it may have come to the one before (moved: %s)',
    async (isMoved, looked) => {
      const world = await open({}, undefined, isMoved);
      const accept = async (minute: number, id: string) =>
        world.intake.accept(telemetry(message(id, NOW_MS + minute * MINUTE_MS)));
      await accept(2, 'first');
      world.clock.advance(6 * MINUTE_MS);
      await accept(6, 'before');
      await world.restart();
      await accept(4, 'late');
      await accept(6, 'after');
      expect(world.stream.events('metrics').map(({ verifyStored }) => verifyStored)).toEqual(looked);
    },
  );
});

describe('an unknown machine', () => {
  const stranger = machineKey(TENANT, SITE, 'stranger' as MachineId);

  it('is quarantined, and its message acknowledged and rejected', async () => {
    const world = await open();
    expect(await world.intake.accept(telemetry(message('a'), stranger))).toMatchObject({
      accepted: 0,
      rejected: [{ code: 'unknown_machine' }],
    });
    expect(log(world)).toEqual(['rejection ~r 1']);
    expect(await world.machines.listQuarantine(TENANT)).toMatchObject([
      { key: stranger, device: 'press-7', sample: expect.stringContaining('temperature') },
    ]);
  });

  it('is known from its first message after it was adopted', async () => {
    const world = await open();
    await world.intake.accept(telemetry(message('a'), stranger));
    await world.machines.putMachine(TENANT, SITE, machineSchema.parse({ id: 'stranger', class: 'other' }));
    expect(await world.intake.accept(telemetry(message('b'), stranger))).toMatchObject({ accepted: 2 });
  });

  it('that was just registered is known to all messages that come while the registry is asked', async () => {
    const world = await open();
    await world.machines.putMachine(TENANT, SITE, machineSchema.parse({ id: 'stranger', class: 'other' }));
    const sent = ['a', 'b', 'c'].map((id) => world.intake.accept(telemetry(message(id), stranger)));
    for (const receipt of await Promise.all(sent)) expect(receipt).toMatchObject({ accepted: 2, rejected: [] });
  });

  it('becomes unknown again when it is deleted', async () => {
    const world = await open();
    await world.machines.deleteMachine(PUMP);
    let sent = 0;
    await until(async () => {
      const { rejected } = await world.intake.accept(telemetry(message(`m-${sent++}`), PUMP));
      return rejected[0]?.code === 'unknown_machine';
    });
  });

  it('with a name that is none is refused', async () => {
    const world = await open();
    for (const name of ['acme/akron', 'acme/akron/a/b', 'acme/akron/..', `acme/akron/${'x'.repeat(65)}`]) {
      const outcome = world.intake.accept(telemetry(message('a'), name as MachineKey));
      await expect(outcome).rejects.toMatchObject({ code: 'invalid_argument' });
    }
    expect(log(world)).toEqual([]);
  });

  it('does not make memory grow with made-up names', async () => {
    const world = await open();
    for (let i = 0; i < 300; i++) {
      const name = machineKey(TENANT, SITE, `ghost-${i}` as MachineId);
      await world.intake.accept(telemetry(message('a'), name));
    }
    expect(world.intake.gauges()).toMatchObject({ inFlightEvents: 0, receipts: 0 });
  });
});

describe('back-pressure', () => {
  it('refuses above the events in flight, and opens by itself when half of them are durable', async () => {
    const world = await open({ maxInFlightEvents: 10 });
    world.stream.hold();
    const first = Array.from({ length: 10 }, (_, i) => world.intake.accept(telemetry(message(`m-${i}`))));
    await new Promise((resolve) => setImmediate(resolve));
    expect(world.intake.refusalReasons('telemetry')).toEqual(['in-flight']);
    expect(world.intake.refusalReasons('waveform')).toEqual(['in-flight']);
    await expect(world.intake.accept(telemetry(message('x')))).rejects.toMatchObject({ code: 'resource_exhausted' });
    world.stream.release();
    await world.intake.whenReady('telemetry');
    await Promise.all(first);
    expect(await world.intake.accept(telemetry(message('x')))).toMatchObject({ accepted: 2 });
  });

  const behind = (stream: StreamName, group: string, events: number, fullness = 0) => ({
    stream,
    group,
    events,
    fullness,
  });
  it.each([
    ['telemetry', 'waveform', behind('metrics', 'store', 100), behind('metrics', 'store', 51)],
    ['telemetry', 'waveform', behind('windows', 'alerts', 1, 0.75), behind('windows', 'alerts', 1, 0.4)],
    ['waveform', 'telemetry', behind('raw-waveform', 'compute', 100), behind('raw-waveform', 'compute', 51)],
    ['waveform', 'telemetry', behind('features', 'ml', 9, 0.8), behind('features', 'ml', 9, 0.38)],
  ] as const)(
    'refuses %s and goes on with %s while $2.group is too far behind on $2.stream, until half is worked off',
    async (refused, taken, atBound, aboveHalf) => {
      const messages = {
        telemetry: (id: string) => world.intake.accept(telemetry(message(id))),
        waveform: (id: string) => world.intake.accept(waveform({ id })),
      };
      let backlog: Backlog = { ...atBound, events: 0, fullness: 0 };
      const looked = { times: 0 };
      const world = await open({ maxPendingEvents: 100, maxFullness: 0.75, probeEveryMs: 2 }, async (kind) => {
        looked.times++;
        return kind === refused ? [behind('metrics', 'compute', 3), backlog] : [];
      });
      const afterALook = async () => {
        const enough = looked.times + 4;
        await until(() => looked.times >= enough);
      };
      await messages[refused]('a');
      backlog = atBound;
      await afterALook();
      const why = new RegExp(
        `no more ${refused}.*the group ${atBound.group} has ${atBound.events} events of the stream ${atBound.stream}`,
      );
      await expect(messages[refused]('b')).rejects.toMatchObject({
        code: 'resource_exhausted',
        message: expect.stringMatching(why),
      });
      expect([world.intake.isReady(), world.intake.isReady(refused), world.intake.isReady(taken)]).toEqual([
        true,
        false,
        true,
      ]);
      await messages[taken]('a');
      backlog = aboveHalf;
      await afterALook();
      await expect(messages[refused]('b')).rejects.toMatchObject({ code: 'resource_exhausted' });
      backlog = { ...atBound, events: 1, fullness: 0.1 };
      await world.intake.whenReady(refused);
      await messages[refused]('b');
    },
  );

  it('goes on with the other kind while one stream takes no more', async () => {
    const world = await open();
    world.stream.failure = { error: new PortError('resource_exhausted', 'the stream is full') };
    await expect(world.intake.accept(waveform({ id: 'a' }))).rejects.toMatchObject({ code: 'resource_exhausted' });
    world.stream.failure = undefined;
    await expect(world.intake.accept(waveform({ id: 'a' }))).rejects.toThrow(
      /events cannot be made durable: the stream is full/,
    );
    await world.intake.accept(telemetry(message('a')));
    await world.intake.whenReady('waveform');
    await world.intake.accept(waveform({ id: 'a' }));
  });

  it('keeps what it knows while the consumers cannot be asked', async () => {
    let isAway = false;
    const world = await open({ maxPendingEvents: 100, probeEveryMs: 2 }, async () => {
      if (isAway) throw new PortError('unavailable', 'away');
      return [behind('metrics', 'store', 100)];
    });
    isAway = true;
    await until(() => world.problems.length >= 4);
    expect(world.intake.isReady()).toBe(false);
    isAway = false;
    world.problems.length = 0;
  });

  it('takes nothing after stop, and stop waits for what was taken', async () => {
    const world = await open();
    world.stream.hold();
    const accepted = world.intake.accept(telemetry(message('a')));
    const stopped = world.intake.stop();
    expect(await settled(stopped)).toBe('waiting');
    await expect(world.intake.accept(telemetry(message('b')))).rejects.toMatchObject({ code: 'resource_exhausted' });
    world.stream.release();
    await stopped;
    expect(await accepted).toMatchObject({ accepted: 2 });
  });
});

describe('clocks', () => {
  it('set back by an hour do not make the platform reject what devices send', async () => {
    const world = await open();
    world.clock.setWall(NOW_MS - 3_600_000);
    expect(await world.intake.accept(telemetry(message('a', NOW_MS)))).toMatchObject({ accepted: 2 });
  });

  it('that count fractions of a millisecond do not get into events', async () => {
    const world = await open();
    world.clock.advance(0.7);
    world.clock.setWall(NOW_MS);
    await world.intake.accept(telemetry([message('a'), { ts: 'soon', metrics: { a: 1 } }]));
    const times = world.stream.events('metrics').map(({ acceptedAtMs }) => acceptedAtMs);
    expect(times).toEqual([NOW_MS, NOW_MS]);
  });

  it('set back and right again do not let an event be stored twice after a restart', async () => {
    const world = await open();
    world.clock.setWall(NOW_MS - 7_200_000);
    await world.intake.accept(telemetry(message('a', NOW_MS)));
    world.clock.setWall(NOW_MS);
    await world.restart();
    expect(await world.intake.accept(telemetry(message('a', NOW_MS)))).toMatchObject({ accepted: 0, duplicate: 2 });
  });

  it('set ahead by a day do not make it reject either', async () => {
    const world = await open();
    world.clock.setWall(NOW_MS + 86_400_000);
    expect(await world.intake.accept(telemetry(message('a', NOW_MS)))).toMatchObject({ accepted: 2 });
  });
});

describe('a waveform', () => {
  it('has its samples in the object store before its reference is published', async () => {
    const world = await open();
    world.stream.hold();
    const accepted = world.intake.accept(waveform({ id: 'w-1', rpm: 1797 }));
    await settled(accepted);
    const [key] = (await world.objects.list({ prefix: '', limit: 10 })).map((info) => info.key);
    world.stream.release();
    expect(await accepted).toEqual({ accepted: 1, duplicate: 0, rejected: [] });

    const [event] = world.stream.events('raw-waveform');
    expect(event).toMatchObject({ kind: 'waveform', eventId: 'waveform/de-horizontal/w-1', items: 1 });
    const reference = JSON.parse(Buffer.from(event?.payload ?? []).toString()) as WaveformReference;
    expect(reference).toMatchObject({ ts: NOW_MS, sampleCount: 16, rpm: 1797, objectKey: key });
    expect(reference.objectKey).toMatch(WAVEFORM_KEY);
    const { description, samples } = parseWaveformObject((await world.objects.get(reference.objectKey))!);
    expect([...samples]).toEqual([...FLOATS]);
    const { objectKey: _where, ...described } = reference;
    expect(description).toMatchObject({ ...described, tenant: 'acme', site: 'akron', machine: 'press-7' });
  });

  it('twice is stored once', async () => {
    const world = await open();
    for (const body of [{ id: 'w-1' }, {}]) {
      await world.intake.accept(waveform(body));
      expect(await world.intake.accept(waveform(body))).toMatchObject({ accepted: 0, duplicate: 1 });
    }
    expect(log(world, 'raw-waveform').map((line) => line.split(' ')[0])).toEqual([
      'waveform',
      'duplicate',
      'waveform',
      'duplicate',
    ]);
  });

  const appended = (...ids: readonly string[]) => ids.map((id) => `waveform waveform/de-horizontal/${id} 1`);

  it('is appended after those of its machine that came before, whichever is stored first', async () => {
    const world = await open();
    const slow = Promise.withResolvers<undefined>();
    const put = world.objects.put.bind(world.objects);
    let puts = 0;
    world.objects.put = async (...given) => {
      if (++puts === 1) await slow.promise;
      return put(...given);
    };
    const accepted = ['w-1', 'w-2'].map((id) => world.intake.accept(waveform({ id })));
    expect(await settled(accepted[1]!)).toBe('waiting');
    slow.resolve(undefined);
    await Promise.all(accepted);
    expect(log(world, 'raw-waveform')).toEqual(appended('w-1', 'w-2'));
  });

  it('that is not kept is not overtaken by those of its machine that wait behind it', async () => {
    const world = await open();
    const slow = Promise.withResolvers<undefined>();
    const put = world.objects.put.bind(world.objects);
    let puts = 0;
    world.objects.put = async (...given) => {
      const nth = ++puts;
      if (nth === 1) await slow.promise;
      if (nth === 2) throw new PortError('unavailable', 'by the test');
      return put(...given);
    };
    const offer = (...ids: readonly string[]) =>
      Promise.allSettled(ids.map((id) => world.intake.accept(waveform({ id }))));
    const offered = offer('w-1', 'w-2', 'w-3');
    slow.resolve(undefined);
    expect((await offered).map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected']);
    await offer('w-2', 'w-3');
    expect(log(world, 'raw-waveform')).toEqual(appended('w-1', 'w-2', 'w-3'));
  });

  it('that could not be appended is not overtaken by one that was still being stored', async () => {
    const world = await open();
    const slow = Promise.withResolvers<undefined>();
    const put = world.objects.put.bind(world.objects);
    let puts = 0;
    world.objects.put = async (...given) => {
      if (++puts === 2) await slow.promise;
      return put(...given);
    };
    world.stream.failure = { error: new PortError('unavailable', 'no answer') };
    const [first, second] = ['w-1', 'w-2'].map((id) => world.intake.accept(waveform({ id })));
    const refused = expect(second).rejects.toMatchObject({ code: 'unavailable' });
    await expect(first).rejects.toMatchObject({ code: 'unavailable' });
    world.stream.failure = undefined;
    slow.resolve(undefined);
    await refused;
    expect(log(world, 'raw-waveform')).toEqual([]);
  });

  it('is refused, not rejected, while the object store is full, and accepted when it comes again', async () => {
    const world = await open();
    world.objects.full = true;
    await expect(world.intake.accept(waveform({ id: 'w-1' }))).rejects.toMatchObject({ code: 'resource_exhausted' });
    world.objects.full = false;
    expect(await world.intake.accept(waveform({ id: 'w-1' }))).toMatchObject({ accepted: 1 });
    expect(world.stream.events('raw-waveform')).toHaveLength(1);
  });

  it.each([
    ['samples are kept again', (world: World) => world.intake.accept(waveform({ id: 'w-2' }))],
    ['none came for a minute', async (world: World) => world.clock.advance(60_001)],
  ])('is told of where its samples cannot be kept, until %s', async (_until, pass) => {
    const world = await open();
    world.objects.full = true;
    await expect(world.intake.accept(waveform({ id: 'w-1' }))).rejects.toThrow();
    const problem = 'intake takes no waveforms, as it cannot keep their samples: the disk is full';
    expect([world.intake.samplesProblem(), world.intake.isReady()]).toEqual([problem, true]);
    world.objects.full = false;
    await pass(world);
    expect(world.intake.samplesProblem()).toBeUndefined();
  });

  it.each([
    ['a bad one', waveform({ sampleRateHz: 0 }), 'invalid_sample_rate'],
    [
      'a sensor with a path for a name',
      { ...waveform({}), content: { ...waveform({}).content, sensor: '..' } } as DeviceMessage,
      'invalid_sensor',
    ],
  ])('is rejected as one item: %s', async (_reason, sent, code) => {
    const world = await open();
    expect(await world.intake.accept(sent)).toMatchObject({ accepted: 0, rejected: [{ code }] });
    expect(log(world, 'raw-waveform')).toEqual(['rejection ~r 1']);
  });
});

describe('a waveform in parts', () => {
  const floats = Float32Array.from({ length: 18 }, (_, i) => i);
  const part = (number: number, change: Record<string, unknown> = {}) =>
    waveform({
      id: 'w-1',
      part: number,
      parts: 3,
      samples: Buffer.from(floats.slice(6 * number - 6, 6 * number).buffer).toString('base64'),
      ...change,
    });
  const stored = async (world: World) => {
    const [event] = world.stream.events('raw-waveform').filter(({ kind }) => kind === 'waveform');
    const reference = JSON.parse(Buffer.from(event?.payload ?? []).toString()) as WaveformReference;
    return [...parseWaveformObject((await world.objects.get(reference.objectKey))!).samples];
  };
  const partsLeft = async (world: World) => (await world.objects.list({ prefix: 'parts/', limit: 10 })).length;

  it('is one item, put together in order whatever the order of arrival, and leaves no parts behind', async () => {
    const world = await open();
    expect(await world.intake.accept(part(3))).toEqual({ accepted: 0, duplicate: 0, rejected: [] });
    await world.intake.accept(part(1));
    expect(await world.intake.accept(part(2))).toMatchObject({ accepted: 1 });
    expect(await stored(world)).toEqual([...floats]);
    expect(log(world, 'raw-waveform')).toEqual(['waveform waveform/de-horizontal/w-1 1']);
    expect(await partsLeft(world)).toBe(0);
  });

  it('is appended before one of its machine that came right behind its last part', async () => {
    const world = await open();
    await world.intake.accept(part(1));
    await world.intake.accept(part(2));
    await Promise.all([part(3), waveform({ id: 'w-2' })].map((sent) => world.intake.accept(sent)));
    expect(log(world, 'raw-waveform')).toEqual(['w-1', 'w-2'].map((id) => `waveform waveform/de-horizontal/${id} 1`));
  });

  it('of which a part is not kept is not overtaken by one of its machine that came right behind', async () => {
    const world = await open();
    await world.intake.accept(part(1));
    await world.intake.accept(part(2));
    const put = world.objects.put.bind(world.objects);
    let puts = 0;
    world.objects.put = async (...given) => {
      if (++puts === 1) throw new PortError('unavailable', 'by the test');
      return put(...given);
    };
    const sent = [part(3), waveform({ id: 'w-2' })];
    const offered = await Promise.allSettled(sent.map((each) => world.intake.accept(each)));
    expect(offered.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    await Promise.all(sent.map((each) => world.intake.accept(each)));
    expect(log(world, 'raw-waveform')).toEqual(['w-1', 'w-2'].map((id) => `waveform waveform/de-horizontal/${id} 1`));
  });

  it('that waits for more parts holds up none of its machine', async () => {
    const world = await open();
    await world.intake.accept(part(1));
    expect(await world.intake.accept(waveform({ id: 'w-2' }))).toMatchObject({ accepted: 1 });
    await world.intake.accept(part(2));
    expect(await world.intake.accept(part(3))).toMatchObject({ accepted: 1 });
    expect(log(world, 'raw-waveform')).toEqual(['w-2', 'w-1'].map((id) => `waveform waveform/de-horizontal/${id} 1`));
  });

  it('has each part durable before that part is acknowledged', async () => {
    const world = await open();
    world.objects.full = true;
    await expect(world.intake.accept(part(1))).rejects.toMatchObject({ code: 'resource_exhausted' });
    world.objects.full = false;
    await world.intake.accept(part(1));
    expect(await partsLeft(world)).toBe(1);
  });

  it('survives a restart between its parts', async () => {
    const world = await open();
    await world.intake.accept(part(1));
    await world.intake.accept(part(2));
    await world.restart();
    expect(await world.intake.accept(part(3))).toMatchObject({ accepted: 1 });
    expect(await stored(world)).toEqual([...floats]);
  });

  it('is completed after a restart when all parts had come', async () => {
    const world = await open();
    await world.intake.accept(part(1));
    await world.intake.accept(part(2));
    world.stream.failure = { error: new PortError('unavailable', 'no answer') };
    await expect(world.intake.accept(part(3))).rejects.toMatchObject({ code: 'unavailable' });
    world.stream.failure = undefined;
    await world.restart();
    expect(await stored(world)).toEqual([...floats]);
    expect(await partsLeft(world)).toBe(0);
  });

  it('counts a part that comes again as nothing before the waveform is complete, and as a duplicate after', async () => {
    const world = await open();
    await world.intake.accept(part(1));
    expect(await world.intake.accept(part(1))).toMatchObject({ accepted: 0, duplicate: 0 });
    await world.intake.accept(part(2));
    await world.intake.accept(part(3));
    expect(await world.intake.accept(part(3))).toMatchObject({ duplicate: 1 });
  });

  it('is rejected as incomplete after 60 s, as one item', async () => {
    const world = await open();
    await world.intake.accept(part(1));
    await world.intake.accept(part(2));
    world.clock.advance(60_000);
    await until(async () => (await partsLeft(world)) === 0 && world.intake.gauges().openWaveforms === 0);
    const events = world.stream.events('raw-waveform');
    expect(events).toMatchObject([{ kind: 'rejection', items: 1 }]);
    expect(JSON.parse(Buffer.from(events[0]!.payload).toString())).toMatchObject([{ code: 'incomplete_waveform' }]);
  });

  it.each([
    ['whose parts disagree', { sampleRateHz: 12_800 }, 'invalid_part'],
    ['with an odd byte count', { samples: 'AAAA' }, 'truncated_samples'],
  ])('is rejected as one item %s', async (_reason, change, code) => {
    const world = await open();
    await world.intake.accept(part(1));
    await world.intake.accept(part(2));
    expect(await world.intake.accept(part(3, change))).toMatchObject({ accepted: 0, rejected: [{ code }] });
    expect(await partsLeft(world)).toBe(0);
  });

  it('is rejected while too many others of the machine are incomplete', async () => {
    const world = await open({ maxOpenWaveformsPerMachine: 2 });
    await world.intake.accept(part(1, { id: 'w-1' }));
    await world.intake.accept(part(1, { id: 'w-2' }));
    expect(await world.intake.accept(part(1, { id: 'w-3' }))).toMatchObject({
      rejected: [{ code: 'too_many_open_waveforms' }],
    });
    expect(await world.intake.accept(part(2, { id: 'w-1' }))).toMatchObject({ rejected: [] });
  });

  it('without an id belongs together by its time', async () => {
    const world = await open();
    for (const number of [1, 2, 3]) await world.intake.accept(part(number, { id: undefined }));
    expect(await stored(world)).toEqual([...floats]);
  });

  it('without an id counts a part that comes again after the last as a duplicate, and opens nothing for it', async () => {
    const world = await open();
    for (const number of [1, 2, 3]) await world.intake.accept(part(number, { id: undefined }));
    expect(await world.intake.accept(part(3, { id: undefined }))).toEqual({ accepted: 0, duplicate: 1, rejected: [] });
    expect(world.intake.gauges().openWaveforms).toBe(0);
    expect(await partsLeft(world)).toBe(0);
    const [first, second] = world.stream.events('raw-waveform');
    expect(second).toMatchObject({ kind: 'duplicate', eventId: first?.eventId, items: 1 });
  });

  it('without an id is another waveform when it comes with the same time and other samples', async () => {
    const world = await open();
    for (const number of [1, 2, 3]) await world.intake.accept(part(number, { id: undefined }));
    const others = {
      id: undefined,
      samples: Buffer.from(Float32Array.of(7, 8, 9, 10, 11, 12).buffer).toString('base64'),
    };
    await world.intake.accept(part(1, others));
    await world.intake.accept(part(2, others));
    expect(await world.intake.accept(part(3, others))).toMatchObject({ accepted: 1 });
  });

  it('that was settled is remembered within a bound', async () => {
    const world = await open({ maxOpenWaveforms: 2 });
    for (const ts of [1, 2, 3]) {
      for (const number of [1, 2, 3]) await world.intake.accept(part(number, { id: undefined, ts: NOW_MS + ts }));
    }
    expect(await world.intake.accept(part(3, { id: undefined, ts: NOW_MS + 3 }))).toMatchObject({ duplicate: 1 });
    expect(await world.intake.accept(part(3, { id: undefined, ts: NOW_MS + 1 }))).toMatchObject({ duplicate: 0 });
  });
});
