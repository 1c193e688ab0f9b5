import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { TelemetryMessage } from '../messages.ts';
import { acceptAll, startBroker, startGateway } from '#test/support/wire-peers.ts';
import { ReliableSender } from './reliable-sender.ts';
import { RecordingProgress } from './replay-journal.ts';
import { replay } from './replay.ts';
import type { ReplayOptions } from './replay.ts';
import type { ReplayProgress } from './replay-tally.ts';
import { describeWithDatasets, DATASETS } from './test-datasets.ts';
import { inTimeOrder } from './time-order.ts';

let folder: string;
const cleanups: (() => Promise<void>)[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tribo-replay-'));
  await mkdir(join(folder, 'csv'));
  await writeFile(
    join(folder, 'mapping.yaml'),
    'timestamp: { column: t, format: epoch-ms }\nmachine: "{file}"\ncolumns: { x: { metric: x, unit: "1" } }\n',
  );
});

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  await rm(folder, { recursive: true, force: true });
});

const NOW_MS = Date.parse('2026-11-21T01:00:00Z');
/** A timer fires up to so much early, and the replay does not wait for less. */
const TIMER_RESOLUTION_MS = 2;
const clock = { nowMs: () => NOW_MS, monotonicMs: () => performance.now() };

/** Writes a series of one machine with a value each `stepMs`, beginning in 2001. */
async function series(machine: string, rows: number, stepMs = 1000): Promise<void> {
  const lines = Array.from({ length: rows }, (_, i) => `${978_307_200_000 + i * stepMs},${i}`);
  await writeFile(join(folder, 'csv', `${machine}.csv`), `t,x\n${lines.join('\n')}\n`);
}

const mqtt = (url: string): ReplayOptions['transport'] => ({
  mode: 'mqtt',
  url,
  device: { id: 'replay', secret: 's' },
});

const options = (transport: ReplayOptions['transport'], changes: Partial<ReplayOptions> = {}): ReplayOptions => ({
  format: 'csv',
  folder: join(folder, 'csv'),
  mapping: join(folder, 'mapping.yaml'),
  tenant: 'demo',
  site: 'akron',
  speed: 'max',
  shiftTimes: 'end',
  transport,
  clock,
  ...changes,
});

const messagesIn = (payload: string): TelemetryMessage[] =>
  [JSON.parse(payload) as TelemetryMessage | TelemetryMessage[]].flat();

interface Arrived {
  readonly machine: string;
  readonly message: TelemetryMessage;
}

const byMqtt = (broker: Awaited<ReturnType<typeof startBroker>>): Arrived[] =>
  broker.published
    .filter(({ topic }) => topic.endsWith('/telemetry'))
    .flatMap(({ topic, payload }) =>
      messagesIn(payload).map((message) => ({ machine: topic.split('/')[4]!, message })),
    );

const byHttp = (gateway: Awaited<ReturnType<typeof startGateway>>): Arrived[] =>
  gateway.requests.flatMap(({ body }) => {
    const { machine, messages } = JSON.parse(body.toString()) as { machine: string; messages: TelemetryMessage[] };
    return messages.map((message) => ({ machine, message }));
  });

/** The values of each machine in the order in which they arrived first. */
function valuesOf(arrived: readonly Arrived[]): Record<string, number[]> {
  const seen = new Set<string>();
  const values: Record<string, number[]> = {};
  for (const { machine, message } of arrived) {
    if (seen.has(`${machine} ${message.id}`)) continue;
    seen.add(`${machine} ${message.id}`);
    (values[machine] ??= []).push(message.metrics['x'] as number);
  }
  return values;
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

describe('a replay', () => {
  it.each(['mqtt', 'http'] as const)(
    'by %s delivers every reading once, in the order of its machine, in batches of at most 1,000',
    async (mode) => {
      await series('a', 2500);
      await series('b', 700);
      const broker = await startBroker();
      const gateway = await startGateway();
      cleanups.push(broker.stop, gateway.stop);
      const transport = mode === 'mqtt' ? mqtt(broker.url) : ({ mode, url: gateway.url, token: 't' } as const);
      const result = await replay(options(transport));
      const arrived = mode === 'mqtt' ? byMqtt(broker) : byHttp(gateway);
      expect(valuesOf(arrived)).toEqual({ a: upTo(2500), b: upTo(700) });
      expect(arrived.length).toBe(3200);
      expect(result).toMatchObject({
        machines: 2,
        messages: 3200,
        items: 3200,
        waveforms: 0,
        outOfOrder: 0,
        refusedMessages: 0,
      });
      expect(result.messagesPerS).toBeCloseTo(3200 / result.seconds, 5);
      const batches =
        mode === 'mqtt' ? broker.published.filter(({ topic }) => topic.endsWith('telemetry')) : gateway.requests;
      expect(batches.length).toBe(4);
    },
  );

  it('registers the plant before the first message, only with the machines that were chosen', async () => {
    await series('a', 10);
    await series('b', 10);
    const gateway = await startGateway();
    cleanups.push(gateway.stop);
    const seen: unknown[] = [];
    await replay(
      options(
        { mode: 'http', url: gateway.url },
        {
          only: 'b.csv',
          onPlant: async (plant) => {
            seen.push(
              plant.machines.map(({ id }) => id),
              gateway.requests.length,
            );
          },
        },
      ),
    );
    expect(seen).toEqual([['b'], 0]);
    expect(valuesOf(byHttp(gateway))).toEqual({ b: upTo(10) });
  });

  it.each([
    { shiftTimes: 'end', first: NOW_MS - 9000, imported: false },
    { shiftTimes: 'keep', first: 978_307_200_000, imported: true },
  ] as const)(
    'with shiftTimes $shiftTimes keeps the distances and begins at $first',
    async ({ shiftTimes, first, imported }) => {
      await series('a', 10);
      const gateway = await startGateway();
      cleanups.push(gateway.stop);
      const result = await replay(options({ mode: 'http', url: gateway.url }, { shiftTimes }));
      expect(byHttp(gateway).map(({ message }) => message.ts - first)).toEqual(upTo(10).map((i) => i * 1000));
      expect(gateway.requests[0]!.path.includes('import=true')).toBe(imported);
      expect(result.importedRecordings).toBe(imported ? 1 : 0);
    },
  );

  it('imports what reaches back further than the platform accepts live data, and the rest not', async () => {
    await series('long', 10, 86_400_000);
    await series('short', 10);
    const gateway = await startGateway();
    cleanups.push(gateway.stop);
    await replay(options({ mode: 'http', url: gateway.url }));
    const importing = gateway.requests.map(({ path, body }) => [path.includes('import'), body.includes('"long"')]);
    expect(importing.every(([imported, long]) => imported === long)).toBe(true);
  });

  it('repeats its ids when times are kept, and makes new ones when they are shifted to another moment', async () => {
    await series('a', 5);
    const gateway = await startGateway();
    cleanups.push(gateway.stop);
    const ids = async (changes: Partial<ReplayOptions>): Promise<string[]> => {
      gateway.requests.length = 0;
      await replay(options({ mode: 'http', url: gateway.url }, changes));
      return byHttp(gateway).map(({ message }) => message.id);
    };
    const later = { ...clock, nowMs: () => NOW_MS + 1 };
    expect(await ids({ shiftTimes: 'keep' })).toEqual(await ids({ shiftTimes: 'keep', clock: later }));
    expect(await ids({})).not.toEqual(await ids({ clock: later }));
  });

  it('follows the clock at its speed, all machines together', async () => {
    const [speed, recordedMs] = [50, 60_000];
    await series('a', 61, 1000);
    await series('b', 31, 2000);
    const beganMs = performance.now();
    const aheadMs: number[] = [];
    const gateway = await startGateway((request, response, body) => {
      const afterMs = performance.now() - beganMs;
      const { messages } = JSON.parse(body.toString()) as { messages: TelemetryMessage[] };
      for (const { ts } of messages) aheadMs.push((ts - NOW_MS + recordedMs) / speed - afterMs);
      acceptAll(request, response);
    });
    cleanups.push(gateway.stop);
    const result = await replay(options({ mode: 'http', url: gateway.url }, { speed }));
    expect(valuesOf(byHttp(gateway))).toEqual({ a: upTo(61), b: upTo(31) });
    expect(Math.max(...aheadMs)).toBeLessThan(TIMER_RESOLUTION_MS);
    // How late each comes depends on the machine; at the speed of the recording the last one would come after a minute.
    expect(result.seconds * 1000).toBeLessThan(recordedMs / 2);
  });

  it('loses nothing and keeps the order when connections are cut under way', async () => {
    for (const machine of ['a', 'b', 'c']) await series(machine, 30_000, 10);
    const broker = await startBroker({ acknowledgeAfterMs: 2 });
    cleanups.push(broker.stop);
    let cuts = 0;
    const cutting = setInterval(() => {
      if (cuts++ < 5) broker.cut();
    }, 40);
    const result = await replay(options(mqtt(broker.url)));
    clearInterval(cutting);
    expect(valuesOf(byMqtt(broker))).toEqual({ a: upTo(30_000), b: upTo(30_000), c: upTo(30_000) });
    expect(result.messages).toBe(90_000);
  });

  it('waits for a platform that is not there yet, and gives up after a while', async () => {
    await series('a', 5);
    const gone = await startGateway();
    await gone.stop();
    const transport = { mode: 'http', url: gone.url } as const;
    await expect(replay(options(transport, { giveUpAfterMs: 300 }))).rejects.toMatchObject({ code: 'unavailable' });
    const waiting = replay(options(transport));
    await new Promise((resolve) => setTimeout(resolve, 300));
    const back = await startGateway(acceptAll, gone.port);
    cleanups.push(back.stop);
    expect(await waiting).toMatchObject({ messages: 5 });
  });

  it('honours 429 with Retry-After', async () => {
    await series('a', 5);
    const sentAt: number[] = [];
    const gateway = await startGateway((request, response) => {
      sentAt.push(performance.now());
      if (sentAt.length === 1) response.writeHead(429, { 'retry-after': '1' }).end();
      else acceptAll(request, response);
    });
    cleanups.push(gateway.stop);
    expect(await replay(options({ mode: 'http', url: gateway.url }))).toMatchObject({ messages: 5 });
    expect(sentAt[1]! - sentAt[0]!).toBeGreaterThanOrEqual(950);
  });

  it('tells what was rejected and refused, and goes on', async () => {
    await series('bad', 3);
    await series('good', 4);
    const gateway = await startGateway((_request, response, body) => {
      if (body.includes('"bad"')) response.writeHead(422).end('{"title":"no such machine"}');
      else response.writeHead(202).end('{"accepted":1,"duplicate":1,"rejected":[{"code":"late"}],"rejectedItems":2}');
    });
    cleanups.push(gateway.stop);
    expect(await replay(options({ mode: 'http', url: gateway.url }))).toMatchObject({
      messages: 4,
      duplicateItems: 1,
      rejectedItems: 2,
      firstRejection: '{"code":"late"}',
      refusedMessages: 3,
      firstRefusal: '/v1/telemetry answered 422 for bad: no such machine',
    });
  });

  it('stops at once with wrong credentials', async () => {
    await series('a', 5);
    const gateway = await startGateway((_request, response) => void response.writeHead(401).end());
    cleanups.push(gateway.stop);
    await expect(replay(options({ mode: 'http', url: gateway.url }))).rejects.toMatchObject({
      code: 'permission_denied',
    });
    expect(gateway.requests.length).toBe(1);
  });

  it('that was interrupted goes on with its times and ids, sending little twice and leaving nothing out', async () => {
    for (const machine of ['a', 'b', 'c']) await series(machine, 5000, 10);
    const abort = new AbortController();
    const gateway = await startGateway((request, response) => {
      if (gateway.requests.length === 6) abort.abort();
      acceptAll(request, response);
    });
    cleanups.push(gateway.stop);
    const journal = join(folder, 'journal', 'replay.json');
    const transport = { mode: 'http', url: gateway.url } as const;
    const first = replay(options(transport, { journal, signal: abort.signal }));
    await expect(first).rejects.toMatchObject({ code: 'cancelled' });
    const later = { ...clock, nowMs: () => NOW_MS + 3_600_000 };
    const result = await replay(options(transport, { journal, clock: later }));
    const arrived = byHttp(gateway);
    expect(valuesOf(arrived)).toEqual({ a: upTo(5000), b: upTo(5000), c: upTo(5000) });
    expect(Math.max(...arrived.map(({ message }) => message.ts))).toBe(NOW_MS);
    expect(result.resumed).toBe(true);
    expect(result.recordings.map(({ endMs }) => endMs)).toEqual([NOW_MS, NOW_MS, NOW_MS]);
    expect(result.messages).toBeLessThan(15_000);
    // Complete, it is forgotten: the next one is a new one.
    expect(existsSync(journal)).toBe(false);
  });

  it('does not go on with a recording that has changed since', async () => {
    await series('a', 5000);
    const journal = join(folder, 'replay.json');
    const saved = { format: 1, startedAtMs: NOW_MS, recordings: { 'a.csv': { bytes: 7, acknowledged: 3 } } };
    await writeFile(journal, JSON.stringify(saved));
    const running = replay(options(mqtt('mqtt://127.0.0.1:1'), { journal }));
    await expect(running).rejects.toMatchObject({ code: 'failed_precondition' });
    await expect(running).rejects.toThrow('a.csv has changed since');
  });

  it.each<{ at: string; speed: number | 'max' }>([
    { at: 'full speed', speed: 'max' },
    { at: 'the recording’s speed', speed: 1 },
  ])('is cancelled by its signal at $at', async ({ speed }) => {
    await series('a', 5000);
    const unanswered = await startGateway(() => undefined);
    cleanups.push(unanswered.stop);
    const signal = AbortSignal.timeout(200);
    // Nobody ever answers: only the signal can end it before the test's own time is over.
    const running = replay(options({ mode: 'http', url: unanswered.url }, { signal, speed }));
    await expect(running).rejects.toMatchObject({ code: 'cancelled' });
  });

  it('reports progress from 0 to 1', async () => {
    for (const machine of ['a', 'b']) await series(machine, 20_000, 10);
    const broker = await startBroker({ acknowledgeAfterMs: 30 });
    cleanups.push(broker.stop);
    const seen: ReplayProgress[] = [];
    await replay(options(mqtt(broker.url), { onProgress: (progress) => void seen.push(progress) }));
    expect(seen.at(-1)).toMatchObject({ messages: 40_000, items: 40_000, fraction: 1 });
    expect(seen.map(({ fraction }) => fraction)).toEqual(
      seen.map(({ fraction }) => fraction).toSorted((a, b) => a - b),
    );
  });

  it.each<{ what: string; changes: Partial<ReplayOptions>; code: string; says: string }>([
    { what: 'a speed of 0', changes: { speed: 0 }, code: 'invalid_argument', says: 'speed must be a number above 0' },
    {
      what: 'kept times by MQTT',
      changes: { shiftTimes: 'keep' },
      code: 'failed_precondition',
      says: 'replay by HTTP',
    },
    {
      what: 'times in the future',
      changes: { shiftTimes: 'start' },
      code: 'invalid_argument',
      says: 'into the future',
    },
    { what: 'no such recording', changes: { only: 'zzz' }, code: 'not_found', says: '"zzz"' },
  ])('refuses $what before it sends anything', async ({ changes, code, says }) => {
    await series('a', 2000);
    const running = replay(options(mqtt('mqtt://127.0.0.1:1'), changes));
    await expect(running).rejects.toMatchObject({ code });
    await expect(running).rejects.toThrow(says);
  });
});

describeWithDatasets('a replay of real recordings', () => {
  it('sends the six PRONOSTIA bearings by MQTT as one waveform each ten seconds, all acknowledged', async () => {
    const broker = await startBroker();
    cleanups.push(broker.stop);
    const base = options(mqtt(broker.url));
    const { mapping: _mapping, ...rest } = base;
    const result = await replay({ ...rest, format: 'pronostia', folder: join(DATASETS, 'pronostia') });
    expect(result).toMatchObject({ machines: 6, messages: 7534, waveforms: 7534, items: 7534, bytes: 38_574_080 });
    expect(new Set(broker.ids()).size).toBe(7534);
    const times = broker.published
      .filter(({ topic }) => topic.includes('Bearing1_1/waveform'))
      .map(({ payload }) => (JSON.parse(payload) as { ts: number }).ts);
    expect(times.length).toBe(2803);
    expect(times.at(-1)).toBe(NOW_MS);
    expect(times[1]! - times[0]!).toBe(10_000);
  });
});

describe('the reliable sender', () => {
  it('never has more batches under way than its bound', async () => {
    let underWay = 0;
    let most = 0;
    const uplink = {
      limits: { maxMessages: 1, maxBytes: 1 },
      pipelines: true,
      send: async () => {
        most = Math.max(most, ++underWay);
        await new Promise((resolve) => setTimeout(resolve, 1));
        underWay--;
        return { duplicateItems: 0, rejectedItems: 0 };
      },
      close: () => Promise.resolve(),
    };
    let acknowledged = 0;
    const sender = new ReliableSender({
      uplink,
      maxInFlight: 5,
      giveUpAfterMs: 1000,
      signal: new AbortController().signal,
      onAcknowledged: () => {
        acknowledged++;
      },
      onRefused: () => undefined,
    });
    for (let i = 0; i < 200; i++) await sender.send({ machine: `m${i % 3}`, kind: 'telemetry', messages: [] });
    await sender.drain();
    expect(most).toBe(5);
    expect(acknowledged).toBe(200);
  });
});

describe('streams merged in time order', () => {
  it('are one stream in time order that holds every item once', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(fc.nat(1000), { maxLength: 20 }), { maxLength: 12 }), async (times) => {
        const streams = times.map(async function* (stream) {
          for (const tsMs of stream.toSorted((a, b) => a - b)) yield { tsMs };
        });
        const merged: number[] = [];
        for await (const { tsMs } of inTimeOrder(streams)) merged.push(tsMs);
        expect(merged).toEqual(times.flat().toSorted((a, b) => a - b));
      }),
    );
  });
});

describe('the progress of a recording', () => {
  it('is the number of records before the first that is not done, in whatever order they are', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 40 }).chain((count) => fc.shuffledSubarray(upTo(count))),
        (order) => {
          const progress = new RecordingProgress(1, 0, () => undefined);
          for (const index of order) progress.done(index);
          const done = new Set(order);
          expect(progress.acknowledged).toBe(upTo(order.length + 1).find((index) => !done.has(index)));
        },
      ),
    );
  });
});
