import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { request, sendTelemetry } from '#test/support/edge-requests.ts';
import { startHttpReceiver } from '#test/support/http-receiver.ts';
import { LedgerWatch } from '#test/support/ledger-watch.ts';
import { acknowledgedIds, readingsSent, startLoad } from '#test/support/load-process.ts';
import { PlatformProcess, until } from '#test/support/platform-process.ts';
import { compareWithStored, NOTHING_WRONG } from '#test/support/stored-events.ts';

const TIMEOUT_MS = 300_000;
const MACHINES = Array.from({ length: 200 }, (_, machine) => `m-${machine}`);
const ALARMED = Array.from({ length: 100 }, (_, machine) => `hot-${machine}`);
const METRICS = Array.from({ length: 10 }, (_, metric) => `metric_${metric}`);
const RATE_PER_S = 1000;
const SLOW_FOR_MS = 20_000;
const LISTENERS = 60;
const MEMORY_LIMIT_BYTES = 2 ** 30;
/** The store gets a tenth of the time. */
const STOPPED_MS = 450;
const RUNNING_MS = 50;

describe('consumers slower than what they consume, all at once', () => {
  it(
    'a store, listeners that do not read, and a webhook that does not answer: bound the memory, hold up nobody else, and lose nothing',
    async () => {
      await using webhook = await startSlowWebhook();
      await using platform = await PlatformProcess.start({
        env: {
          ...{ TRIBO_LOG_LEVEL: 'silent', TRIBO_WEBHOOK_URL: webhook.url },
          TRIBO_WEBHOOK_SECRET: 'a secret of thirty-two characters',
          // What tells that a device came names its machines as well.
          TRIBO_WEBHOOK_EVENTS: 'alarm',
        },
      });
      const ackFile = join(platform.dataDir, 'acknowledged');
      const devices = await platform.addDevices([...MACHINES, ...ALARMED], 20);
      const rule = { kind: 'threshold', id: 'heat', text: 'Hot', metric: 'heat', direction: 'above', limit: 50 };
      await platform.api.request('PUT', '/v1/rules/heat', rule, { 'if-none-match': '*' });
      await using load = startLoad({
        port: platform.mqttPort,
        connections: devices.map((device) => ({
          ...device,
          topics: device.topics.filter((topic) => /\/m-\d+\/telemetry$/.test(topic)),
        })),
        metrics: METRICS,
        idPrefix: 'slow',
        maxInFlight: 50,
        ratePerS: RATE_PER_S,
        seconds: 240,
        drainSeconds: 60,
        reconnect: false,
        ackFile,
      });
      await load.begun(ackFile);
      await using watch = new LedgerWatch(platform);
      await using slowStore = new SlowStore(platform);
      using listeners = await DeafListeners.open(platform);
      const healthy = await Listener.open(platform);
      expect(await eventClients(platform)).toEqual({ connected: LISTENERS + 1, dropped: 0 });
      for (const machine of ALARMED) {
        const reading = { id: `${machine}-alarm`, ts: Date.now(), metrics: { heat: 99 } };
        expect(await sendTelemetry(platform, machine, [reading])).toMatchObject({ status: 202 });
      }
      const before = acknowledgedIds(ackFile).length;
      await sleep(SLOW_FOR_MS);
      const acknowledgedMeanwhile = acknowledgedIds(ackFile).length - before;
      // The webhook has not answered once, and every alarm is there and was told to who listens.
      await until('every alarm is raised', async () => (await alarmCount(platform)) === ALARMED.length);
      await until('a listener that reads was told of them', async () => healthy.alarmed.size === ALARMED.length);
      expect(webhook.answered).toBe(0);
      expect(webhook.waiting).toBeGreaterThan(0);
      // Each has either no more waiting for it than it may, or is gone: nobody else is.
      const clients = await eventClients(platform);
      expect(clients.connected + clients.dropped).toBe(LISTENERS + 1);
      expect(clients.connected).toBeGreaterThan(0);
      healthy.close();
      await slowStore[Symbol.asyncDispose]();
      webhook.isSlow = false;

      const result = await load.finish();
      const ledger = await platform.drainedLedger();
      await until('every notification has arrived', async () => webhook.received.size === ALARMED.length, 120_000);
      const seen = await watch.stop();
      listeners[Symbol.dispose]();
      expect(await platform.stop()).toMatchObject({ code: 0 });
      const alarmed = new Map(ALARMED.map((machine) => [`${machine}-alarm`, { heat: 99 }]));
      const sent = readingsSent(METRICS, result);
      const acknowledged = [...acknowledgedIds(ackFile), ...alarmed.keys()];
      const comparison = await compareWithStored(platform.dataDir, {
        ...{ machines: [...MACHINES, ...ALARMED], acknowledged, ledger },
        readingsOf: (id) => alarmed.get(id) ?? sent(id),
      });
      console.info(
        `slow consumers: ${result.offered} offered, ${result.acknowledged} acknowledged (${acknowledgedMeanwhile} in ${SLOW_FOR_MS / 1000} s), ` +
          `${comparison.stored} stored; ledger read ${seen.readings} times, unreadable ${seen.unreadable} times, ` +
          `at most ${seen.peakPending} items pending, ${clients.dropped} of ${LISTENERS} deaf listeners dropped, ${Math.round(seen.peakBytes / 2 ** 20)} MiB`,
      );
      expect(result).toMatchObject({ sent: result.acknowledged, unanswered: 0, reconnections: 0 });
      expect(acknowledgedMeanwhile).toBeGreaterThan(((SLOW_FOR_MS / 1000) * RATE_PER_S) / 4);
      expect(ledger).toMatchObject({ exact: true, pending: 0, rejected: 0, deadLettered: 0, duplicate: 0 });
      expect(seen.wrong).toEqual([]);
      expect(seen.peakBytes).toBeLessThan(MEMORY_LIMIT_BYTES);
      expect(acknowledged).toHaveLength(result.acknowledged + ALARMED.length);
      expect(comparison).toEqual({
        ...NOTHING_WRONG,
        stored: result.acknowledged + ALARMED.length,
        readings: result.acknowledged * METRICS.length + ALARMED.length,
      });
    },
    TIMEOUT_MS,
  );
});

async function alarmCount(platform: PlatformProcess): Promise<number> {
  const { body } = await request(platform, '/v1/alarms?limit=200');
  return (body as { readonly items: readonly unknown[] }).items.length;
}

/** The time-series store's process, which is let run a tenth of the time. */
class SlowStore implements AsyncDisposable {
  readonly #pid: number;
  readonly #loop: Promise<void>;
  #isSlow = true;

  constructor(platform: PlatformProcess) {
    this.#pid = platform.runningPid('timeseries-service');
    this.#loop = this.#run();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isSlow = false;
    await this.#loop;
  }

  async #run(): Promise<void> {
    while (this.#isSlow) {
      process.kill(this.#pid, 'SIGSTOP');
      await sleep(STOPPED_MS);
      process.kill(this.#pid, 'SIGCONT');
      await sleep(RUNNING_MS);
    }
  }
}

/** What the gateway says of the listeners of its event stream. */
async function eventClients(platform: PlatformProcess): Promise<{ connected: number; dropped: number }> {
  const metrics = await (await fetch(new URL('/metrics', platform.url))).text();
  const sum = (name: string) =>
    [...metrics.matchAll(new RegExp(`^${name}(?:\\{.*\\})? (\\d+)$`, 'gm'))].reduce((all, [, n]) => all + Number(n), 0);
  return { connected: sum('tribo_event_clients'), dropped: sum('tribo_event_clients_dropped_total') };
}

/** Listeners of the event stream that read no more than that it has begun. */
class DeafListeners implements Disposable {
  readonly #sockets: readonly Socket[];

  static async open(platform: PlatformProcess): Promise<DeafListeners> {
    const port = Number(new URL(platform.url).port);
    const sockets = Array.from({ length: LISTENERS }, () => connect(port, '127.0.0.1'));
    const listeners = new DeafListeners(sockets);
    for (const socket of sockets) {
      const begun = once(socket, 'data') as Promise<[Buffer]>;
      socket.write(`GET /v1/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${platform.api.token}\r\n\r\n`);
      const [head] = await begun;
      socket.pause();
      socket.on('error', () => undefined);
      expect(head.toString()).toMatch(/^HTTP\/1\.1 200 [^]*text\/event-stream/);
    }
    return listeners;
  }

  private constructor(sockets: readonly Socket[]) {
    this.#sockets = sockets;
  }

  [Symbol.dispose](): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}

/** One that reads. */
class Listener {
  readonly alarmed = new Set<string>();
  readonly #stop = new AbortController();

  static async open(platform: PlatformProcess): Promise<Listener> {
    const listener = new Listener();
    const response = await fetch(new URL('/v1/events', platform.url), {
      headers: { authorization: `Bearer ${platform.api.token}` },
      signal: listener.#stop.signal,
    });
    void listener.#read(response).catch(() => undefined);
    return listener;
  }

  close(): void {
    this.#stop.abort();
  }

  async #read(response: Response): Promise<void> {
    let text = '';
    for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
      const events = (text + chunk).split('\n\n');
      text = events.pop() ?? '';
      for (const event of events) {
        if (!event.startsWith('event: alarm')) continue;
        for (const [machine] of event.matchAll(/hot-\d+/g)) this.alarmed.add(machine);
      }
    }
  }
}

/** Takes requests, and answers none of them while it is slow. */
async function startSlowWebhook() {
  const webhook = { received: new Set<string>(), isSlow: true, waiting: 0, answered: 0 };
  const receiver = await startHttpReceiver((_request, response, body) => {
    if (webhook.isSlow) {
      webhook.waiting += 1;
      return;
    }
    for (const [machine] of body.toString().matchAll(/hot-\d+/g)) webhook.received.add(machine);
    webhook.answered += 1;
    response.writeHead(204).end();
  });
  return Object.assign(webhook, receiver);
}
