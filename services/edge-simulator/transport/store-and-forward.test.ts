import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { until } from '#core/contracts/until.ts';
import { machineOfLine } from '../messages.ts';
import type { MachineMessage } from '../messages.ts';
import { AckLog } from './ack-log.ts';
import { HttpUplink } from './http-uplink.ts';
import { MqttUplink } from './mqtt-uplink.ts';
import { SegmentQueue } from './segment-queue.ts';
import { StoreAndForward } from './store-and-forward.ts';
import { acceptAll, startBroker, startGateway } from '#test/support/wire-peers.ts';
import type { Uplink } from './uplink.ts';

let folder: string;
const cleanups: (() => Promise<void>)[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tribo-forward-'));
});

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  await rm(folder, { recursive: true, force: true });
});

interface Started {
  readonly forwarder: StoreAndForward;
  readonly warnings: string[];
  readonly stop: () => Promise<void>;
}

async function start(uplink: Uplink, maxBytes = 10_000_000): Promise<Started> {
  const queue = await SegmentQueue.open({ folder: join(folder, 'queue'), maxBytes, keyOf: machineOfLine });
  const ackLog = await AckLog.open(join(folder, 'acknowledged.txt'));
  const warnings: string[] = [];
  const log = { info: () => undefined, warn: (_details: object, message: string) => void warnings.push(message) };
  const forwarder = new StoreAndForward({ uplink, queue, log, ackLog, minBackoffMs: 20, maxBackoffMs: 100 });
  forwarder.start();
  let stopped: Promise<void> | undefined;
  const stop = (): Promise<void> => (stopped ??= forwarder.stop().then(() => ackLog.close()));
  cleanups.push(stop);
  return { forwarder, warnings, stop };
}

const mqttUplink = (url: string): MqttUplink =>
  new MqttUplink({ url, tenant: 'demo', site: 'akron', device: { id: 'd1', machines: ['pump-1'] } });

const reading = (index: number): MachineMessage => ({
  machine: 'pump-1',
  kind: 'telemetry',
  message: { id: `t${String(index).padStart(4, '0')}`, ts: 1_795_222_800_000 + index, metrics: { rpm: index } },
});

const wave = (index: number): MachineMessage => ({
  machine: 'pump-1',
  kind: 'waveform',
  sensor: 'de-x',
  message: {
    id: `w${String(index).padStart(4, '0')}`,
    ts: 1_795_222_800_000 + index,
    sampleRateHz: 25_600,
    unit: 'g',
    encoding: 'i16le',
    scale: 0.002,
    samples: new Uint8Array(4096).fill(index % 256),
  },
});

async function enqueue(forwarder: StoreAndForward, from: number, to: number): Promise<string[]> {
  const ids: string[] = [];
  for (let i = from; i < to; i++) {
    const message = i % 10 === 9 ? wave(i) : reading(i);
    await forwarder.enqueue(message);
    ids.push(message.message.id);
  }
  return ids;
}

const acknowledged = async (): Promise<string[]> =>
  (await readFile(join(folder, 'acknowledged.txt'), 'utf8')).split('\n').filter((id) => id !== '');

describe('store and forward over MQTT', () => {
  it('delivers every id exactly once and in order while the broker is there', async () => {
    const broker = await startBroker();
    cleanups.push(broker.stop);
    const { forwarder, stop } = await start(mqttUplink(broker.url));
    const ids = await enqueue(forwarder, 0, 300);
    await until(() => forwarder.stats.acknowledged === 300);
    await stop();
    expect(broker.ids()).toEqual(ids);
    expect(await acknowledged()).toEqual(ids);
  });

  it('keeps messages while the broker is stopped and delivers exactly the same set, oldest first, when it is back', async () => {
    const first = await startBroker();
    const { forwarder, warnings } = await start(mqttUplink(first.url));
    const before = await enqueue(forwarder, 0, 50);
    await until(() => forwarder.stats.acknowledged === 50);
    await first.stop();
    const during = await enqueue(forwarder, 50, 250);
    await until(() => warnings.length > 0);
    expect(forwarder.stats).toMatchObject({ pending: 200, connected: false, dropped: 0 });
    const second = await startBroker({ port: first.port });
    cleanups.push(second.stop);
    const after = await enqueue(forwarder, 250, 300);
    await until(() => forwarder.stats.pending === 0);
    expect(first.ids()).toEqual(before);
    expect(second.ids()).toEqual([...during, ...after]);
    expect(await acknowledged()).toEqual([...before, ...during, ...after]);
  });

  it('loses nothing when connections are cut again and again under load; what arrives twice has the same id', async () => {
    const broker = await startBroker({ acknowledgeAfterMs: 5 });
    cleanups.push(broker.stop);
    const { forwarder } = await start(mqttUplink(broker.url));
    const ids: string[] = [];
    for (let cuts = 0; cuts < 10; cuts++) {
      const arrived = broker.published.length;
      ids.push(...(await enqueue(forwarder, ids.length, ids.length + 100)));
      await until(() => broker.published.length > arrived);
      broker.cut();
    }
    await until(() => forwarder.stats.pending === 0);
    expect(new Set(broker.ids())).toEqual(new Set(ids));
    const firstArrivals = [...new Set(broker.ids())];
    expect(firstArrivals).toEqual(ids);
  });

  it('goes on where it stopped after a restart without the platform', async () => {
    const gone = await startBroker();
    await gone.stop();
    const first = await start(mqttUplink(gone.url));
    const ids = await enqueue(first.forwarder, 0, 120);
    await first.stop();
    const broker = await startBroker({ port: gone.port });
    cleanups.push(broker.stop);
    const second = await start(mqttUplink(broker.url));
    await until(() => second.forwarder.stats.pending === 0);
    expect(broker.ids()).toEqual(ids);
  });

  it('drops the oldest at its bound, counts the gap by machine and says so', async () => {
    const gone = await startBroker();
    await gone.stop();
    const { forwarder, warnings } = await start(mqttUplink(gone.url), 1_000_000);
    const ids = await enqueue(forwarder, 0, 4000);
    const { dropped, pending } = forwarder.stats;
    expect(dropped).toBeGreaterThan(0);
    expect(dropped + pending).toBe(4000);
    expect(forwarder.gapCount('pump-1')).toBe(dropped);
    expect(warnings).toContain('the queue is full: the oldest messages were dropped and leave a gap');
    const broker = await startBroker({ port: gone.port });
    cleanups.push(broker.stop);
    await until(() => forwarder.stats.pending === 0);
    const arrived = new Set(broker.ids());
    expect(arrived.size).toBe(4000 - dropped);
    // What was on its way when the bound was reached is kept; the rest is the newest.
    expect([...arrived].slice(64)).toEqual(ids.slice(-(arrived.size - 64)));
  });

  it('stops within two seconds while the platform is away', async () => {
    const gone = await startBroker();
    await gone.stop();
    const { forwarder, stop } = await start(mqttUplink(gone.url));
    await enqueue(forwarder, 0, 10);
    const began = performance.now();
    await stop();
    expect(performance.now() - began).toBeLessThan(2000);
  });
});

describe('store and forward over HTTP', () => {
  it('honours 429 with Retry-After, then delivers every id in order', async () => {
    let throttled = 0;
    const sentAt: number[] = [];
    const gateway = await startGateway((request, response) => {
      sentAt.push(performance.now());
      if (throttled++ < 2) response.writeHead(429, { 'retry-after': '1' }).end();
      else acceptAll(request, response);
    });
    cleanups.push(gateway.stop);
    const { forwarder } = await start(new HttpUplink({ url: gateway.url, site: 'akron' }));
    const ids = await enqueue(forwarder, 0, 9);
    await until(() => forwarder.stats.acknowledged === 9);
    expect(await acknowledged()).toEqual(ids);
    expect(sentAt[1]! - sentAt[0]!).toBeGreaterThanOrEqual(950);
  });

  it('gives up a message that the platform will never take, counts it, and goes on with the next', async () => {
    const gateway = await startGateway((request, response) => {
      if (request.url?.includes('id=w0009')) response.writeHead(422).end('{"title":"no"}');
      else acceptAll(request, response);
    });
    cleanups.push(gateway.stop);
    const { forwarder, warnings } = await start(new HttpUplink({ url: gateway.url, site: 'akron' }));
    const ids = await enqueue(forwarder, 0, 20);
    await until(() => forwarder.stats.pending === 0);
    expect(forwarder.stats).toMatchObject({ acknowledged: 19, refused: 1 });
    expect(await acknowledged()).toEqual(ids.filter((id) => id !== 'w0009'));
    expect(warnings).toContain('the platform refused a message');
  });
});
