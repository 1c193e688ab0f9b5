import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { sampleEvent } from '#core/contracts/sample-event.ts';
import type { StampedEvent } from '#core/domain/event.ts';
import type { MachineKey, TenantId } from '#core/domain/ids.ts';
import { backUpGroups, backUpLogs } from './backup.ts';
import { DEFAULT_RETENTION } from './config.ts';
import { LmdbEventStream } from './lmdb-event-stream.ts';

const key = 'acme/akron/press-7' as MachineKey;

let folder: string;
let stream: LmdbEventStream;
let published = 0;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tribo-stream-backup-'));
  published = 0;
  stream = open('streams');
});
afterEach(async () => {
  await stream.close();
  await rm(folder, { recursive: true });
});

function open(name: string, maxBytes = DEFAULT_RETENTION.metrics.maxBytes): LmdbEventStream {
  return new LmdbEventStream({
    directory: join(folder, name),
    source: 'test',
    streams: { ...DEFAULT_RETENTION, metrics: { ...DEFAULT_RETENTION.metrics, maxBytes } },
    checkpointIntervalMs: 1,
  });
}

async function publish(count: number, bytes = 10): Promise<void> {
  const events = Array.from({ length: count }, () =>
    sampleEvent(`e${++published}`, { key, payload: new Uint8Array(bytes) }),
  );
  await stream.publish('metrics', events);
}

/** Ids that the group is given until it has seen the last of them, all settled. */
async function settle(from: LmdbEventStream, group: string, last: string): Promise<string[]> {
  const ids: string[] = [];
  const seen = Promise.withResolvers<undefined>();
  const take = (events: readonly StampedEvent[]) => {
    ids.push(...events.map(({ eventId }) => eventId));
    if (ids.at(-1) === last) seen.resolve(undefined);
  };
  const subscription = await from.subscribe(
    'metrics',
    group,
    async (delivery) => {
      take(delivery.events);
      await delivery.ack();
    },
    { maxBatchEvents: 100 },
  );
  await seen.promise;
  await subscription.close();
  return ids;
}

const ids = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => `e${from + i}`);

describe('a backup of the streams', () => {
  it('gives every group again what it had not settled when the groups were copied, up to when the log was', async () => {
    await stream.declareGroup('metrics', 'store');
    await stream.declareGroup('metrics', 'compute');
    await publish(10);
    await settle(stream, 'store', 'e10');
    await backUpGroups(join(folder, 'streams'), join(folder, 'copy'));
    await publish(10);
    await settle(stream, 'store', 'e20');
    await settle(stream, 'compute', 'e20');
    await backUpLogs(join(folder, 'streams'), join(folder, 'copy'));
    await publish(10);

    await using copy = disposable(open('copy'));
    expect((await copy.stream.acceptedItems('metrics')).get('acme' as TenantId)).toBe(20);
    expect(await settle(copy.stream, 'store', 'e20')).toEqual(ids(11, 20));
    expect(await settle(copy.stream, 'compute', 'e20')).toEqual(ids(1, 20));
  });

  it('holds a group that was declared in between, from its declaration on', async () => {
    await stream.declareGroup('metrics', 'store');
    await publish(5);
    await backUpGroups(join(folder, 'streams'), join(folder, 'copy'));
    await stream.declareGroup('metrics', 'late');
    await publish(5);
    await backUpLogs(join(folder, 'streams'), join(folder, 'copy'));
    await using copy = disposable(open('copy'));
    expect(await settle(copy.stream, 'late', 'e10')).toEqual(ids(6, 10));
  });

  it('opens a new epoch, so that what is published after a restore is not taken for what came after the backup', async () => {
    await stream.declareGroup('metrics', 'store');
    await publish(1);
    await backUpGroups(join(folder, 'streams'), join(folder, 'copy'));
    await backUpLogs(join(folder, 'streams'), join(folder, 'copy'));
    const epochs: number[] = [];
    for (const name of ['streams', 'copy']) {
      await stream.close();
      stream = open(name);
      await publish(1);
      for await (const events of stream.readTail('metrics', { maxEvents: 1, sinceMs: 0 }))
        epochs.push(events[0]!.epoch);
    }
    expect(epochs[1]).toBeGreaterThan(epochs[0]!);
  });

  it('is refused, with the remedy, where the log let go of what a group would be given again', async () => {
    await stream.close();
    stream = open('streams', 1);
    await stream.declareGroup('metrics', 'store');
    await publish(2, 1000);
    await backUpGroups(join(folder, 'streams'), join(folder, 'copy'));
    await settle(stream, 'store', 'e2');
    // Retention looks at the groups now and then: until it has let go of what is settled.
    for (let last = 3; (await firstKept()) === 'e1' && last < 1000; last++) {
      await publish(1, 1000);
      await settle(stream, 'store', `e${published}`);
    }
    await expect(backUpLogs(join(folder, 'streams'), join(folder, 'copy'))).rejects.toMatchObject({
      code: 'failed_precondition',
      message: expect.stringContaining('raise TRIBO_STREAM_MAX_BYTES'),
    });
  });
});

async function firstKept(): Promise<string | undefined> {
  for await (const events of stream.readTail('metrics', { maxEvents: 1_000_000, sinceMs: 0 }))
    return events[0]?.eventId;
  return undefined;
}

function disposable(opened: LmdbEventStream) {
  return { stream: opened, [Symbol.asyncDispose]: () => opened.close() };
}
