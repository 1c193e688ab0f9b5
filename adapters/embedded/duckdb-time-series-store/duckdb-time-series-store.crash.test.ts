import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { DuckDbTimeSeriesStore } from './duckdb-time-series-store.ts';
import { MACHINE_KEYS, METRICS_A_MESSAGE, TENANT } from './testing/telemetry.ts';

const KILLS = 6;
const SCRIPT = join(import.meta.dirname, 'testing/settle-until-killed.ts');
const WHOLE = { fromMs: 0, toMs: Date.UTC(2030, 0, 1) };

describe('a store whose process is killed', () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'tribo-killed-'));
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  it('has every settlement that was answered, whole, once, with exact sums and rollups', async () => {
    for (let kill = 0; kill < KILLS; kill++) {
      const answeredSeq = await settleUntilKilled(directory, 150 + kill * 110);
      const store = await DuckDbTimeSeriesStore.open({ directory });
      await expectExact(store, answeredSeq);
      await store.close();
    }
  }, 120_000);
});

/** Returns the last seq that the process said was settled. */
async function settleUntilKilled(directory: string, afterMs: number): Promise<number> {
  const child = spawn(process.execPath, [SCRIPT, directory], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  await once(child.stdout, 'data');
  await delay(afterMs);
  child.kill('SIGKILL');
  await once(child, 'close');
  return Number(output.trimEnd().split('\n').at(-1));
}

async function expectExact(store: DuckDbTimeSeriesStore, answeredSeq: number): Promise<void> {
  const [progress] = await store.progress('metrics', 'store');
  const seq = progress!.seq;
  expect(seq).toBeGreaterThanOrEqual(answeredSeq);
  const [tenant] = await store.settled();
  expect(tenant?.settled).toEqual({ stored: seq * METRICS_A_MESSAGE, duplicate: 0, rejected: 0, deadLettered: 0 });
  expect(tenant?.watermarks.get('metrics')).toBe(seq * METRICS_A_MESSAGE);
  expect(tenant?.tenant).toBe(TENANT);

  const stored: string[] = [];
  let rolledUp = 0;
  for (const machine of MACHINE_KEYS) {
    stored.push(...(await store.storedEventIds(machine, WHOLE)));
    const query = {
      ...WHOLE,
      machine,
      metric: 'metric_1',
      stepMs: 3_600_000,
      aggregates: ['count'] as const,
      limit: 10_000,
    };
    rolledUp += (await store.series(query)).columns['count']!.reduce((sum, each) => sum + each, 0);
  }
  expect(stored.length).toBe(seq);
  expect(new Set(stored)).toEqual(new Set(Array.from({ length: seq }, (_, i) => `e-${i + 1}`)));
  expect(rolledUp).toBe(seq);
}
