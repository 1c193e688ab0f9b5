import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { unreadiness } from '#test/support/edge-requests.ts';
import { LedgerWatch } from '#test/support/ledger-watch.ts';
import { acknowledgedIds, readingsSent, startLoad } from '#test/support/load-process.ts';
import { PlatformProcess, until } from '#test/support/platform-process.ts';
import { compareWithStored, NOTHING_WRONG } from '#test/support/stored-events.ts';

const TIMEOUT_MS = 300_000;
const MACHINES = Array.from({ length: 40 }, (_, machine) => `m-${machine}`);
const METRICS = ['velocity_rms', 'temperature', 'rpm'];
const RATE_PER_S = 1000;
const MEMORY_LIMIT_BYTES = 2 ** 30;
/** An answer may take as long as it takes to find out that the store is away, and no longer. */
const ANSWERED_WITHIN_MS = 15_000;

interface Fault {
  readonly what: string;
  readonly seconds: number;
  /** Breaks the store; returns what mends it. */
  readonly inflict: (platform: PlatformProcess) => () => void;
}

const faults: readonly Fault[] = [
  {
    what: 'that hangs',
    seconds: 30,
    inflict: (platform) => {
      const pid = platform.runningPid('timeseries-service');
      process.kill(pid, 'SIGSTOP');
      return () => process.kill(pid, 'SIGCONT');
    },
  },
  {
    what: 'that ends, and fails whenever it is started again,',
    seconds: 10,
    inflict: (platform) => {
      const folder = join(platform.dataDir, 'time-series');
      process.kill(platform.runningPid('timeseries-service'), 'SIGKILL');
      renameSync(folder, `${folder}.away`);
      writeFileSync(folder, 'no folder');
      return () => {
        rmSync(folder);
        renameSync(`${folder}.away`, folder);
      };
    },
  },
];

describe.each(faults)('a time-series store $what for $seconds s', ({ what, seconds, inflict }) => {
  it(
    'stops no device and loses nothing: what waits for it grows, is told, and is worked off when it is back',
    async () => {
      await using platform = await PlatformProcess.start({ env: { TRIBO_LOG_LEVEL: 'silent' } });
      const ackFile = join(platform.dataDir, 'acknowledged');
      const devices = await platform.addDevices(MACHINES, 20);
      await using load = startLoad({
        port: platform.mqttPort,
        connections: devices,
        metrics: METRICS,
        idPrefix: 'away',
        maxInFlight: 50,
        ratePerS: RATE_PER_S,
        seconds: seconds + 5,
        drainSeconds: 30,
        reconnect: false,
        ackFile,
      });
      await load.begun(ackFile);
      await using watch = new LedgerWatch(platform);
      const mend = inflict(platform);
      const failedAt = performance.now();
      const acknowledgedBefore = acknowledgedIds(ackFile).length;
      let reasons: Readonly<Record<string, string>> = {};
      try {
        await until('readiness names the store', async () => {
          reasons = await unreadiness(platform);
          return Object.keys(reasons).length > 0;
        });
        await sleep(Math.max(0, seconds * 1000 - (performance.now() - failedAt)));
      } finally {
        mend();
      }
      expect(Object.keys(reasons)).toContain('timeseries-service');
      const acknowledgedMeanwhile = acknowledgedIds(ackFile).length - acknowledgedBefore;

      const result = await load.result;
      const ledger = await platform.drainedLedger();
      await until('it is ready again', async () => Object.keys(await unreadiness(platform)).length === 0);
      const seen = await watch.stop();
      expect(await platform.stop()).toMatchObject({ code: 0 });
      const comparison = await compareWithStored(platform.dataDir, {
        ...{ machines: MACHINES, acknowledged: acknowledgedIds(ackFile), ledger },
        readingsOf: readingsSent(METRICS, result),
      });
      console.info(
        `a store ${what} ${seconds} s: ${result.offered} offered, ${result.acknowledged} acknowledged ` +
          `(${acknowledgedMeanwhile} meanwhile), ${comparison.stored} stored, ledger read ${seen.readings} times, ` +
          `unreadable ${seen.unreadable} times, at most ${seen.peakPending} pending, slowest answer ${seen.slowestMs} ms, ` +
          `${Math.round(seen.peakBytes / 2 ** 20)} MiB; readiness said ${JSON.stringify(reasons)}`,
      );
      expect(result).toMatchObject({ sent: result.acknowledged, unanswered: 0, reconnections: 0 });
      expect(acknowledgedMeanwhile).toBeGreaterThan((seconds * RATE_PER_S) / 2);
      expect(ledger).toMatchObject({ exact: true, pending: 0, rejected: 0, deadLettered: 0, duplicate: 0 });
      expect(ledger.stored).toBe(result.acknowledged * METRICS.length);
      expect(seen).toMatchObject({ wrong: [] });
      expect(seen.readings).toBeGreaterThan(0);
      expect(seen.slowestMs).toBeLessThan(ANSWERED_WITHIN_MS);
      expect(seen.peakBytes).toBeLessThan(MEMORY_LIMIT_BYTES);
      const readings = result.acknowledged * METRICS.length;
      expect(comparison).toEqual({ ...NOTHING_WRONG, stored: result.acknowledged, readings });
    },
    TIMEOUT_MS,
  );
});
