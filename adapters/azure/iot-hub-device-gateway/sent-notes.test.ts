import { describe, expect, it } from '@jest/globals';
import { until } from '#core/contracts/until.ts';
import { HeldClock } from '#test/support/held-clock.ts';
import { MemoryLeaseBlobs } from '#test/support/memory-lease-blobs.ts';
import { SentNotes } from './sent-notes.ts';

const TO = 'gauge-1 acme/akron/press-7';
const [MINUTE_MS, HOUR_MS] = [60_000, 3_600_000];

function notesOver(blobs: MemoryLeaseBlobs, clock = new HeldClock(0)) {
  const problems: string[] = [];
  const onProblem = (what: string, error: unknown) => void problems.push(`${what}: ${String(error)}`);
  const notes = new SentNotes({ blobs, eventHub: 'devices', clock, onProblem });
  const command = (id: string, expiresAtMs = 1_000) => ({ id, payload: new Uint8Array(), expiresAtMs });
  const add = async (id: string, expiresAtMs?: number): Promise<void> => {
    const before = blobs.kept.size;
    notes.add(TO, command(id, expiresAtMs));
    await until(() => blobs.kept.size > before);
  };
  return { notes, clock, problems, command, add };
}

/** Notes of commands that have expired while no sweep was due: the next one added finds them an hour later. */
async function expiredNotes(blobs: MemoryLeaseBlobs, count: number) {
  const world = notesOver(blobs);
  await world.add('first');
  await until(() => blobs.pagesAsked.length === 1);
  for (let i = 1; i < count; i++) await world.add(`brief-${i}`);
  world.clock.advance(HOUR_MS);
  blobs.pagesAsked.length = 0;
  return { ...world, names: [...blobs.kept.keys()].sort() };
}

describe('notes of sent commands', () => {
  it('are of one device, machine and command, and hold for whoever reads the same blobs until the command expires', async () => {
    const blobs = new MemoryLeaseBlobs();
    const { notes, command, add } = notesOver(blobs);
    expect(await notes.has(TO, command('c-1'), {})).toBe(false);
    await add('c-1');
    const next = notesOver(blobs);
    expect(await next.notes.has(TO, command('c-1'), {})).toBe(true);
    expect(await next.notes.has(TO, command('c-2'), {})).toBe(false);
    expect(await next.notes.has('gauge-2 acme/akron/press-7', command('c-1'), {})).toBe(false);
    next.clock.advance(1_000);
    expect(await next.notes.has(TO, command('c-1', 5_000), {})).toBe(false);
    await next.add('c-1', 5_000);
    expect(await next.notes.has(TO, command('c-1', 5_000), {})).toBe(true);
  });

  it('are looked through for those that have expired once an hour, and no others go', async () => {
    const blobs = new MemoryLeaseBlobs();
    const { notes, clock, add } = notesOver(blobs);
    for (let i = 0; i < 5; i++) await add(`brief-${i}`);
    await add('long', 2 * HOUR_MS);
    clock.advance(HOUR_MS - 1);
    await add('before', 2 * HOUR_MS);
    expect(blobs.pagesAsked.map(({ prefix }) => prefix)).toEqual(['devices/commands/']);
    clock.advance(1);
    notes.add(TO, { id: 'last', payload: new Uint8Array(), expiresAtMs: 2 * HOUR_MS });
    await until(() => blobs.kept.size === 3);
    await add('after', 2 * HOUR_MS);
    await notes.close();
    expect(blobs.pagesAsked.map(({ prefix }) => prefix)).toEqual(['devices/commands/', 'devices/commands/']);
    expect([...blobs.kept.values()].map(({ metadata }) => metadata)).toEqual(
      Array(4).fill({ expiresatms: String(2 * HOUR_MS) }),
    );
  });

  it('are looked through a page at a time, each of a thousand at most', async () => {
    const blobs = new MemoryLeaseBlobs();
    const { notes, command, problems } = await expiredNotes(blobs, 7);
    blobs.pageLimit = 3;
    notes.add(TO, command('last', 2 * HOUR_MS));
    await until(() => blobs.pagesAsked.length === 3);
    await until(() => blobs.kept.size === 1);
    await notes.close();
    expect(blobs.pagesAsked.map(({ limit }) => limit)).toEqual([1_000, 1_000, 1_000]);
    expect(blobs.listed).toEqual([]);
    expect(problems).toEqual([]);
  });

  it('go though others cannot be deleted, which is told once, and these go with the next sweep', async () => {
    const blobs = new MemoryLeaseBlobs();
    const { notes, clock, command, problems, names } = await expiredNotes(blobs, 5);
    const stuck = names.slice(0, 2);
    for (const name of stuck) blobs.stuck.add(name);
    notes.add(TO, command('last', 9 * HOUR_MS));
    await until(() => problems.length === 1);
    expect(problems).toEqual([`forgetting 2 commands that have expired: PortError: ${stuck[0]} is held`]);
    expect([...blobs.kept.keys()].filter((name) => names.includes(name)).sort()).toEqual(stuck);
    blobs.stuck.clear();
    clock.advance(HOUR_MS);
    notes.add(TO, command('next', 9 * HOUR_MS));
    await until(() => names.every((name) => !blobs.kept.has(name)));
    await notes.close();
    expect(blobs.kept.size).toBe(2);
  });

  it('are looked through again after a minute where they could not be listed', async () => {
    const blobs = new MemoryLeaseBlobs();
    const { notes, clock, problems, command, add } = await expiredNotes(blobs, 3);
    blobs.isAway = true;
    notes.add(TO, command('lost'));
    await until(() => problems.length === 2);
    expect(problems[1]).toBe('forgetting commands that have expired: PortError: the account is away');
    blobs.isAway = false;
    clock.advance(MINUTE_MS - 1);
    await add('soon', 9 * HOUR_MS);
    expect(blobs.pagesAsked).toHaveLength(1);
    clock.advance(1);
    notes.add(TO, command('later', 9 * HOUR_MS));
    await until(() => blobs.kept.size === 2);
    await notes.close();
    expect(blobs.pagesAsked).toHaveLength(2);
  });

  it('are not looked through by two sweeps at a time', async () => {
    const blobs = new MemoryLeaseBlobs();
    const { notes, clock, problems, add } = notesOver(blobs);
    blobs.silent = ['listPage'];
    for (const id of ['c-1', 'c-2', 'c-3']) {
      await add(id, 9 * HOUR_MS);
      clock.advance(HOUR_MS);
    }
    expect(blobs.pagesAsked).toHaveLength(1);
    await notes.close();
    expect(problems).toEqual([]);
  });

  it('are told of, and hold up no command, while blobs are away', async () => {
    const blobs = new MemoryLeaseBlobs();
    const { notes, problems, command } = notesOver(blobs);
    blobs.isAway = true;
    expect(await notes.has(TO, command('c-1'), {})).toBeUndefined();
    notes.add(TO, command('c-1'));
    await until(() => problems.length === 3);
    await notes.close();
    expect(problems).toEqual([
      'looking whether the command c-1 was sent before: PortError: the account is away',
      'noting that the command c-1 was sent: PortError: the account is away',
      'forgetting commands that have expired: PortError: the account is away',
    ]);
  });

  it.each([
    ['two seconds', 600_000, 2_000],
    ['half of what a brief command has left', 1_000, 500],
  ])('that do not answer are waited for %s at most, and told of', async (_what, expiresAtMs, withinMs) => {
    const blobs = new MemoryLeaseBlobs();
    const { notes, problems, command } = notesOver(blobs);
    blobs.silent = ['list'];
    expect(await notes.has(TO, command('c-1', expiresAtMs), {})).toBeUndefined();
    expect(problems).toEqual([
      expect.stringContaining(`looking whether the command c-1 was sent before: no answer within ${withinMs} ms`),
    ]);
  });

  it('that are being written are waited for by a close, but not those that do not end', async () => {
    const blobs = new MemoryLeaseBlobs();
    const { notes, problems, command } = notesOver(blobs);
    notes.add(TO, command('c-1'));
    await notes.close();
    expect(blobs.kept.size).toBe(1);
    const others = notesOver(blobs);
    blobs.silent = ['put'];
    others.notes.add(TO, command('c-2'));
    await others.notes.close();
    expect(problems).toEqual([]);
    expect(others.problems).toEqual([expect.stringContaining('noting that the command c-2 was sent')]);
  });

  it('are written a thousand at a time at most, and what is beyond is told', async () => {
    const blobs = new MemoryLeaseBlobs();
    const { notes, problems, command } = notesOver(blobs);
    blobs.silent = ['put'];
    for (let i = 0; i <= 1_000; i++) notes.add(TO, command(`c-${i}`));
    expect(problems).toEqual(['noting that the command c-1000 was sent: PortError: 1000 others are being noted']);
    await notes.close();
    expect(problems).toHaveLength(1_001);
  });

  it('are looked for no further by who has stopped waiting', async () => {
    const blobs = new MemoryLeaseBlobs();
    const { notes, problems, command } = notesOver(blobs);
    blobs.silent = ['list'];
    const caller = new AbortController();
    const looked = notes.has(TO, command('c-1'), { signal: caller.signal });
    caller.abort();
    await expect(looked).rejects.toMatchObject({ name: 'PortError', code: 'cancelled' });
    expect(problems).toEqual([]);
  });
});
