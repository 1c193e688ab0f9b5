import { describe, expect, it } from '@jest/globals';
import type { MachineKey } from '../domain/ids.ts';
import { PortError } from '../errors.ts';
import type { LiveChanges, LiveFeed } from './live-feed.ts';
import { LiveState } from './live-state.ts';
import { MergedLiveFeed, type NamedFeed } from './merged-live-feed.ts';

const machine = 'demo/plant/pump' as MachineKey;
let eventIds = 0;

function reading(state: LiveState, tsMs: number, metrics: Readonly<Record<string, number>>): void {
  const payload = Buffer.from(JSON.stringify({ ts: tsMs, metrics }));
  const eventId = String(++eventIds);
  state.observe([{ eventId, kind: 'telemetry', key: machine, items: 1, acceptedAtMs: tsMs, payload }]);
}

function copy(id: string): { id: string; port: LiveState } {
  return { id, port: new LiveState({ incarnation: id, sampleEveryMs: 0 }) };
}

describe('live readings of several copies', () => {
  it('are those of all, each metric as the newest message has it', async () => {
    const [one, two] = [copy('one'), copy('two')];
    reading(one.port, 1000, { temperature: 20, speed: 5 });
    reading(two.port, 2000, { temperature: 30 });
    const feed = new MergedLiveFeed(() => [one, two]);
    const { isAll, machines } = await feed.changes();
    expect({ isAll, machines }).toEqual({
      isAll: true,
      machines: [{ key: machine, receivedAtMs: 2000, tsMs: 2000, metrics: { temperature: 30, speed: 5 } }],
    });
  });

  it('are after that what changed, wherever it did', async () => {
    const [one, two] = [copy('one'), copy('two')];
    const feed = new MergedLiveFeed(() => [one, two]);
    reading(one.port, 1000, { temperature: 20 });
    reading(two.port, 1000, { speed: 5 });
    const first = await feed.changes();
    reading(two.port, 2000, { speed: 6 });
    const then = await feed.changes(first.cursor);
    expect(then).toMatchObject({ isAll: false, machines: [{ key: machine, metrics: { speed: 6 } }] });
    expect(await feed.changes(then.cursor)).toMatchObject({ isAll: false, machines: [] });
  });

  it.each([
    ['comes', ['one'], ['one', 'two']],
    ['goes', ['one', 'two'], ['one']],
    ['is started anew', ['one', 'two'], ['one', 'three']],
  ])('are told anew when a copy %s', async (_what, before, after) => {
    const copies = new Map(['one', 'two', 'three'].map((id) => [id, copy(id)]));
    let present = before;
    const feed = new MergedLiveFeed(() => present.map((id) => copies.get(id)!));
    reading(copies.get('one')!.port, 1000, { temperature: 20 });
    const { cursor } = await feed.changes();
    present = after;
    expect(await feed.changes(cursor)).toMatchObject({ isAll: true, machines: [{ key: machine }] });
  });

  it('are those of the others while one does not answer, and unavailable while none does', async () => {
    const one = copy('one');
    reading(one.port, 1000, { temperature: 20 });
    const feeds: NamedFeed[] = [one, { id: 'two', port: new Away() }];
    expect(await new MergedLiveFeed(() => feeds).changes()).toMatchObject({
      isAll: true,
      machines: [{ key: machine }],
    });
    await expect(new MergedLiveFeed(() => feeds.slice(1)).changes()).rejects.toMatchObject({ code: 'unavailable' });
    await expect(new MergedLiveFeed(() => []).changes()).rejects.toMatchObject({ code: 'unavailable' });
  });
});

class Away implements LiveFeed {
  changes(): Promise<LiveChanges> {
    return Promise.reject(new PortError('unavailable', 'it went away'));
  }
}
