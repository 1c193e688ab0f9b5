import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import type { AlarmView } from '#services/api-gateway/schemas/alarms.ts';
import type { RuleView } from '#services/api-gateway/schemas/rules.ts';
import { acknowledgedIds, readingsSent, startLoad } from '#test/support/load-process.ts';
import { PlatformProcess, SITE, until, type DeviceLogin } from '#test/support/platform-process.ts';
import { compareWithStored, NOTHING_WRONG } from '#test/support/stored-events.ts';

const TIMEOUT_MS = 300_000;
const CLI = fileURLToPath(new URL('../../services/platform/bin/tribo.js', import.meta.url));
const CONNECTIONS = 5;
const MACHINES = Array.from({ length: 10 }, (_, machine) => `m-${machine}`);
const METRICS = ['velocity_rms', 'temperature', 'rpm'];
const HOT = { oil_temperature: 75 };
const ENV = { TRIBO_LOG_LEVEL: 'error' };

describe('a backup taken under load', () => {
  it(
    'restored into a new folder after a kill, has all that was acknowledged before it once, and takes the rest again',
    async () => {
      const folder = mkdtempSync(join(tmpdir(), 'tribo-backup-'));
      try {
        await using platform = await PlatformProcess.start({ env: ENV });
        const devices = await platform.addDevices(MACHINES, CONNECTIONS);
        const { alarm, hot } = await raiseAlarm(platform);
        const ackFile = join(folder, 'acknowledged');
        await using load = startLoad(loadOf(platform, devices, { seconds: 30, ratePerS: 2000, ackFile }));
        await load.begun(ackFile);
        await sleep(2000);

        const before = acknowledgedIds(ackFile);
        const backup = join(folder, 'backup');
        const taken = await platform.command('--json', 'backup', backup);
        expect(taken).toMatchObject({ code: 0, stderr: '' });
        const during = acknowledgedIds(ackFile).length - before.length;
        expect(during).toBeGreaterThan(0);
        await sleep(1000);
        await platform.kill();
        const firstResult = await load.result;
        const first = acknowledgedIds(ackFile);

        await using restored = await PlatformProcess.start({
          env: ENV,
          prepare: (dataDir) => restoreInto(dataDir, backup),
        });
        const ledger = await restored.drainedLedger();
        expect(ledger).toMatchObject({ exact: true, pending: 0, rejected: 0, deadLettered: 0, duplicate: 0 });
        expect(await alarmsOf(restored)).toEqual([alarm]);
        expect((await restored.api.request<RuleView>('GET', '/v1/rules/too-hot')).rule).toMatchObject({ limit: 70 });

        const secondFile = join(folder, 'acknowledged-again');
        await using again = startLoad(loadOf(restored, devices, { seconds: 8, ackFile: secondFile }));
        const sent = readingsSent(METRICS, firstResult, await again.result);
        const afterwards = await restored.drainedLedger();
        expect(afterwards).toMatchObject({ exact: true, pending: 0, rejected: 0, deadLettered: 0 });
        expect(afterwards.duplicate).toBeGreaterThan(0);
        expect(await restored.stop()).toMatchObject({ code: 0 });

        const second = acknowledgedIds(secondFile);
        const comparison = await compareWithStored(restored.dataDir, {
          ...{ machines: MACHINES, acknowledged: [...before, ...second, ...hot], ledger: afterwards },
          readingsOf: (id) => (hot.includes(id) ? HOT : sent(id)),
        });
        expect(comparison).toMatchObject(NOTHING_WRONG);
        // Those that raised the alarm have one metric each.
        expect((comparison.stored - hot.length) * METRICS.length + hot.length).toBe(comparison.readings);
        expect(comparison.readings).toBe(afterwards.stored);
        const known = new Set(before);
        const resent = second.filter((id) => known.has(id)).length;
        const lost = new Set(first.slice(before.length));
        const returned = second.filter((id) => lost.has(id)).length;
        expect(resent).toBeGreaterThan(0);
        expect(returned).toBeGreaterThan(0);
        console.info(
          `${before.length} acknowledged before the backup, ${during} while it was taken, ${first.length - before.length} by the kill; ` +
            `${ledger.stored} items restored; ${resent} of the former sent again, ${returned} of the latter; ${taken.stdout.trim()}`,
        );
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    },
    TIMEOUT_MS,
  );
});

/** The same ids each time: what is sent is decided by the prefix and a counter. */
function loadOf(
  platform: PlatformProcess,
  connections: readonly DeviceLogin[],
  task: { readonly seconds: number; readonly ratePerS?: number; readonly ackFile: string },
) {
  return {
    port: platform.mqttPort,
    connections,
    metrics: METRICS,
    idPrefix: 'backup',
    maxInFlight: 50,
    drainSeconds: 20,
    ...task,
  };
}

async function raiseAlarm(platform: PlatformProcess): Promise<{ alarm: AlarmView; hot: readonly string[] }> {
  await platform.api.request(
    'PUT',
    '/v1/rules/too-hot',
    {
      kind: 'threshold',
      id: 'too-hot',
      text: 'Too hot',
      metric: 'oil_temperature',
      direction: 'above',
      limit: 70,
      operatingStates: ['running', 'stopped', 'maintenance'],
      appliesTo: { machines: ['m-0'] },
    },
    { 'if-none-match': '*' },
  );
  const hot: string[] = [];
  // The rule is in force a moment after it was put: a reading before that raises nothing.
  const isRaised = async (): Promise<boolean> => {
    const id = `hot-${hot.length}`;
    const messages = [{ id, ts: Date.now(), metrics: HOT }];
    await platform.api.request('POST', '/v1/telemetry', { site: SITE, machine: 'm-0', messages });
    hot.push(id);
    return (await alarmsOf(platform)).length > 0;
  };
  await until('the alarm is raised', isRaised, 30_000);
  const [raised] = await alarmsOf(platform);
  await platform.api.request('POST', `/v1/alarms/${raised!.id}/acknowledge`, { comment: 'seen before the backup' });
  const [alarm] = await alarmsOf(platform);
  expect(alarm).toMatchObject({ acknowledged: true, comment: 'seen before the backup' });
  return { alarm: alarm!, hot };
}

async function alarmsOf(platform: PlatformProcess): Promise<AlarmView[]> {
  const { items } = await platform.api.request<{ items: AlarmView[] }>('GET', '/v1/alarms?machine=m-0');
  return items;
}

function restoreInto(dataDir: string, backup: string): void {
  const { status, stderr } = spawnSync(process.execPath, [CLI, 'restore', backup, '--into', dataDir], {
    encoding: 'utf8',
    env: { PATH: process.env['PATH'] },
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
}
