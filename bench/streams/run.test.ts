import { expect, it } from '@jest/globals';
import { runStreamBench } from './run.ts';

it('measures an adapter and a bare client in turns, and the adapter with a slow consumer', async () => {
  const rows = await runStreamBench('lmdb-event-stream', { seconds: 1, rounds: 1 });
  expect(rows.map(({ does }) => does)).toEqual([
    'events published',
    'events consumed',
    'publish to handler',
    'events published beside a consumer ten times slower',
  ]);
  for (const { perS } of rows) expect(perS).toBeGreaterThan(0);
  for (const { barePerS, cpuUsPerItem, bareCpuUsPerItem } of rows.slice(0, 2))
    for (const measured of [barePerS, cpuUsPerItem, bareCpuUsPerItem]) expect(measured).toBeGreaterThan(0);
}, 60_000);
