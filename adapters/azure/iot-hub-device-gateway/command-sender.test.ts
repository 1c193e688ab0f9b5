import { describe, expect, it } from '@jest/globals';
import { until } from '#core/contracts/until.ts';
import type { DeviceId, MachineKey, TenantId } from '#core/domain/ids.ts';
import type { Device } from '#core/ports/device-registry.ts';
import { HeldClock } from '#test/support/held-clock.ts';
import { MemoryLeaseBlobs } from '#test/support/memory-lease-blobs.ts';
import type { CloudToDeviceCalls } from './client.ts';
import { CommandSender } from './command-sender.ts';
import { SentNotes } from './sent-notes.ts';

const PRESS = 'acme/akron/press-7' as MachineKey;
const NOW_MS = 1_700_000_000_000;

/** A sender to a hub that takes whatever comes, for a machine with so many devices. */
function senderTo(count: number) {
  const clock = new HeldClock(NOW_MS);
  const blobs = new MemoryLeaseBlobs();
  const [sent, problems]: [string[], string[]] = [[], []];
  const onProblem = (what: string, error: unknown) => void problems.push(`${what}: ${String(error)}`);
  const devices: Device[] = Array.from({ length: count }, (_, i) => ({
    ...{ id: `gauge-${i}` as DeviceId, tenant: 'acme' as TenantId, machines: [PRESS] },
    ...{ enabled: true, createdAtMs: NOW_MS },
  }));
  const calls: CloudToDeviceCalls = {
    send: async (device, { id }) => void sent.push(`${id} to ${device}`),
    listen: async () => undefined,
    close: async () => undefined,
  };
  const sender = new CommandSender({
    ...{ calls, clock, onProblem, timeoutMs: 15_000, maxRemembered: 10 },
    devices: { of: async () => devices },
    notes: new SentNotes({ blobs, eventHub: 'devices', clock, onProblem }),
  });
  const send = (expiresInMs: number, options = {}) =>
    sender.send(PRESS, { id: 'c-1', payload: new Uint8Array(), expiresAtMs: NOW_MS + expiresInMs }, options);
  return { ...{ sender, send, blobs, clock, sent, problems }, [Symbol.asyncDispose]: () => sender.close() };
}

describe('a command to devices of IoT Hub', () => {
  it('goes in time to each of them though blobs do not answer, which are asked once', async () => {
    await using world = senderTo(3);
    world.blobs.silent = ['list'];
    await world.send(1_000);
    expect(world.sent).toEqual(['c-1 to gauge-0', 'c-1 to gauge-1', 'c-1 to gauge-2']);
    expect(world.blobs.listed).toHaveLength(1);
    expect(world.problems).toHaveLength(1);
  });

  it('is sent as soon as the hub has it, not once that is noted', async () => {
    await using world = senderTo(1);
    world.blobs.silent = ['put'];
    await world.send(60_000);
    expect(world.sent).toEqual(['c-1 to gauge-0']);
    expect(world.problems).toEqual([]);
  });

  it('that a note says was sent is sent to the other devices alone', async () => {
    await using first = senderTo(1);
    await first.send(60_000);
    await until(() => first.blobs.kept.size === 1);
    await using next = senderTo(2);
    first.blobs.kept.forEach((note, name) => next.blobs.kept.set(name, note));
    await next.send(60_000);
    expect(next.sent).toEqual(['c-1 to gauge-1']);
  });

  it('that expired while its note was looked for is not sent', async () => {
    await using world = senderTo(1);
    const { blobs, clock } = world;
    const list = blobs.list.bind(blobs);
    blobs.list = async (...asked) => {
      clock.advance(60_000);
      return list(...asked);
    };
    await expect(world.send(60_000)).rejects.toMatchObject({ name: 'PortError', code: 'invalid_argument' });
    expect(world.sent).toEqual([]);
  });

  it('that its caller gave up while its note was looked for is sent when it is given again', async () => {
    await using world = senderTo(1);
    world.blobs.silent = ['list'];
    const caller = new AbortController();
    const given = world.send(60_000, { signal: caller.signal });
    await until(() => world.blobs.listed.length === 1);
    caller.abort();
    await expect(given).rejects.toMatchObject({ name: 'PortError', code: 'cancelled' });
    world.blobs.silent = [];
    await world.send(60_000);
    expect(world.sent).toEqual(['c-1 to gauge-0']);
  });
});
