import { beforeEach, describe, expect, it } from '@jest/globals';
import { LiveState } from '../live/live-state.ts';
import type { DeviceId, MachineKey, TenantId } from '../domain/ids.ts';
import { PortError } from '../errors.ts';
import type { Announcements } from '../ports/alarm-journal.ts';
import type { DevicePresence } from '../ports/device-gateway.ts';
import type { Announcement, DeviceNotice } from './announcement.ts';
import { PresenceWatch, type PresenceWatchOptions } from './presence-watch.ts';

const GATEWAY = 'gw-1' as DeviceId;
const PRESS = 'demo/akron/press-7' as MachineKey;
const PUMP = 'demo/akron/pump-2' as MachineKey;
const SETTLE_MS = 10_000;
const T0 = Date.UTC(2026, 10, 21, 1);

/** What the journal does with announcements, in memory, over restarts of who watches. */
class Announced implements Announcements {
  readonly newest = new Map<string, Announcement>();
  readonly told: DeviceNotice[] = [];
  failure: PortError | undefined;
  /** What the next listings fail with. */
  readonly listingFails: PortError[] = [];

  async announce(announcements: readonly Announcement[]): Promise<void> {
    if (this.failure) throw this.failure;
    for (const each of announcements) {
      if (this.newest.get(each.subject)?.id === each.id) continue;
      this.newest.set(each.subject, each);
      this.told.push(each.notice as DeviceNotice);
    }
  }
  async announced(subject: string): Promise<Announcement | undefined> {
    return this.newest.get(subject);
  }
  async listAnnounced({ after = '' }: { after?: string }): Promise<readonly Announcement[]> {
    const failure = this.listingFails.shift();
    if (failure) throw failure;
    return [...this.newest.values()].filter(({ subject }) => subject > after);
  }
  async forgetAnnounced(subjects: readonly string[]): Promise<void> {
    for (const subject of subjects) this.newest.delete(subject);
  }
}

let announced: Announced;
let live: LiveState;
let watch: PresenceWatch;
let nowMs: number;
let registered: Set<DeviceId>;
let problems: string[];

async function start(options: Partial<PresenceWatchOptions> = {}): Promise<void> {
  live = new LiveState({ incarnation: 'a' });
  const device = { id: GATEWAY, tenant: 'demo' as TenantId, machines: [PRESS, PUMP], enabled: true, createdAtMs: 0 };
  watch = new PresenceWatch(
    {
      announcements: announced,
      devices: { getDevice: async (id) => (registered.has(id) ? { ...device, id } : undefined) },
      live,
      clock: { nowMs: () => nowMs, monotonicMs: () => nowMs - T0 },
      onProblem: (what) => problems.push(what),
    },
    { settleMs: SETTLE_MS, notify: ['webhook'], ...options },
  );
  await watch.start();
  // Time passes only where a test says so.
  await watch.close();
}

beforeEach(async () => {
  announced = new Announced();
  nowMs = T0;
  registered = new Set([GATEWAY]);
  problems = [];
  await start();
});

function connection(online: boolean, device = GATEWAY): DevicePresence {
  return { device, machines: [PRESS, PUMP], by: 'connection', online, atMs: nowMs };
}

function status(machine: MachineKey, online: boolean): DevicePresence {
  return { device: GATEWAY, machines: [machine], by: 'status', online, atMs: nowMs };
}

async function pass(ms: number): Promise<void> {
  for (const untilMs = nowMs + ms; nowMs < untilMs;) {
    nowMs = Math.min(untilMs, nowMs + 1000);
    await watch.settle();
  }
}

const told = () => announced.told.map(({ change, by, machines }) => `${change} by ${by}: ${machines.length}`);

describe('the presence of devices', () => {
  it('is announced once it has lasted, with the time of its beginning', async () => {
    watch.presence(connection(true));
    await pass(SETTLE_MS - 1);
    expect(told()).toEqual([]);
    await pass(1);
    expect(announced.told).toEqual([
      { kind: 'device', change: 'online', device: GATEWAY, machines: [PRESS, PUMP], by: 'connection', sinceMs: T0 },
    ]);
    await pass(100_000);
    watch.presence(connection(false));
    await pass(4 * SETTLE_MS);
    expect(told()).toEqual(['online by connection: 2', 'offline by connection: 2']);
    expect(announced.told[1]?.sinceMs).toBe(T0 + SETTLE_MS + 100_000);
  });

  it('is live at once', async () => {
    watch.presence(connection(true));
    expect((await live.changes()).presence).toMatchObject([{ device: GATEWAY, online: true }]);
  });

  it('is not announced for a device that was away for a moment, or there for one', async () => {
    watch.presence(connection(true));
    watch.presence(connection(false));
    await pass(60_000);
    watch.presence(connection(true));
    await pass(60_000);
    watch.presence(connection(false));
    await pass(SETTLE_MS - 1000);
    watch.presence(connection(true));
    await pass(60_000);
    expect(told()).toEqual(['online by connection: 2']);
  });

  it('costs at most a few announcements an hour of a device that comes and goes all day, and at once again after a calm hour', async () => {
    for (let online = true; nowMs < T0 + 24 * 3_600_000; online = !online) {
      watch.presence(connection(online));
      await pass(15_000);
    }
    expect(announced.told.length).toBeLessThanOrEqual(24);
    watch.presence(connection(true));
    await pass(4_000_000);
    const before = announced.told.length;
    watch.presence(connection(false));
    await pass(SETTLE_MS);
    expect(announced.told.length).toBe(before + 1);
  });

  it('is announced of one machine whose status says so while its device stays connected', async () => {
    watch.presence(connection(true));
    watch.presence(status(PRESS, true));
    await pass(SETTLE_MS);
    watch.presence(status(PRESS, false));
    await pass(SETTLE_MS);
    watch.presence(status(PRESS, true));
    await pass(2 * SETTLE_MS);
    expect(told()).toEqual(['online by connection: 2', 'offline by status: 1', 'online by status: 1']);
  });

  it.each([
    ['before its connection ends', [status(PRESS, false), connection(false)]],
    ['after its connection ended', [connection(false), status(PRESS, false)]],
  ])('is announced once where a Last Will comes %s', async (_when, events) => {
    watch.presence(connection(true));
    watch.presence(status(PRESS, true));
    await pass(SETTLE_MS);
    for (const event of events) watch.presence({ ...event, atMs: nowMs });
    await pass(2 * SETTLE_MS);
    expect(told()).toEqual(['online by connection: 2', 'offline by connection: 2']);
    watch.presence(connection(true));
    await pass(100_000);
    expect(told().slice(2)).toEqual(['online by connection: 2']);
  });

  it('is remembered over a restart: who comes back is not announced, who does not goes offline', async () => {
    const other = 'gw-2' as DeviceId;
    registered.add(other);
    watch.presence(connection(true));
    watch.presence(connection(true, other));
    await pass(SETTLE_MS);
    await start();
    expect((await live.changes()).presence).toEqual([]);
    await pass(5_000);
    watch.presence(connection(true));
    await pass(6 * SETTLE_MS);
    expect(announced.told.slice(2)).toMatchObject([{ change: 'offline', by: 'restart', device: other }]);
    expect((await live.changes()).presence).toMatchObject([
      { device: GATEWAY, online: true },
      { device: other, online: false, atMs: T0 + SETTLE_MS },
    ]);
  });

  it('is remembered over a restart during which a connection breaks', async () => {
    watch.presence(connection(true));
    await pass(SETTLE_MS);
    announced.listingFails.push(new PortError('unavailable', 'read ECONNRESET'));
    await start();
    await pass(6 * SETTLE_MS);
    expect(announced.told.slice(1)).toMatchObject([{ change: 'offline', by: 'restart', device: GATEWAY }]);
  });

  it('is shown after a restart for those that were away before it, since when they are', async () => {
    watch.presence(connection(true));
    await pass(SETTLE_MS);
    watch.presence(connection(false));
    await pass(2 * SETTLE_MS);
    await start();
    expect((await live.changes()).presence).toMatchObject([{ device: GATEWAY, online: false, atMs: T0 + SETTLE_MS }]);
    await pass(100_000);
    expect(announced.told).toHaveLength(2);
  });

  it('is forgotten of devices that were removed while the platform was away', async () => {
    watch.presence(connection(true));
    await pass(SETTLE_MS);
    registered.clear();
    await start();
    await pass(100_000);
    expect(told()).toEqual(['online by connection: 2']);
    expect(announced.newest.size).toBe(0);
  });

  it('waits, and says so, while nothing can be announced', async () => {
    announced.failure = new PortError('unavailable', 'the disk is full');
    watch.presence(connection(true));
    await pass(SETTLE_MS);
    expect(problems).toEqual(['announcing which devices are there']);
    announced.failure = undefined;
    await pass(1000);
    expect(told()).toEqual(['online by connection: 2']);
  });

  it('is followed of so many devices and no more', async () => {
    await start({ maxSubjects: 1 });
    watch.presence(connection(true));
    watch.presence(connection(true, 'gw-2' as DeviceId));
    await pass(SETTLE_MS);
    expect(announced.told.map(({ device }) => device)).toEqual([GATEWAY]);
  });
});
