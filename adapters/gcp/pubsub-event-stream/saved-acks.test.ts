import { describe, expect, it } from '@jest/globals';
import { until } from '#core/contracts/until.ts';
import { SavedAcks } from './saved-acks.ts';

function start() {
  const happened: string[] = [];
  const failures: unknown[] = [];
  const world = { happened, failures, isAway: false };
  const acks = new SavedAcks({
    save: async () => {
      await new Promise((resolve) => setImmediate(resolve));
      if (world.isAway) throw new Error('away');
      happened.push('saved');
    },
    everyMs: 5,
    onFailure: (error) => failures.push(error),
  });
  const acknowledge = (id: string) =>
    acks.hold({ data: new Uint8Array(), attributes: {}, ack: () => void happened.push(id) }).ack();
  const pull = acks.closing({ close: async () => void happened.push('closed') });
  return Object.assign(world, { acknowledge, pull });
}

describe('what was settled', () => {
  it('is acknowledged once that is saved, all that came meanwhile together', async () => {
    const { happened, acknowledge, pull } = start();
    for (const id of ['a', 'b']) acknowledge(id);
    expect(happened).toEqual([]);
    await until(() => happened.length >= 3);
    acknowledge('c');
    await pull.close();
    expect(happened).toEqual(['saved', 'a', 'b', 'saved', 'c', 'closed']);
  });

  it('waits while it cannot be saved, and is not acknowledged where that lasts', async () => {
    const world = start();
    world.isAway = true;
    world.acknowledge('a');
    await until(() => world.failures.length >= 2);
    expect(world.happened).toEqual([]);
    world.isAway = false;
    await until(() => world.happened.includes('a'));
    world.isAway = true;
    world.acknowledge('b');
    await world.pull.close();
    expect(world.happened).toEqual(['saved', 'a', 'closed']);
  });
});
