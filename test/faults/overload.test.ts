import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { LedgerWatch } from '#test/support/ledger-watch.ts';
import { acknowledgedIds, readingsSent, startFlood, startLoad } from '#test/support/load-process.ts';
import { PlatformProcess, SITE } from '#test/support/platform-process.ts';
import { compareWithStored, NOTHING_WRONG } from '#test/support/stored-events.ts';

const SECONDS = process.env['TRIBO_LONG'] === '1' ? 60 : 20;
const TIMEOUT_MS = (SECONDS + 280) * 1000;
const CONNECTIONS = 20;
const MACHINES = Array.from({ length: 200 }, (_, machine) => `m-${machine}`);
const METRICS = Array.from({ length: 10 }, (_, metric) => `metric_${metric}`);
/** Far above what any machine takes: what is due does not wait for what was acknowledged. */
const DUE_PER_S = 200_000;
const MEMORY_LIMIT_BYTES = 2 ** 30;
const FLOOD_SECONDS = process.env['TRIBO_LONG'] === '1' ? 20 : 8;
/** Far below what any machine can offer. */
const ALLOWED_PER_S = 40;
const FLOOD_CONNECTIONS = 200;

describe('20 devices that have more to send than the platform takes', () => {
  it(
    'are held back at the edge: memory stays bounded, and all that was acknowledged is there once',
    async () => {
      await using platform = await PlatformProcess.start({ env: { TRIBO_LOG_LEVEL: 'error' } });
      const ackFile = join(platform.dataDir, 'acknowledged');
      const devices = await platform.addDevices(MACHINES, CONNECTIONS);
      await using watch = new LedgerWatch(platform);
      await using load = startLoad({
        port: platform.mqttPort,
        connections: devices,
        metrics: METRICS,
        idPrefix: 'flood',
        // What a device may keep in flight is its own choice: far more than the broker wants.
        maxInFlight: 1000,
        ratePerS: DUE_PER_S,
        seconds: SECONDS,
        drainSeconds: 60,
        reconnect: false,
        ackFile,
      });
      const result = await load.result;
      const ledger = await platform.drainedLedger();
      const { peakBytes, peakPending, readings, unreadable, wrong } = await watch.stop();
      console.info(
        `${result.offered} messages offered, ${result.withheld} withheld by back-pressure, ${result.acknowledged} acknowledged (${Math.round(result.acknowledged / result.seconds)}/s), ` +
          `${result.unanswered} unanswered, ${ledger.refused} refused, peak of anonymous memory ${Math.round(peakBytes / 2 ** 20)} MiB; ` +
          `ledger read ${readings} times, unreadable ${unreadable} times, at most ${peakPending} items pending`,
      );
      // Nobody is cut off: MQTT has no other refusal than to acknowledge late and to leave the rest unread in the sockets.
      expect(result).toMatchObject({ unanswered: 0, reconnections: 0, sent: result.acknowledged });
      expect(result.offered).toBeGreaterThan((SECONDS * DUE_PER_S) / 2);
      expect(result.withheld).toBeGreaterThan(0);
      expect(result.sent + result.withheld).toBe(result.offered);
      expect(wrong).toEqual([]);
      expect(readings).toBeGreaterThan(SECONDS / 2);
      expect(peakBytes).toBeGreaterThan(0);
      expect(peakBytes).toBeLessThan(MEMORY_LIMIT_BYTES);
      expect(ledger).toMatchObject({
        exact: true,
        pending: 0,
        accepted: result.acknowledged * METRICS.length,
        stored: result.acknowledged * METRICS.length,
      });
      expect(await platform.stop()).toMatchObject({ code: 0 });
      const comparison = await compareWithStored(platform.dataDir, {
        ...{ machines: MACHINES, acknowledged: acknowledgedIds(ackFile), ledger },
        readingsOf: readingsSent(METRICS, result),
      });
      expect(comparison).toEqual({ ...NOTHING_WRONG, stored: result.acknowledged, readings: ledger.stored });
    },
    TIMEOUT_MS,
  );
});

describe('a flood of HTTP requests', () => {
  it(
    'is answered with 429 and Retry-After above the allowance, and what was answered with 202 is there once',
    async () => {
      await using platform = await PlatformProcess.start({
        env: { TRIBO_LOG_LEVEL: 'error', TRIBO_TELEMETRY_REQUESTS_PER_S: String(ALLOWED_PER_S) },
      });
      const ackFile = join(platform.dataDir, 'acknowledged');
      const machines = MACHINES.slice(0, 20);
      await platform.addDevices(machines, 1);
      const before = (await platform.ledger()).refused;
      await using watch = new LedgerWatch(platform);
      const floods = await Promise.all(
        [0, 1].map((flood) =>
          startFlood({
            ...{ url: platform.url, token: platform.api.token, site: SITE, machines, idPrefix: `flood-${flood}` },
            ...{ connections: FLOOD_CONNECTIONS / 2, seconds: FLOOD_SECONDS, ackFile: `${ackFile}-${flood}` },
          }),
        ),
      );
      const ledger = await platform.drainedLedger();
      const { peakBytes, wrong } = await watch.stop();
      expect(await platform.stop()).toMatchObject({ code: 0 });
      const total = (count: (flood: (typeof floods)[number]) => number) =>
        floods.reduce((sum, each) => sum + count(each), 0);
      const [offered, accepted, refused] = [
        total((flood) => flood.offered),
        total((flood) => flood.statuses['202'] ?? 0),
        total((flood) => flood.statuses['429'] ?? 0),
      ];
      const acknowledged = [0, 1].flatMap((flood) => acknowledgedIds(`${ackFile}-${flood}`));
      const isFlood = /^flood-[01]-\d+$/;
      const comparison = await compareWithStored(platform.dataDir, {
        ...{ machines, acknowledged, ledger },
        readingsOf: (id) => (isFlood.test(id) ? { flood: 1 } : undefined),
      });
      console.info(
        `HTTP flood: ${offered} offered, ${accepted} acknowledged (${Math.round(accepted / FLOOD_SECONDS)}/s), ${refused} refused with 429, ` +
          `${comparison.stored} stored, peak of anonymous memory ${Math.round(peakBytes / 2 ** 20)} MiB`,
      );
      expect(refused).toBeGreaterThan(0);
      expect(accepted).toBeLessThanOrEqual(ALLOWED_PER_S * (FLOOD_SECONDS + 2));
      expect(total((flood) => flood.withoutRetryAfter)).toBe(0);
      expect(accepted + refused).toBe(offered);
      expect(ledger).toMatchObject({ exact: true, pending: 0, stored: accepted, refused: before + refused });
      expect(wrong).toEqual([]);
      expect(peakBytes).toBeLessThan(MEMORY_LIMIT_BYTES);
      expect(acknowledged).toHaveLength(accepted);
      expect(comparison).toEqual({ ...NOTHING_WRONG, stored: accepted, readings: accepted });
    },
    TIMEOUT_MS,
  );
});
