import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { LmdbEventStream } from '#adapters/embedded/lmdb-event-stream/lmdb-event-stream.ts';
import { DEFAULT_RETENTION } from '#adapters/embedded/lmdb-event-stream/config.ts';
import { SqliteAlarmJournal } from '#adapters/embedded/sqlite-alarm-journal/sqlite-alarm-journal.ts';
import { sqliteMachineRegistryConfigSchema } from '#adapters/embedded/sqlite-machine-registry/config.ts';
import { SqliteMachineRegistry } from '#adapters/embedded/sqlite-machine-registry/sqlite-machine-registry.ts';
import { systemClock } from '#core/clock.ts';
import { until } from '#core/contracts/until.ts';
import type { SiteId, TenantId } from '#core/domain/ids.ts';
import { machineSchema } from '#core/domain/plant.ts';

const TENANT = 'north' as TenantId;

async function startProcess(dataDir: string) {
  const child = fork(join(import.meta.dirname, 'main.ts'), [], {
    env: { ...process.env, TRIBO_DATA_DIR: dataDir, TRIBO_LOG_LEVEL: 'error' },
    execArgv: ['--disable-warning=ExperimentalWarning'],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const [message] = (await once(child, 'message')) as [unknown];
  expect(message).toBe('ready');
  return child;
}

describe('alert engine as a process', () => {
  it('goes on after kill -9 with every alarm once, and stops on SIGTERM', async () => {
    const dataDir = mkdtempSync(join(tmpdir(), 'tribo-alert-engine-'));
    const stream = new LmdbEventStream({
      directory: join(dataDir, 'streams'),
      source: 'test',
      streams: DEFAULT_RETENTION,
    });
    const registryConfig = sqliteMachineRegistryConfigSchema.parse({ databasePath: join(dataDir, 'registry.db') });
    const machines = await SqliteMachineRegistry.open(registryConfig);
    const { key } = await machines.putMachine(
      TENANT,
      'akron' as SiteId,
      machineSchema.parse({ id: 'press-7', class: 'press' }),
    );
    const journal = await SqliteAlarmJournal.open(
      { databasePath: join(dataDir, 'alarms.db'), changePollMs: 20 },
      systemClock,
    );
    let count = 0;
    /** R60's mean current goes over its limit and back: one activation and one return. */
    const swing = async () => {
      for (const current of [12, 5]) {
        const ts = Date.now() + count;
        const payload = Buffer.from(JSON.stringify({ ts, metrics: { current_mean: current } }));
        const eventId = `e${count++}`;
        await stream.publish('metrics', [
          { eventId, kind: 'telemetry', key, items: 1, acceptedAtMs: Date.now(), payload },
        ]);
      }
    };
    const entries = async () =>
      (await journal.entries({ tenant: TENANT, fromMs: 0, toMs: 1e15, limit: 10_000 })).entries.map(
        ({ transition }) => transition.type,
      );
    let child = await startProcess(dataDir);
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 20; i++) await swing();
      child.kill('SIGKILL');
      await once(child, 'exit');
      for (let i = 0; i < 5; i++) await swing();
      child = await startProcess(dataDir);
    }
    await until(async () => (await entries()).length >= count);
    expect(await entries()).toEqual(
      Array.from({ length: count }, (_unused, i) => (i % 2 === 0 ? 'activate' : 'return')),
    );
    child.kill('SIGTERM');
    const [code] = (await once(child, 'exit')) as [number];
    expect(code).toBe(0);
    await journal.close();
    await machines.close();
    await stream.close();
    rmSync(dataDir, { recursive: true });
  });
});
