import { mkdtemp, readdir, rm, writeFile, appendFile, cp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { SegmentQueue } from './segment-queue.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tribo-queue-'));
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

const open = (maxBytes = 1_000_000, segmentBytes = 200): Promise<SegmentQueue> =>
  SegmentQueue.open({ folder, maxBytes, segmentBytes, keyOf: (line) => line.slice(0, 1) });

const lines = (from: number, to: number, key = 'a'): string[] =>
  Array.from({ length: to - from }, (_, i) => `${key}-${String(from + i).padStart(6, '0')}`);

async function fill(queue: SegmentQueue, all: readonly string[]): Promise<void> {
  for (const line of all) await queue.append(line);
}

async function drain(queue: SegmentQueue, window = 7): Promise<string[]> {
  const out: string[] = [];
  for (let next = await queue.peek(window); next.length > 0; next = await queue.peek(window)) {
    out.push(...next);
    await queue.acknowledge(next.length);
  }
  return out;
}

describe('a segment queue', () => {
  it('gives lines in their order, across segments, until they are acknowledged', async () => {
    const queue = await open();
    await fill(queue, lines(0, 100));
    expect(await queue.peek(30)).toEqual(lines(0, 30));
    await queue.acknowledge(25);
    expect(await queue.peek(10)).toEqual(lines(25, 35));
    expect(await drain(queue)).toEqual(lines(25, 100));
    expect(queue.pending).toBe(0);
    await queue.close();
  });

  it('keeps what is not acknowledged over a clean close, and nothing else', async () => {
    const first = await open();
    await fill(first, lines(0, 60));
    await first.peek(45);
    await first.acknowledge(45);
    await first.close();
    const second = await open();
    await fill(second, lines(60, 70));
    expect(await drain(second)).toEqual(lines(45, 70));
    await second.close();
  });

  it('loses no line to a crash, whatever was written, emptied and reopened before', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ add: fc.nat(40), take: fc.nat(40), then: fc.constantFrom('go on', 'close', 'crash') }), {
          maxLength: 8,
        }),
        async (steps) => {
          await rm(folder, { recursive: true, force: true });
          let queue = await open();
          let written = 0;
          let acknowledged = 0;
          for (const { add, take, then } of steps) {
            await fill(queue, lines(written, written + add));
            written += add;
            const taken = await queue.peek(take);
            await queue.acknowledge(taken.length);
            acknowledged = Math.max(acknowledged, Number(taken.at(-1)?.slice(2) ?? -1) + 1);
            if (then === 'go on') continue;
            if (then === 'crash') await crash();
            else await queue.close();
            queue = await open();
          }
          const rest = await drain(queue);
          await queue.close();
          // All that was not acknowledged is there, in order and once; some of what was may come again before it.
          expect(rest.slice(rest.length - (written - acknowledged))).toEqual(lines(acknowledged, written));
          expect(rest).toEqual(lines(written - rest.length, written));

          async function crash(): Promise<void> {
            await cp(folder, `${folder}.crashed`, { recursive: true });
            await queue.close();
            await rm(folder, { recursive: true });
            await cp(`${folder}.crashed`, folder, { recursive: true });
            await rm(`${folder}.crashed`, { recursive: true });
          }
        },
      ),
      { numRuns: 40 },
    );
  });

  it('drops the oldest at its bound, counts them by key, and keeps the count', async () => {
    const queue = await open(1000);
    await fill(queue, [...lines(0, 50, 'a'), ...lines(0, 150, 'b')]);
    expect(queue.bytes).toBeLessThanOrEqual(1000);
    const dropped = Object.fromEntries(queue.dropped);
    expect(dropped['a']).toBe(50);
    await queue.close();
    const reopened = await open(1000);
    expect(Object.fromEntries(reopened.dropped)).toEqual(dropped);
    const rest = await drain(reopened);
    expect(rest).toEqual(lines(dropped['b'] ?? 0, 150, 'b'));
    await reopened.close();
  });

  it('does not drop what is under way', async () => {
    const queue = await open(1000);
    await fill(queue, lines(0, 20));
    const underWay = await queue.peek(5);
    await fill(queue, lines(20, 300));
    await queue.acknowledge(5);
    expect(underWay).toEqual(lines(0, 5));
    expect((await queue.peek(1))[0]).not.toBe('a-000000');
    expect([...queue.dropped.values()][0]! + queue.pending).toBe(295);
    await queue.close();
  });

  it('leaves no file behind that grows: emptied segments are removed or reused', async () => {
    const queue = await open();
    for (let round = 0; round < 20; round++) {
      await fill(queue, lines(round * 10, round * 10 + 10));
      await drain(queue);
    }
    expect((await readdir(folder)).filter((name) => name.endsWith('.ndjson')).length).toBeLessThanOrEqual(1);
    expect(queue.bytes).toBeLessThan(400);
    await queue.close();
  });

  it('cuts off a last line that a crash tore, and survives a torn state file', async () => {
    const queue = await open();
    await fill(queue, lines(0, 3));
    await queue.close();
    await appendFile(join(folder, '00000001.ndjson'), 'a-00');
    await writeFile(join(folder, 'state.json'), '{"ackn');
    const reopened = await open();
    await reopened.append('a-000003');
    expect(await drain(reopened)).toEqual(lines(0, 4));
    await reopened.close();
  });

  it('counts a line that cannot be written as dropped, and says so', async () => {
    const queue = await open();
    await queue.append('a-000000');
    await rm(folder, { recursive: true });
    await queue.append('a-000001'.padEnd(300, '.'));
    await expect(queue.append('a-000002')).rejects.toMatchObject({ code: 'ENOENT' });
    expect(queue.dropped.get('a')).toBe(1);
  });
});
