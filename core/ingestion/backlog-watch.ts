import type { StreamName } from '../domain/event.ts';
import type { IntakeKind } from '../ports/device-gateway.ts';
import { INTAKE_KINDS, type BackPressure } from './back-pressure.ts';

/** How far a consumer group is behind on a stream: see MeasuredStream. */
export interface Backlog {
  readonly stream: StreamName;
  readonly group: string;
  readonly events: number;
  readonly fullness: number;
}

/** The backlogs that messages of a kind add to, once taken: on the streams that they are appended to, and on those derived from these. */
export type ReadBacklogs = (kind: IntakeKind) => Promise<readonly Backlog[]>;

export interface BacklogBounds {
  /** Events that a group may have still to settle, and how full of them a stream may be: at either a kind is refused, until half of it is left. */
  readonly maxPendingEvents: number;
  readonly maxFullness: number;
  readonly probeEveryMs: number;
}

/**
 * Shuts intake for a kind of message while a consumer behind it is too far behind, whether it is slow, stopped or gone: at the edge, where the
 * sender keeps what it has, and before a stream is full, where it would fail between two services.
 */
export class BacklogWatch {
  readonly #read: ReadBacklogs;
  readonly #pressure: BackPressure;
  readonly #bounds: BacklogBounds;
  readonly #onProblem: (what: string, error: unknown) => void;
  readonly #longest = new Map<IntakeKind, Backlog>();
  #timer: NodeJS.Timeout | undefined;
  #isProbing = false;

  constructor(
    read: ReadBacklogs,
    pressure: BackPressure,
    bounds: BacklogBounds,
    onProblem: (what: string, error: unknown) => void,
  ) {
    this.#read = read;
    this.#pressure = pressure;
    this.#bounds = bounds;
    this.#onProblem = onProblem;
  }

  /** Resolves after a first look: what waited when the last process ended waits still. */
  async start(): Promise<void> {
    await this.#probe();
    this.#timer = setInterval(() => void this.#probe(), this.#bounds.probeEveryMs);
  }

  close(): void {
    clearInterval(this.#timer);
  }

  /** Which group messages of the kind wait for, in words; undefined while they need not. */
  problem(kind: IntakeKind): string | undefined {
    const longest = this.#longest.get(kind);
    if (longest === undefined) return undefined;
    const { stream, group, events, fullness } = longest;
    return `the group ${group} has ${events} events of the stream ${stream} still to work off, which fill ${Math.round(fullness * 100)} % of it`;
  }

  async #probe(): Promise<void> {
    if (this.#isProbing) return;
    this.#isProbing = true;
    for (const kind of INTAKE_KINDS) {
      try {
        this.#weigh(kind, await this.#read(kind));
      } catch (error) {
        this.#onProblem(`reading how far the consumers of ${kind} are`, error);
      }
    }
    this.#isProbing = false;
  }

  #weigh(kind: IntakeKind, backlogs: readonly Backlog[]): void {
    const longest = backlogs.reduce<Backlog | undefined>(
      (most, each) => (most === undefined || this.#weight(each) > this.#weight(most) ? each : most),
      undefined,
    );
    const weight = longest === undefined ? 0 : this.#weight(longest);
    const isShut = weight >= 1 || (this.#longest.has(kind) && weight > 0.5);
    if (isShut && longest !== undefined) this.#longest.set(kind, longest);
    else this.#longest.delete(kind);
    this.#pressure.set('backlog', isShut, kind);
  }

  /** 1 at the bound. */
  #weight({ events, fullness }: Backlog): number {
    return Math.max(events / this.#bounds.maxPendingEvents, fullness / this.#bounds.maxFullness);
  }
}
