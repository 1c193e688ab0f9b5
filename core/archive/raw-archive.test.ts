import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { MemoryObjectStore } from '#test/support/memory-object-store.ts';
import { stampedEvent } from '../contracts/sample-event.ts';
import type { StampedEvent } from '../domain/event.ts';
import type { MachineKey } from '../domain/ids.ts';
import type { Checkpoint } from '../ports/checkpoint-store.ts';
import { RawArchive } from './raw-archive.ts';
import { RAW_KEY, type RawMessage } from './raw-object.ts';
import { readRaw } from './raw-reader.ts';
import { forgetRaw } from './raw-retention.ts';

const PRESS = 'acme/akron/press-7' as MachineKey;
const T0 = Date.UTC(2026, 10, 21, 23, 59, 50);
const DAY_MS = 86_400_000;
const compress = promisify(gzip) as (text: Uint8Array) => Promise<Uint8Array>;
const decompress = promisify(gunzip) as (bytes: Uint8Array) => Promise<Uint8Array>;

function message(seq: number, given: Partial<StampedEvent> = {}): StampedEvent {
  const payload = Buffer.from(`{"id":"e-${seq}","ts":${T0 + seq},"metrics":{"a":${seq}.0}}`);
  return stampedEvent(seq, { key: PRESS, acceptedAtMs: T0 + seq * 1000, payload, ...given });
}

/** Objects and a state that outlive processes, one of which may die at any write. */
class World {
  readonly objects = new MemoryObjectStore();
  #saved: Checkpoint | undefined;
  /** How many more writes there are before the process dies; one that dies has or has not written. */
  writesLeft = Infinity;
  diesAfterWriting = false;

  open(): Promise<RawArchive> {
    return RawArchive.open('metrics', {
      compress,
      objects: { put: (key, bytes, options) => this.#write(() => this.objects.put(key, bytes, options)) },
      checkpoints: {
        load: async () => this.#saved,
        save: (_name, state, expectedVersion) =>
          this.#write(async () => {
            expect(expectedVersion).toBe(this.#saved?.version ?? 0);
            return (this.#saved = { version: expectedVersion + 1, state });
          }),
      },
    });
  }

  async #write<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.writesLeft-- > 0) return work();
    if (this.diesAfterWriting) await work();
    throw new Error('killed');
  }

  async read(machine = PRESS, limit = 500): Promise<readonly RawMessage[]> {
    const all: RawMessage[] = [];
    const query = { machine, fromMs: 0, toMs: T0 + 10 * DAY_MS, limit };
    for (let page = await readRaw(query, { objects: this.objects, decompress }); ;) {
      all.push(...page.messages);
      if (!page.next) return all;
      page = await readRaw({ ...query, after: page.next }, { objects: this.objects, decompress });
    }
  }

  async keys(): Promise<readonly string[]> {
    return (await this.objects.list({ prefix: '', limit: 1000 })).map(({ key }) => key);
  }
}

describe('the raw archive', () => {
  it('gives every message back as it came, by a key of tenant, site, day and hour', async () => {
    const world = new World();
    const sent = [
      message(1),
      message(2, {
        eventId: 'with "quotes",\n"body":',
        payload: Buffer.from('{ "ts": 1.0,\r\n "metrics": {"b": 1e0} }'),
      }),
      message(3, {
        imported: true,
        payload: Buffer.from('{"ts":3,"metrics":{"c":3},"body":"x","µ":"ü","m":{"machine":"press-7","a":1}}'),
      }),
      message(12, { kind: 'waveform', payload: Buffer.from('{"waveformId":"w"}') }),
    ];
    await (await world.open()).archive(sent);
    const found = await world.read();
    expect(found).toEqual(
      sent.map(({ eventId, kind, acceptedAtMs, imported = false, payload }) => {
        return { machine: 'press-7', eventId, kind, acceptedAtMs, imported, payload: Buffer.from(payload).toString() };
      }),
    );
    const keys = await world.keys();
    for (const key of keys) expect(key).toMatch(RAW_KEY);
    expect(keys.map((key) => key.split('/').slice(0, 5).join('/'))).toEqual([
      'raw/acme/akron/2026-11-21/23',
      'raw/acme/akron/2026-11-22/00',
    ]);
  });

  it('leaves out what is no accepted message', async () => {
    const world = new World();
    await (await world.open()).archive([message(1, { kind: 'duplicate' }), message(2, { kind: 'rejection' })]);
    expect(await world.keys()).toEqual([]);
  });

  it('has every message once, whenever the process was killed and however they were delivered again', async () => {
    const step = fc.record({
      // How many come with the next delivery, and after how many writes the process dies.
      more: fc.integer({ min: 1, max: 8 }),
      writes: fc.oneof(fc.constant(Infinity), fc.nat(5)),
      diesAfterWriting: fc.boolean(),
      epoch: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
        const world = new World();
        const log: StampedEvent[] = [];
        let acknowledged = 0;
        let epoch = 1;
        let archive = await world.open();
        for (const { more, writes, diesAfterWriting, epoch: isNew } of [...steps, LAST]) {
          if (isNew) epoch++;
          for (let i = 0; i < more; i++) log.push(message(log.length + 1, { epoch }));
          world.writesLeft = writes;
          world.diesAfterWriting = diesAfterWriting;
          try {
            await archive.archive(log.slice(acknowledged));
            acknowledged = log.length;
          } catch {
            world.writesLeft = Infinity;
            archive = await world.open();
            // A checkpoint of the stream is a hint: some of what is archived is delivered again, too.
            acknowledged = Math.max(0, acknowledged - 2);
          }
        }
        expect((await world.read()).map(({ eventId }) => eventId)).toEqual(log.map(({ eventId }) => eventId));
      }),
      { numRuns: 300 },
    );
  });

  it('fails, and forgets nothing, while objects cannot be written', async () => {
    const world = new World();
    const archive = await world.open();
    world.objects.full = true;
    await expect(archive.archive([message(1)])).rejects.toMatchObject({ code: 'resource_exhausted' });
    world.objects.full = false;
    await archive.archive([message(1), message(2)]);
    expect((await world.read()).map(({ eventId }) => eventId)).toEqual(['e-1', 'e-2']);
  });

  it('is read by machine and time, page by page, and of no other tenant even by a forged cursor', async () => {
    const world = new World();
    const archive = await world.open();
    const pump = 'acme/akron/press-70' as MachineKey;
    const foreign = 'other/akron/press-7' as MachineKey;
    for (let i = 0; i < 40; i++)
      await archive.archive([
        message(3 * i + 1),
        message(3 * i + 2, { key: pump }),
        message(3 * i + 3, { key: foreign }),
      ]);
    const own = (await world.read(PRESS)).map(({ eventId }) => eventId);
    expect(own).toEqual(Array.from({ length: 40 }, (_, i) => `e-${3 * i + 1}`));
    expect((await world.read(PRESS, 3)).map(({ eventId }) => eventId)).toEqual(own);
    const dependencies = { objects: world.objects, decompress };
    const between = { machine: PRESS, fromMs: T0 + 4000, toMs: T0 + 10_000, limit: 10 };
    expect((await readRaw(between, dependencies)).messages.map(({ eventId }) => eventId)).toEqual(['e-4', 'e-7']);
    const key = (await world.keys()).find((each) => each.startsWith('raw/other/'))!;
    const forged = await readRaw({ ...between, fromMs: 0, limit: 500, after: { key, offset: 0 } }, dependencies);
    expect(forged.messages).toEqual([]);
  });

  it('forgets the days that are over, of every site', async () => {
    const world = new World();
    const archive = await world.open();
    const places = ['acme/akron/a', 'acme/akron-2/a', 'acme/boston/a', 'bolt/akron/a'] as MachineKey[];
    const events = places.flatMap((key, i) =>
      [0, 1, 2].map((day) => message(1 + 3 * i + day, { key, acceptedAtMs: T0 + day * DAY_MS })),
    );
    await archive.archive(events);
    expect(await forgetRaw(world.objects, T0 + 2 * DAY_MS)).toBe(8);
    expect(await forgetRaw(world.objects, T0 + 2 * DAY_MS)).toBe(0);
    expect((await world.keys()).map((key) => key.split('/').slice(1, 4).join('/')).sort()).toEqual(
      places.map((key) => `${key.slice(0, -2)}/2026-11-23`).sort(),
    );
  });
});

const LAST = { more: 1, writes: Infinity, diesAfterWriting: false, epoch: false };
