import { describe, expect, it } from '@jest/globals';
import { until } from '#core/contracts/until.ts';
import { PortError } from '#core/errors.ts';
import { HeldClock } from '#test/support/held-clock.ts';
import type { LeaseBlobs, MetadataBlob } from '../event-hubs-event-stream/lease-blobs.ts';
import { SentNotes } from './sent-notes.ts';

const TO = 'gauge-1 acme/akron/press-7';
const HOUR_MS = 3_600_000;

/** Blobs in memory, which may be away. */
class MemoryBlobs implements Pick<LeaseBlobs, 'list' | 'put' | 'delete'> {
  readonly kept = new Map<string, MetadataBlob>();
  isAway = false;

  async list(prefix: string, signal?: AbortSignal): Promise<readonly MetadataBlob[]> {
    this.#check(signal);
    return [...this.kept.values()].filter(({ name }) => name.startsWith(prefix));
  }

  async put(name: string, metadata: Readonly<Record<string, string>>): Promise<string | undefined> {
    this.#check();
    if (this.kept.has(name)) return undefined;
    this.kept.set(name, { name, metadata, etag: '1' });
    return '1';
  }

  async delete(name: string): Promise<void> {
    this.#check();
    this.kept.delete(name);
  }

  #check(signal?: AbortSignal): void {
    if (signal?.aborted) throw new PortError('cancelled', 'the caller left');
    if (this.isAway) throw new PortError('unavailable', 'the account is away');
  }
}

function notesOver(blobs: MemoryBlobs, clock = new HeldClock(0)) {
  const problems: string[] = [];
  const onProblem = (what: string, error: unknown) => void problems.push(`${what}: ${String(error)}`);
  const notes = new SentNotes({ blobs, eventHub: 'devices', clock, onProblem });
  const command = (id: string, expiresAtMs = 1_000) => ({ id, payload: new Uint8Array(), expiresAtMs });
  return { notes, clock, problems, command };
}

describe('notes of sent commands', () => {
  it('are of one device, machine and command, and hold for whoever reads the same blobs until the command expires', async () => {
    const blobs = new MemoryBlobs();
    const { notes, command } = notesOver(blobs);
    expect(await notes.has(TO, command('c-1'), {})).toBe(false);
    await notes.add(TO, command('c-1'));
    const next = notesOver(blobs);
    expect(await next.notes.has(TO, command('c-1'), {})).toBe(true);
    expect(await next.notes.has(TO, command('c-2'), {})).toBe(false);
    expect(await next.notes.has('gauge-2 acme/akron/press-7', command('c-1'), {})).toBe(false);
    next.clock.advance(1_000);
    expect(await next.notes.has(TO, command('c-1'), {})).toBe(false);
    await next.notes.add(TO, command('c-1', 5_000));
    expect(await next.notes.has(TO, command('c-1', 5_000), {})).toBe(true);
  });

  it('are looked through for those that have expired once an hour, and no others go', async () => {
    const blobs = new MemoryBlobs();
    const { notes, clock, command } = notesOver(blobs);
    for (let i = 0; i < 5; i++) await notes.add(TO, command(`brief-${i}`));
    await notes.add(TO, command('long', 2 * HOUR_MS));
    clock.advance(HOUR_MS);
    await notes.add(TO, command('last', 2 * HOUR_MS));
    await until(() => blobs.kept.size <= 2);
    await notes.close();
    expect([...blobs.kept.values()].map(({ metadata }) => metadata)).toEqual([
      { expiresatms: String(2 * HOUR_MS) },
      { expiresatms: String(2 * HOUR_MS) },
    ]);
  });

  it('are told of, and hold up no command, while blobs are away', async () => {
    const blobs = new MemoryBlobs();
    const { notes, problems, command } = notesOver(blobs);
    blobs.isAway = true;
    expect(await notes.has(TO, command('c-1'), {})).toBe(false);
    await notes.add(TO, command('c-1'));
    await until(() => problems.length === 3);
    await notes.close();
    expect(problems).toEqual([
      'looking whether the command c-1 was sent before: PortError: the account is away',
      'noting that the command c-1 was sent: PortError: the account is away',
      'forgetting commands that have expired: PortError: the account is away',
    ]);
  });

  it('are looked for no further by who has stopped waiting', async () => {
    const { notes, problems, command } = notesOver(new MemoryBlobs());
    await expect(notes.has(TO, command('c-1'), { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'cancelled',
    });
    expect(problems).toEqual([]);
  });
});
