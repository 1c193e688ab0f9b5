import type { Clock } from '#core/clock.ts';
import { LEDGERED_STREAMS, type StreamName } from '#core/domain/event.ts';
import type { TenantId } from '#core/domain/ids.ts';
import { NOTHING_SETTLED } from '#core/domain/ledger.ts';
import type { AcceptedOptions, MeasuredStream } from '#core/ports/event-stream.ts';
import type { SettledTenant, TimeSeriesStore } from '#core/ports/time-series-store.ts';
import type { LedgerView } from './schemas/ledger.ts';

const READ_EVERY_MS = 600_000;

type Heads = ReadonlyMap<TenantId, number>;

interface Snapshot {
  readonly atMs: number;
  readonly settled: ReadonlyMap<TenantId, SettledTenant>;
  readonly lost: number;
  readonly heads: readonly Heads[];
  readonly refusedElsewhere: ReadonlyMap<TenantId, number>;
}

/**
 * The sum of ledger.md: accepted = stored + duplicate + rejected + deadLettered + pending, where pending is what the log stamped between the
 * settled watermark and the head; what another site settled before its history was moved here is in accepted too. A commit that the log lost takes its items out of both sides; the numbers of the events before and after it tell. What was settled is read before the heads, so that pending cannot come out below zero.
 */
export class LedgerReader {
  readonly #store: Pick<TimeSeriesStore, 'settled' | 'lostEvents'>;
  readonly #stream: Pick<MeasuredStream, 'acceptedItems'>;
  readonly #clock: Clock;
  readonly #refusedElsewhere: () => Promise<ReadonlyMap<TenantId, number>>;
  readonly #refusedHere = new Map<TenantId, number>();
  readonly #readEveryMs: number;
  readonly #onProblem: (what: string, error: unknown) => void;
  #reading: NodeJS.Timeout | undefined;
  #running: Promise<unknown> = Promise.resolve();
  #next: Promise<Snapshot> | undefined;

  constructor(dependencies: {
    readonly store: Pick<TimeSeriesStore, 'settled' | 'lostEvents'>;
    readonly stream: Pick<MeasuredStream, 'acceptedItems'>;
    readonly clock: Clock;
    readonly refused?: () => Promise<ReadonlyMap<TenantId, number>>;
    /** How often it is read where nobody asks, once started. */
    readonly readEveryMs?: number;
    readonly onProblem: (what: string, error: unknown) => void;
  }) {
    this.#store = dependencies.store;
    this.#stream = dependencies.stream;
    this.#clock = dependencies.clock;
    this.#refusedElsewhere = dependencies.refused ?? (async () => new Map());
    this.#readEveryMs = dependencies.readEveryMs ?? READ_EVERY_MS;
    this.#onProblem = dependencies.onProblem;
  }

  /** Reads it now and then where nobody asks, too: a stream learns by that which accounts are settled and need be kept no more. */
  start(): void {
    const failed = (error: unknown) => this.#onProblem('reading the ledger', error);
    this.#reading = setInterval(() => void this.#current().catch(failed), this.#readEveryMs);
  }

  stop(): void {
    clearInterval(this.#reading);
  }

  /** Counts a message that was turned away without an acknowledgement. */
  refused(tenant: TenantId): void {
    this.#refusedHere.set(tenant, (this.#refusedHere.get(tenant) ?? 0) + 1);
  }

  async of(tenant: TenantId): Promise<LedgerView> {
    return this.#viewOf(tenant, await this.#current());
  }

  /** Of all of whom anything was ever accepted. */
  async ofAll(): Promise<readonly LedgerView[]> {
    const snapshot = await this.#current();
    const tenants = new Set([...snapshot.settled.keys(), ...snapshot.heads.flatMap((heads) => [...heads.keys()])]);
    return [...tenants].sort().map((tenant) => this.#viewOf(tenant, snapshot));
  }

  #viewOf(tenant: TenantId, { atMs, settled, lost, heads, refusedElsewhere }: Snapshot): LedgerView {
    const own = settled.get(tenant);
    const { stored, duplicate, rejected, deadLettered } = own?.settled ?? NOTHING_SETTLED;
    const imported = own?.imported ?? 0;
    const stages = LEDGERED_STREAMS.map((stream, index) => {
      const accepted = heads[index]?.get(tenant) ?? 0;
      const watermark = own?.watermarks.get(stream) ?? 0;
      return { stream, accepted, watermark, pending: accepted - watermark };
    });
    const total = (count: (stage: (typeof stages)[number]) => number) =>
      stages.reduce((sum, stage) => sum + count(stage), 0);
    return {
      tenant,
      accepted: total((stage) => stage.accepted) + imported,
      stored,
      duplicate,
      rejected,
      deadLettered,
      pending: total((stage) => stage.pending),
      exact:
        lost === 0 &&
        stored + duplicate + rejected + deadLettered === total((stage) => stage.watermark) + imported &&
        stages.every((stage) => stage.pending >= 0),
      lost,
      refused: (this.#refusedHere.get(tenant) ?? 0) + (refusedElsewhere.get(tenant) ?? 0),
      imported,
      conflicts: own?.conflicts ?? 0,
      stages: stages.map(({ stream, accepted, pending }) => ({ stream, accepted, pending })),
      atMs,
    };
  }

  /** One reading at a time; who comes during one shares the next, which begins after they asked. */
  #current(): Promise<Snapshot> {
    this.#next ??= this.#afterRunning();
    return this.#next;
  }

  async #afterRunning(): Promise<Snapshot> {
    await this.#running.catch(() => undefined);
    this.#next = undefined;
    const reading = this.#read();
    this.#running = reading;
    return reading;
  }

  async #read(): Promise<Snapshot> {
    const [settled, lost] = await Promise.all([this.#store.settled(), this.#store.lostEvents()]);
    const [heads, refusedElsewhere] = await Promise.all([
      Promise.all(
        LEDGERED_STREAMS.map((stream) => this.#stream.acceptedItems(stream, { settled: settledOf(settled, stream) })),
      ),
      this.#refusedElsewhere(),
    ]);
    return {
      atMs: this.#clock.nowMs(),
      settled: new Map(settled.map((each) => [each.tenant, each])),
      lost: lost.reduce((sum, { events }) => sum + events, 0),
      heads,
      refusedElsewhere,
    };
  }
}

function settledOf(settled: readonly SettledTenant[], stream: StreamName): NonNullable<AcceptedOptions['settled']> {
  return new Map(settled.map((own) => [own.tenant, itemsByPart(own, stream)]));
}

/** What the watermark has of no part is under `''`. */
function itemsByPart({ watermarks, parts }: SettledTenant, stream: StreamName): ReadonlyMap<string, number> {
  const items = new Map(parts?.get(stream));
  const inParts = [...items.values()].reduce((sum, each) => sum + each, 0);
  const undivided = (watermarks.get(stream) ?? 0) - inParts;
  return undivided > 0 ? items.set('', undivided) : items;
}
