import { PortError, type CallOptions } from '../errors.ts';
import type { DevicePresence } from '../ports/device-gateway.ts';
import type { LiveChanges, LiveFeed, LiveMachine } from './live-feed.ts';

/** A feed of one of several that see a part of the site each. */
export interface NamedFeed {
  /** Of no other feed, nor of what comes in its place after a restart. */
  readonly id: string;
  readonly port: LiveFeed;
}

/** One feed of several that come and go: when one has, everything is told anew. It holds nothing: what is known is in the cursor. */
export class MergedLiveFeed implements LiveFeed {
  readonly #feeds: () => readonly NamedFeed[];

  constructor(feeds: () => readonly NamedFeed[]) {
    this.#feeds = feeds;
  }

  /** @throws PortError unavailable where none of them answers. */
  async changes(after?: string, options: CallOptions = {}): Promise<LiveChanges> {
    const feeds = this.#feeds();
    const known = cursorsIn(after);
    const areTheSame =
      feeds.length > 0 &&
      feeds.length === Object.keys(known).length &&
      feeds.every(({ id }) => known[id] !== undefined);
    if (areTheSame) {
      const changes = await changesOf(feeds, known, options);
      if (changes.length === feeds.length && !changes.some(({ isAll }) => isAll)) return merged(changes, false);
    }
    const all = await changesOf(feeds, {}, options);
    if (all.length === 0) throw new PortError('unavailable', 'nobody who sees live readings answers');
    return merged(all, true);
  }
}

type Cursors = Readonly<Record<string, string>>;
type ChangesOf = LiveChanges & { readonly id: string };

/** Of those that answer: one that is away is left out until it is back, or gone from the list. */
async function changesOf(feeds: readonly NamedFeed[], after: Cursors, options: CallOptions): Promise<ChangesOf[]> {
  const answers = await Promise.allSettled(
    feeds.map(async ({ id, port }) => ({ ...(await port.changes(after[id], options)), id })),
  );
  return answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
}

function merged(changes: readonly ChangesOf[], isAll: boolean): LiveChanges {
  const machines = new Map<string, LiveMachine>();
  const presence = new Map<string, DevicePresence>();
  for (const feed of changes) {
    for (const machine of feed.machines) {
      const known = machines.get(machine.key);
      machines.set(machine.key, known ? ofBoth(known, machine) : machine);
    }
    for (const device of feed.presence) {
      const name = JSON.stringify([device.device, device.by, device.machines]);
      if ((presence.get(name)?.atMs ?? -Infinity) <= device.atMs) presence.set(name, device);
    }
  }
  const cursor = JSON.stringify(Object.fromEntries(changes.map((feed) => [feed.id, feed.cursor])));
  return { cursor, isAll, machines: [...machines.values()], presence: [...presence.values()] };
}

/** Of each metric the value of whose newest is newer. */
function ofBoth(one: LiveMachine, other: LiveMachine): LiveMachine {
  const [older, newer] = (one.tsMs ?? -Infinity) <= (other.tsMs ?? -Infinity) ? [one, other] : [other, one];
  const units = { ...older.units, ...newer.units };
  return {
    ...newer,
    receivedAtMs: Math.max(one.receivedAtMs, other.receivedAtMs),
    metrics: { ...older.metrics, ...newer.metrics },
    ...(Object.keys(units).length > 0 && { units }),
  };
}

function cursorsIn(text: string | undefined): Cursors {
  try {
    return text === undefined ? {} : (JSON.parse(text) as Cursors);
  } catch {
    return {};
  }
}
