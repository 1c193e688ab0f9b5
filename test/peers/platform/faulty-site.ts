import { setTimeout as sleep } from 'node:timers/promises';
import type { Lease, LeaseStore } from '#core/delivery/lease-worker.ts';
import type { StreamName } from '#core/domain/event.ts';
import type { EventStream } from '#core/ports/event-stream.ts';
import { STREAM_GROUPS } from '#services/shared/observability/stream-lag.ts';
import { RAW_ARCHIVE_GROUP } from '#services/timeseries-service/raw-archiver.ts';
import { noFault, type HttpFaults, type WireFault } from '../http-faults.ts';
import type { PostgresOnAWire } from '../postgres-on-a-wire.ts';
import type { TcpFaults } from '../tcp-faults.ts';
import { OBSERVED, OBSERVER, type Site } from './site.ts';

/** A site whose platform reaches its peers over wires that can fail. */
export interface FaultySite extends Site {
  readonly postgres: PostgresOnAWire;
  /** How often a device sends that waits for each acknowledgement, where a peer is far slower than its service. */
  readonly everyMs?: number;
  /** The site's stream as somebody else reads it who is not troubled by the faults, or gets over them. */
  openStream(): Promise<EventStream>;
}

/** A fault that has begun. */
export interface BegunFault {
  /** How often something was refused, cut or lost. */
  readonly times?: () => Promise<number> | number;
  readonly end: () => Promise<void> | void;
}

/** Something that goes wrong for a while around a platform that works. */
export interface Fault<Place extends FaultySite> {
  readonly what: string;
  readonly begin: (place: Place) => Promise<BegunFault> | BegunFault;
  /** What the platform says to whoever asks how it is; absent: its work goes on all the while. */
  readonly told?: RegExp;
  /** What intake says meanwhile to whoever it takes nothing from, for a moment after each attempt that failed. */
  readonly refuses?: RegExp;
  readonly atLeastMs?: number;
}

export interface FaultySiteKind<Place extends FaultySite> {
  readonly name: string;
  readonly start: () => Promise<Place>;
  /** What goes wrong, each once or now and then, until the platform is ready. */
  readonly asItStarts?: (place: Place) => readonly BegunFault[];
  /** One after the other, on one platform. */
  readonly faults: readonly Fault<Place>[];
}

/** So begins what COPY sends in its binary format. */
const COPY_BEGINS = 'PGCOPY';

/** The server dies while it takes rows, and another is there a while later, as in a failover. */
export const databaseFailsOver: Fault<FaultySite> = {
  what: 'PostgreSQL dies in the middle of a COPY',
  told: /time-series-store: .*PostgreSQL/,
  begin: async ({ postgres: { wire, server } }) => {
    await wire.holdOnceSent(COPY_BEGINS);
    await server.kill();
    wire.letGo();
    return { end: () => server.startAgain() };
  },
};

const CUT_EVERY_MS = 700;
const CUT_AFTER_BYTES = 700;

/** Connections are cut again and again, also in the middle of what is sent. */
export function cutAgainAndAgain(wire: TcpFaults): BegunFault {
  let times = 0;
  const timer = setInterval(() => {
    if (++times % 2 === 0) wire.cut();
    else wire.cutAfter(CUT_AFTER_BYTES);
  }, CUT_EVERY_MS);
  return { times: () => times, end: () => clearInterval(timer) };
}

/** Those of the platform and who watches, on the streams of what devices send. */
export const GROUPS: readonly (readonly [StreamName, string])[] = OBSERVED.flatMap((observed) => [
  ...STREAM_GROUPS.filter(([stream, group]) => stream === observed && group !== RAW_ARCHIVE_GROUP),
  [observed, OBSERVER] as const,
]);

/** So long groups change again and again: each several times. */
export const CHANGING_MS = 15_000;
const THIEF = 'thief';
const TAKEN_EVERY_MS = 700;
/** Nobody renews what was taken: so long after it was seen it is free again. */
const THIEF_LEASE_MS = 1000;

/** Somebody who does no work takes the leases of one group after the other while their owners work by them, and lets them run out. */
export function takenAgainAndAgain<Held extends Lease>(
  groups: readonly Pick<LeaseStore<Held, unknown>, 'ready' | 'take'>[],
): BegunFault {
  let times = 0;
  return againAndAgain(
    TAKEN_EVERY_MS,
    async (turn) => {
      const leases = groups[turn % groups.length]!;
      for (const lease of await leases.ready()) {
        if (lease.owner === undefined || lease.owner === THIEF) continue;
        // Its owner may have renewed it, so that it is another by now.
        if (await leases.take(lease, THIEF, THIEF_LEASE_MS)) times++;
      }
    },
    () => times,
  );
}

/** Does it, waits for so long, and does it again, until it ends. */
export function againAndAgain(
  everyMs: number,
  doIt: (turn: number, ending: AbortSignal) => Promise<void>,
  times: () => number,
): BegunFault {
  const ending = new AbortController();
  const { signal } = ending;
  const done = (async () => {
    for (let turn = 0; !signal.aborted; turn++) {
      await doIt(turn, signal);
      await sleep(everyMs, undefined, { signal }).catch(() => undefined);
    }
  })();
  // It is told where the fault ends.
  done.catch(() => undefined);
  return {
    times,
    end: () => {
      ending.abort();
      return done;
    },
  };
}

/** Every request over the wire meets it, until it ends. */
export function on(wire: HttpFaults, fault: WireFault): BegunFault {
  let times = 0;
  wire.fault = (request, pass) => {
    times++;
    return fault(request, pass);
  };
  return { times: () => times, end: () => void (wire.fault = noFault) };
}

/** Several at once: met as often as that which was met least. */
export function together(...begun: readonly BegunFault[]): BegunFault {
  return {
    times: async () => Math.min(...(await Promise.all(begun.map(async ({ times }) => (await times?.()) ?? 0)))),
    end: async () => {
      for (const { end } of begun) await end();
    },
  };
}
