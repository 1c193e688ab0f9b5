import { execFileSync } from 'node:child_process';
import {
  closeSync,
  fsyncSync,
  mkdtempSync,
  openSync,
  rmdirSync,
  rmSync,
  statfsSync,
  symlinkSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { acknowledgedIds, startLoad } from '#test/support/load-process.ts';
import { PlatformProcess, SITE, until } from '#test/support/platform-process.ts';
import { compareWithStored } from '#test/support/stored-events.ts';

const TIMEOUT_MS = 300_000;
const MACHINES = Array.from({ length: 20 }, (_, machine) => `m-${machine}`);
const METRICS = ['velocity_rms', 'temperature'];
const LOAD_SECONDS = 30;
const RATE_PER_S = 500;
/** Behind by so much, the store is not merely busy. */
const STALLED_S = 5;
const MIB = 2 ** 20;

/** Mounting needs root, which CI has. Without it there is nothing to test: that is said, not passed over. */
if (process.getuid?.() !== 0)
  console.warn('the tests of a full disk mount a tmpfs and need root: they do not run here');
const asRoot = process.getuid?.() === 0 ? describe : describe.skip;

asRoot.each([
  // The log refuses below its reserve, so the disk never is entirely full; the ballast takes the rest.
  { what: 'the event log', folder: 'streams', sizeMiB: 192, isRefused: true },
  { what: 'the time-series store', folder: 'time-series', sizeMiB: 192, isRefused: false },
])('a full disk under $what', ({ folder, sizeMiB, isRefused }) => {
  it(
    `${isRefused ? 'stops the intake' : 'is waited for'}, loses nothing, and all goes on by itself when there is space again`,
    async () => {
      await using disk = new SmallDisk(sizeMiB);
      await using platform = await PlatformProcess.start({
        env: { TRIBO_LOG_LEVEL: 'error' },
        prepare: (dataDir) => symlinkSync(disk.folder, join(dataDir, folder)),
      });
      const ackFile = join(platform.dataDir, 'acknowledged');
      const devices = await platform.addDevices(MACHINES, 20);
      await using load = startLoad({
        port: platform.mqttPort,
        connections: devices,
        metrics: METRICS,
        idPrefix: 'full',
        maxInFlight: 20,
        ratePerS: RATE_PER_S,
        seconds: LOAD_SECONDS,
        drainSeconds: 60,
        reconnect: true,
        ackFile,
      });
      await load.begun(ackFile);
      const ballast = fill(disk.folder);
      if (isRefused) await until('HTTP is refused', async () => (await sendByHttp(platform)) === 429);
      else {
        await until('the store has fallen behind by seconds', async () => {
          const ledger = await platform.ledger().catch(() => undefined);
          return (ledger?.pending ?? 0) > STALLED_S * RATE_PER_S * METRICS.length;
        });
      }
      rmSync(ballast);
      await until('the intake takes data again', async () => (await sendByHttp(platform)) === 202);

      const result = await load.result;
      const ledger = await platform.drainedLedger();
      expect(ledger).toMatchObject({ exact: true, pending: 0, rejected: 0, deadLettered: 0 });
      expect(await platform.stop()).toMatchObject({ code: 0 });
      const acknowledged = acknowledgedIds(ackFile);
      expect(acknowledged).toHaveLength(result.acknowledged);
      const comparison = await compareWithStored(platform.dataDir, MACHINES, acknowledged);
      expect(comparison).toMatchObject({ missing: [], twice: [] });
      console.info(
        `${folder}: ${result.offered} offered, ${acknowledged.length} acknowledged, ${comparison.stored} stored`,
      );
    },
    TIMEOUT_MS,
  );
});

/** A small file system in memory. The platform's folder points to it, so that the folder can be removed while it is mounted. */
class SmallDisk implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'tribo-disk-'));

  constructor(sizeMiB: number) {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${sizeMiB}m`, 'tmpfs', this.folder]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    execFileSync('umount', ['--lazy', this.folder]);
    rmdirSync(this.folder);
  }
}

/** Writes until nothing more fits; returns the file to remove. */
function fill(folder: string): string {
  const path = join(folder, 'ballast');
  const file = openSync(path, 'w');
  try {
    for (let chunk = Buffer.alloc(MIB); chunk.length > 0;) {
      try {
        writeSync(file, chunk);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
        chunk = chunk.subarray(0, chunk.length >> 1);
      }
    }
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  expect(statfsSync(folder).bavail).toBeLessThan(16);
  return path;
}

async function sendByHttp(platform: PlatformProcess): Promise<number> {
  const response = await fetch(new URL('/v1/telemetry', platform.url), {
    method: 'POST',
    headers: { authorization: `Bearer ${platform.api.token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ site: SITE, machine: MACHINES[0], messages: [{ ts: Date.now(), metrics: { probe: 1 } }] }),
  });
  await response.arrayBuffer();
  return response.status;
}
