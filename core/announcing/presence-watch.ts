import type { Clock } from '../clock.ts';
import { atStart } from '../delivery/at-start.ts';
import { derivedId } from '../derivation/derived-event.ts';
import type { Announcements } from '../ports/alarm-journal.ts';
import type { DevicePresence, PresenceListener } from '../ports/device-gateway.ts';
import type { DeviceRegistry } from '../ports/device-registry.ts';
import type { Announcement, DeviceNotice } from './announcement.ts';

export interface PresenceWatchDependencies {
  readonly announcements: Announcements;
  readonly devices: Pick<DeviceRegistry, 'getDevice'>;
  /** Hears at once of everything, and of devices that did not come back after a restart. */
  readonly live: PresenceListener;
  readonly clock: Clock;
  readonly onProblem: (what: string, error: unknown) => void;
}

export interface PresenceWatchOptions {
  /** How long a device must be there, or away, before that is announced. */
  readonly settleMs: number;
  /** Names of notifiers to be told. */
  readonly notify: readonly string[];
  readonly maxSubjects?: number;
}

interface Watched {
  /** What was announced last, or what goes without saying. */
  told: boolean;
  /** Of announcements that follow one another: each doubles how long the next state must last. */
  haste: number;
  toldAtMs: number;
  now: DevicePresence;
  by: DeviceNotice['by'];
  /** On the monotonic clock: when what is now has lasted long enough. */
  dueMs: number;
}

/** A device that was connected when the platform ended may take so many times as long to come back. */
const COMES_BACK_WITHIN = 6;
/** A device that comes and goes is announced after 1, 2, 4 ... 64 times the settling time. */
const LONGEST_HASTE = 6;
const CALM_AFTER_MS = 3_600_000;
const AT_ONCE = 500;
const PAGE = 1000;

/**
 * Announces that devices come and go, each state once it has lasted: a device that flaps costs few announcements, and one that was away for a
 * moment none. It remembers over a restart of the platform who was there, and tells of those who do not come back. Bounded: of devices beyond
 * `maxSubjects` nothing is announced.
 *
 * A device is what its connection says. What a status topic says of one machine counts while the device itself is connected: its Last Will,
 * or what it says before it leaves, adds nothing.
 */
export class PresenceWatch implements PresenceListener {
  readonly #dependencies: PresenceWatchDependencies;
  readonly #options: PresenceWatchOptions;
  readonly #watched = new Map<string, Watched>();
  /** Those whose state is not the one that was announced. */
  readonly #unsettled = new Set<string>();
  #timer: NodeJS.Timeout | undefined;
  #announcing: Promise<void> | undefined;

  constructor(dependencies: PresenceWatchDependencies, options: PresenceWatchOptions) {
    this.#dependencies = dependencies;
    this.#options = options;
  }

  /** Takes up what was announced before. Call it before devices can connect. */
  async start(): Promise<void> {
    for (let after: string | undefined; ;) {
      const query = { kind: 'device', limit: PAGE, ...(after !== undefined && { after }) } as const;
      const page = await atStart(() => this.#dependencies.announcements.listAnnounced(query));
      for (const each of page) await atStart(() => this.#remember(each));
      after = page.at(-1)?.subject;
      if (page.length < PAGE) break;
    }
    const everyMs = Math.min(1000, Math.max(50, this.#options.settleMs / 2));
    this.#timer = setInterval(() => void this.settle(), everyMs);
  }

  presence(event: DevicePresence): void {
    this.#dependencies.live.presence(event);
    if (event.by === 'status') {
      if (this.#watched.get(subjectOf({ ...event, by: 'connection' }))?.now.online === true) this.#note(event, true);
      return;
    }
    this.#note(event, false);
    // What was said of its machines is over with the connection it was said on.
    for (const machine of event.machines)
      this.#unsettled.delete(subjectOf({ ...event, by: 'status', machines: [machine] }));
  }

  /** Announces what has lasted long enough. What cannot be kept now is tried again the next time. */
  settle(): Promise<void> {
    this.#announcing ??= this.#settle().finally(() => (this.#announcing = undefined));
    return this.#announcing;
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#announcing;
  }

  async #remember({ subject, notice }: Announcement): Promise<void> {
    if (notice.kind !== 'device') return;
    const { announcements, devices, clock, live } = this.#dependencies;
    const { device, change, by, sinceMs: atMs } = notice;
    const registered = await devices.getDevice(device);
    if (!registered) {
      await announcements.forgetAnnounced([subject]);
      return;
    }
    const told = change === 'online';
    const common = { told, haste: 0, toldAtMs: 0 };
    if (by === 'status') {
      const now = { device, machines: notice.machines, by, online: told, atMs };
      this.#watched.set(subject, { ...common, now, by, dueMs: 0 });
      return;
    }
    const { machines } = registered;
    const now = { device, machines, by: 'connection', online: false, atMs: told ? clock.nowMs() : atMs } as const;
    const dueMs = clock.monotonicMs() + COMES_BACK_WITHIN * this.#options.settleMs;
    this.#watched.set(subject, { ...common, now, by: told ? 'restart' : by, dueMs });
    if (told) this.#unsettled.add(subject);
    else live.presence(now);
  }

  #note(now: DevicePresence, goesWithoutSaying: boolean): void {
    const { clock } = this.#dependencies;
    const subject = subjectOf(now);
    let watched = this.#watched.get(subject);
    if (!watched) {
      if (this.#watched.size >= (this.#options.maxSubjects ?? 100_000)) return;
      watched = { told: goesWithoutSaying, haste: 0, toldAtMs: 0, now, by: now.by, dueMs: 0 };
      this.#watched.set(subject, watched);
    }
    const nowMs = clock.monotonicMs();
    if (watched.haste > 0 && nowMs - watched.toldAtMs > CALM_AFTER_MS) watched.haste = 0;
    if (!this.#unsettled.has(subject) || watched.now.online !== now.online) {
      watched.dueMs = nowMs + this.#options.settleMs * 2 ** watched.haste;
    }
    watched.now = now;
    watched.by = now.by;
    if (now.online === watched.told) this.#unsettled.delete(subject);
    else this.#unsettled.add(subject);
  }

  async #settle(): Promise<void> {
    const { announcements, clock, onProblem } = this.#dependencies;
    const nowMs = clock.monotonicMs();
    const due = [...this.#unsettled].filter((subject) => (this.#watched.get(subject)?.dueMs ?? 0) <= nowMs);
    try {
      for (let at = 0; at < due.length; at += AT_ONCE) {
        const batch = due.slice(at, at + AT_ONCE).flatMap((subject) => this.#announcementOf(subject));
        await announcements.announce(batch, { notify: this.#options.notify });
        for (const { subject, notice } of batch) this.#told(subject, notice.change === 'online');
      }
    } catch (error) {
      onProblem('announcing which devices are there', error);
    }
  }

  #announcementOf(subject: string): (Announcement & { readonly notice: DeviceNotice })[] {
    const watched = this.#watched.get(subject);
    // It may have changed while others were announced.
    if (!watched || !this.#unsettled.has(subject)) return [];
    const { device, machines, online, atMs: sinceMs } = watched.now;
    const [machine] = machines;
    if (machine === undefined) return [];
    const change = online ? 'online' : 'offline';
    const notice: DeviceNotice = { kind: 'device', change, device, machines, by: watched.by, sinceMs };
    return [{ id: derivedId('device', '1', machine, [subject, change, String(sinceMs)]), subject, machine, notice }];
  }

  #told(subject: string, online: boolean): void {
    const watched = this.#watched.get(subject);
    if (!watched) return;
    watched.told = online;
    watched.haste = Math.min(watched.haste + 1, LONGEST_HASTE);
    watched.toldAtMs = this.#dependencies.clock.monotonicMs();
    if (watched.by === 'restart') this.#dependencies.live.presence(watched.now);
    // It may have gone while it was announced that it came.
    if (watched.now.online === online) this.#unsettled.delete(subject);
    else this.#unsettled.add(subject);
  }
}

function subjectOf({ device, by, machines }: Pick<DevicePresence, 'device' | 'by' | 'machines'>): string {
  return by === 'connection' ? `device ${device}` : `device ${device} ${machines.join(' ')}`;
}
