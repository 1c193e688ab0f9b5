import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, statfsSync, unlinkSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { acknowledgeInto } from '#core/contracts/acknowledge-into.ts';
import { sampleEvent } from '#core/contracts/sample-event.ts';
import { until } from '#core/contracts/until.ts';
import type { StampedEvent } from '#core/domain/event.ts';
import { DEFAULT_RETENTION } from './config.ts';
import { GroupFiles } from './group-files.ts';
import { LmdbEventStream } from './lmdb-event-stream.ts';

const MIB = 2 ** 20;
let directory: string;
let isTmpfs: boolean;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tribo-full-'));
  isTmpfs = mountTmpfs(directory);
});

afterEach(() => {
  if (isTmpfs) execFileSync('umount', [directory]);
  rmSync(directory, { recursive: true });
});

describe('on a full disk', () => {
  it.each([
    ['within the reserve', 4 * MIB],
    ['with no reserve, where LMDB itself runs into it', 0],
  ])('refuses to publish, keeps what was acknowledged, and goes on when space returns: %s', async (_name, reserve) => {
    if (!isTmpfs) return refusesWithoutAReserve();
    // lmdb-js prints the reason of each failed commit.
    const printed = jest.spyOn(console, 'error').mockImplementation(() => undefined);
    const stream = open(reserve);
    await stream.declareGroup('metrics', 'store');
    await stream.publish('metrics', [newEvent('first')]);
    const ballast = join(directory, 'ballast');
    writeFileSync(ballast, Buffer.alloc(statfsSync(directory).bavail * 4096 - reserve - 2 * MIB));

    const acknowledged = ['first'];
    await expect(publishUntilRefused(stream, acknowledged)).rejects.toMatchObject({ code: 'resource_exhausted' });
    await expect(stream.publish('metrics', [newEvent('refused')])).rejects.toMatchObject({
      code: 'resource_exhausted',
    });
    expect(ids(await readAll(stream))).toEqual(acknowledged);
    expect(ids(await collect(stream, acknowledged.length))).toEqual(acknowledged);

    unlinkSync(ballast);
    await stream.publish('metrics', [newEvent('after')]);
    await stream.close();
    printed.mockRestore();

    const reopened = open(reserve);
    const kept = await readAll(reopened);
    expect(ids(kept)).toEqual([...acknowledged, 'after']);
    expect(kept.map((event) => event.seq)).toEqual(kept.map((_, index) => index + 1));
    expect(kept.map((event) => event.cumulativeItems)).toEqual(kept.map((_, index) => index + 1));
    await reopened.close();
  });
});

describe('a consumer on a full disk', () => {
  it('goes on, says once that its checkpoint cannot be saved, and saves it when space returns', async () => {
    if (!isTmpfs) return refusesWithoutAReserve();
    const failures: unknown[] = [];
    const stream = open(0, (error) => failures.push(error));
    await stream.declareGroup('metrics', 'store');
    const received: string[] = [];
    let gate = Promise.resolve();
    const subscription = await stream.subscribe(
      'metrics',
      'store',
      async (batch) => {
        received.push(...ids(batch.events));
        await gate;
        await batch.ack();
      },
      { maxBatchEvents: 1 },
    );
    const groups = new GroupFiles(join(directory, 'stream', 'metrics', 'groups'));
    await stream.publish('metrics', [newEvent('e-0')]);
    await until(() => groups.readCheckpoint('store') === 1);

    let openGate: () => void = () => undefined;
    gate = new Promise((resolve) => (openGate = resolve));
    for (let index = 1; index < 6; index++) await stream.publish('metrics', [newEvent(`e-${index}`)]);
    await until(() => received.length === 2);
    const ballast = join(directory, 'ballast');
    fillUp(ballast);
    openGate();
    await until(() => received.length === 6 && failures.length > 0);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(failures).toEqual([expect.objectContaining({ code: 'resource_exhausted' })]);
    expect(groups.readCheckpoint('store')).toBe(1);

    unlinkSync(ballast);
    await until(() => groups.readCheckpoint('store') === 6);
    await subscription.close();
    await stream.close();
  });
});

/** Without the right to mount a small file system, only the reserve can be tested: one that no disk has. */
async function refusesWithoutAReserve(): Promise<void> {
  process.stderr.write('not allowed to mount a tmpfs: the full disk is only pretended\n');
  const stream = open(2 ** 60);
  await expect(stream.publish('metrics', [newEvent('refused')])).rejects.toMatchObject({ code: 'resource_exhausted' });
  await stream.close();
}

function mountTmpfs(path: string): boolean {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16m', 'tmpfs', path], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** Writes until nothing more goes in. */
function fillUp(path: string): void {
  const file = openSync(path, 'w');
  try {
    for (;;) writeSync(file, Buffer.alloc(4096));
  } catch (error) {
    expect(error).toMatchObject({ code: 'ENOSPC' });
  } finally {
    closeSync(file);
  }
}

function open(freeSpaceReserveBytes: number, onFailure?: (error: unknown) => void): LmdbEventStream {
  const config = {
    directory: join(directory, 'stream'),
    source: 'test',
    streams: DEFAULT_RETENTION,
    freeSpaceReserveBytes,
    checkpointIntervalMs: 10,
  };
  return new LmdbEventStream(config, onFailure ? { onFailure } : {});
}

const newEvent = (eventId: string) => sampleEvent(eventId, { payload: new Uint8Array(30_000) });

async function publishUntilRefused(stream: LmdbEventStream, acknowledged: string[]): Promise<void> {
  for (let index = 0; index < 1000; index++) {
    await stream.publish('metrics', [newEvent(`e-${index}`)]);
    acknowledged.push(`e-${index}`);
  }
}

async function collect(stream: LmdbEventStream, count: number): Promise<StampedEvent[]> {
  const received: StampedEvent[] = [];
  const subscription = await stream.subscribe('metrics', 'store', acknowledgeInto(received), { maxBatchEvents: 100 });
  await until(() => received.length >= count);
  await subscription.close();
  return received;
}

async function readAll(stream: LmdbEventStream): Promise<StampedEvent[]> {
  const events: StampedEvent[] = [];
  for await (const block of stream.readTail('metrics', { maxEvents: Infinity, sinceMs: 0 })) events.push(...block);
  return events;
}

function ids(events: readonly StampedEvent[]): string[] {
  return events.map((event) => event.eventId);
}
