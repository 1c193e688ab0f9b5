import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { createRandom } from '#services/edge-simulator/signal/random.ts';
import { LedgerWatch } from '#test/support/ledger-watch.ts';
import { acknowledgedIds, readingsSent, startLoad } from '#test/support/load-process.ts';
import { PlatformProcess, until } from '#test/support/platform-process.ts';
import { compareWithStored, NOTHING_WRONG } from '#test/support/stored-events.ts';

const TIMEOUT_MS = 300_000;
/** The load goes on when so many more messages were acknowledged. */
const UNDER_LOAD = 1000;
const CONNECTIONS = 20;
const MACHINES = Array.from({ length: 40 }, (_, machine) => `m-${machine}`);
const METRICS = ['velocity_rms', 'temperature', 'rpm'];
/** Each seed is another set of moments to kill at. */
const SEEDS = process.env['TRIBO_LONG'] === '1' ? [1, 2, 3, 4, 5, 6] : [1];

interface Fault {
  readonly what: string;
  readonly kills: number;
  /** Whether devices lose their connections by it. */
  readonly disconnects: boolean;
  readonly inflict: (platform: PlatformProcess) => Promise<void>;
}

const faults: readonly Fault[] = [
  {
    what: 'the process of the time-series store',
    kills: 3,
    disconnects: false,
    inflict: async (platform) => {
      const pid = platform.pidOf('timeseries-service');
      // It may be between two lives: then the next moment's kill counts.
      if (pid !== undefined) process.kill(pid, 'SIGKILL');
    },
  },
  {
    what: 'the whole process tree, which is started again,',
    kills: 3,
    disconnects: true,
    inflict: async (platform) => {
      await platform.kill();
      await platform.startAgain();
    },
  },
];

describe.each(faults)('kill -9 of $what under load', ({ kills, disconnects, inflict }) => {
  it.each(SEEDS)(
    'loses nothing that was acknowledged and stores nothing twice, seed %i',
    async (seed) => {
      await using platform = await PlatformProcess.start({ env: { TRIBO_LOG_LEVEL: 'error' } });
      const ackFile = join(platform.dataDir, 'acknowledged');
      const devices = await platform.addDevices(MACHINES, CONNECTIONS);
      await using load = startLoad({
        port: platform.mqttPort,
        connections: devices,
        metrics: METRICS,
        idPrefix: `kill-${seed}`,
        maxInFlight: 50,
        ratePerS: 3000,
        // Ended when the last kill is over.
        seconds: 240,
        drainSeconds: 20,
        reconnect: true,
        ackFile,
      });
      await load.begun(ackFile);
      await using watch = new LedgerWatch(platform);
      const random = createRandom(String(seed));
      const firstPid = platform.pidOf('timeseries-service');
      for (let kill = 0; kill < kills; kill++) {
        await untilUnderLoad(platform, ackFile);
        await sleep(random.uniform() * 1500);
        await inflict(platform);
      }
      await untilUnderLoad(platform, ackFile);
      const result = await load.finish();
      expect(result.reconnections > 0).toBe(disconnects);
      await until('the store is up again', async () => platform.pidOf('timeseries-service') !== undefined);
      expect(platform.pidOf('timeseries-service')).not.toBe(firstPid);

      const ledger = await platform.drainedLedger();
      const seen = await watch.stop();
      expect(seen).toMatchObject({ wrong: [] });
      expect(seen.readings).toBeGreaterThan(0);
      expect(ledger).toMatchObject({ exact: true, pending: 0, rejected: 0, deadLettered: 0 });
      expect(await platform.stop()).toMatchObject({ code: 0 });
      const acknowledged = acknowledgedIds(ackFile);
      expect(acknowledged).toHaveLength(result.acknowledged);
      const comparison = await compareWithStored(platform.dataDir, {
        ...{ machines: MACHINES, acknowledged, ledger },
        readingsOf: readingsSent(METRICS, result),
      });
      expect(comparison).toMatchObject(NOTHING_WRONG);
      expect(comparison.stored * METRICS.length).toBe(comparison.readings);
      expect(comparison.readings).toBe(ledger.stored);
      console.info(
        `seed ${seed}: ${result.offered} offered, ${acknowledged.length} acknowledged, ${comparison.stored} stored, ${result.reconnections} reconnections; ` +
          `ledger read ${seen.readings} times, unreadable ${seen.unreadable} times, at most ${seen.peakPending} pending`,
      );
    },
    TIMEOUT_MS,
  );
});

/** A kill of a platform that takes nothing would show nothing. */
async function untilUnderLoad(platform: PlatformProcess, ackFile: string): Promise<void> {
  const before = acknowledgedIds(ackFile).length;
  await until(
    'the load goes on, and the store with it',
    async () =>
      acknowledgedIds(ackFile).length > before + UNDER_LOAD && platform.pidOf('timeseries-service') !== undefined,
  );
}
