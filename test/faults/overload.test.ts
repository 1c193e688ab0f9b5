import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { acknowledgedIds, startLoad } from '#test/support/load-process.ts';
import { PlatformProcess } from '#test/support/platform-process.ts';
import { compareWithStored } from '#test/support/stored-events.ts';

const SECONDS = process.env['TRIBO_LONG'] === '1' ? 60 : 20;
const TIMEOUT_MS = (SECONDS + 280) * 1000;
const CONNECTIONS = 20;
const MACHINES = Array.from({ length: 200 }, (_, machine) => `m-${machine}`);
const METRICS = Array.from({ length: 10 }, (_, metric) => `metric_${metric}`);
const MEMORY_LIMIT_BYTES = 2 ** 30;
const SAMPLE_EVERY_MS = 250;

describe('20 devices that send as fast as they can', () => {
  it(
    'are held back at the edge: memory stays bounded, and all that was acknowledged is there once',
    async () => {
      await using platform = await PlatformProcess.start({ env: { TRIBO_LOG_LEVEL: 'error' } });
      const ackFile = join(platform.dataDir, 'acknowledged');
      const devices = await platform.addDevices(MACHINES, CONNECTIONS);
      let peakBytes = 0;
      const sampling = setInterval(() => {
        peakBytes = Math.max(peakBytes, platform.anonymousBytes());
      }, SAMPLE_EVERY_MS);
      try {
        await using load = startLoad({
          port: platform.mqttPort,
          connections: devices,
          metrics: METRICS,
          idPrefix: 'flood',
          // What a device may keep in flight is its own choice: far more than the broker wants.
          maxInFlight: 1000,
          seconds: SECONDS,
          drainSeconds: 60,
          reconnect: false,
          ackFile,
        });
        const result = await load.result;
        const ledger = await platform.drainedLedger();
        console.info(
          `${result.offered} messages offered, ${result.acknowledged} acknowledged (${Math.round(result.acknowledged / result.seconds)}/s), ` +
            `${result.unanswered} unanswered, ${ledger.refused} refused, peak of anonymous memory ${Math.round(peakBytes / 2 ** 20)} MiB`,
        );
        // Nobody is cut off: MQTT has no other refusal than to leave the rest unread in the sockets.
        expect(result).toMatchObject({ unanswered: 0, reconnections: 0, offered: result.acknowledged });
        expect(peakBytes).toBeGreaterThan(0);
        expect(peakBytes).toBeLessThan(MEMORY_LIMIT_BYTES);
        expect(ledger).toMatchObject({
          exact: true,
          pending: 0,
          accepted: result.acknowledged * METRICS.length,
          stored: result.acknowledged * METRICS.length,
        });
        expect(await platform.stop()).toMatchObject({ code: 0 });
        const comparison = await compareWithStored(platform.dataDir, MACHINES, acknowledgedIds(ackFile));
        expect(comparison).toEqual({ stored: result.acknowledged, missing: [], twice: [] });
      } finally {
        clearInterval(sampling);
      }
    },
    TIMEOUT_MS,
  );
});
