import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from '@jest/globals';
import { until } from '#core/contracts/until.ts';
import { PolledChanges } from './polled-changes.ts';

it('looks for changes once at a time, also where the last who listens leaves and another comes while it looks', async () => {
  let [reads, underWay, most] = [0, 0, 0];
  const read = async () => {
    most = Math.max(most, ++underWay);
    await sleep(10);
    underWay--;
    return String(++reads);
  };
  const changes = new PolledChanges(1, { read, write: () => Promise.resolve() });
  const leave = changes.on(() => undefined);
  await until(() => underWay === 1);
  leave();
  let told = 0;
  changes.on(() => {
    told += 1;
  });
  await until(() => told > 5);
  changes.close();
  expect(most).toBe(1);
});
