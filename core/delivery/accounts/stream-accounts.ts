import { systemClock, type Clock } from '../../clock.ts';
import type { MachineEvent, StampedEvent } from '../../domain/event.ts';
import { tenantOf, type TenantId } from '../../domain/ids.ts';
import { PortError, type CallOptions } from '../../errors.ts';
import type { CheckpointStore } from '../../ports/checkpoint-store.ts';
import type { AcceptedOptions, BatchHandler, Progress, StreamLag } from '../../ports/event-stream.ts';
import { behind, laterOf, publishedTo, type PublishedLane, type SettledLane } from './lane-account.ts';
import { acceptedInParts } from '../accepted-in-parts.ts';
import { SharedDocument } from '../shared-document.ts';

export interface StreamAccountsOptions {
  readonly checkpoints: Pick<CheckpointStore, 'load' | 'save'>;
  /** Of the stream, unique among all that use the checkpoints. */
  readonly name: string;
  /** How long the stream keeps events: what is older waits no more. */
  readonly retentionMs: number;
  /** How often what was published is said: what a process that is killed leaves unsaid. */
  readonly saveEveryMs?: number;
  readonly clock?: Clock;
  /** Told of saves that failed; they are tried again. */
  readonly onFailure: (error: unknown) => void;
}

/** What a publisher has made durable of a lane in one epoch. */
export interface PublishedEpoch {
  /** Of the lane: no two publishers have one at a time. */
  readonly source: string;
  readonly epoch: number;
  /** Of the last event. */
  readonly seq: number;
  /** Each tenant's in this epoch, of those that have any; it is read again whenever it is said. */
  readonly items: ReadonlyMap<string, number>;
}

interface Published {
  readonly lanes: Readonly<Record<string, PublishedLane>>;
  /** Items by part and tenant. */
  readonly parts: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

interface Group {
  readonly isForgotten?: boolean;
  readonly lanes: Readonly<Record<string, SettledLane>>;
}

/** What this process knows of a group, saved or not. */
interface OwnGroup {
  readonly document: SharedDocument<Group>;
  readonly settled: Map<string, SettledLane>;
  /** When another account of the group was taken over last, which does not know how old what it settled is. */
  resumedAtMonotonicMs: number;
  isChanged: boolean;
  flushing: Promise<void>;
}

const READ_AGE_MS = 250;
/** For how long a publisher may be unable to say what a group has settled already. */
const UNSAID_MS = 600_000;
const PRUNE_EVERY_MS = 60_000;
const NOTHING: Published = { lanes: {}, parts: {} };

/** The part of a stream that an epoch of a lane is: what `cumulativeItems` counts where only publishers count. */
export function partOf(source: string, epoch: number): string {
  return `${source}/${epoch}`;
}

/** Adds the event's items to its tenant's, and returns what these are then. */
export function countItems(items: Map<string, number>, { key, items: added }: MachineEvent): number {
  const tenant = tenantOf(key);
  const sum = (items.get(tenant) ?? 0) + added;
  if (added > 0) items.set(tenant, sum);
  return sum;
}

/**
 * What is published to a stream and settled by its groups, for streams that nobody but those who use them can measure. Publishers say what they
 * made durable about once a second; groups what they settled before the stream's own checkpoint has it, so that a crash leaves them behind and
 * never ahead. See docs/adr/0008.
 */
export class StreamAccounts {
  readonly #options: Required<StreamAccountsOptions>;
  readonly #published: SharedDocument<Published>;
  readonly #lanes = new Map<string, PublishedLane>();
  readonly #parts = new Map<string, ReadonlyMap<string, number>>();
  /** Parts that became more since what is being saved was made. */
  readonly #changedParts = new Set<string>();
  readonly #groups = new Map<string, OwnGroup>();
  #saveTimer: NodeJS.Timeout | undefined;
  #saving: Promise<void> = Promise.resolve();
  #isUnsaid = false;
  #isClosed = false;
  #prunedAtMs = -Infinity;

  constructor(options: StreamAccountsOptions) {
    this.#options = { saveEveryMs: 1000, clock: systemClock, ...options };
    const { checkpoints, name, clock } = this.#options;
    this.#published = new SharedDocument(checkpoints, `stream-accounts/${name}/published`, clock);
  }

  /** To be called before `published`, with the sources that it will be told of: what they published before goes on. Resolves to their last epoch, 0 without. */
  async open(sources: readonly string[], options?: CallOptions): Promise<number> {
    const { lanes } = (await this.#published.read(0, options)) ?? NOTHING;
    for (const source of sources)
      if (lanes[source]) this.#lanes.set(source, laterOf(this.#lanes.get(source), lanes[source]));
    return Math.max(0, ...sources.map((source) => lanes[source]?.epoch ?? 0));
  }

  /** Events became durable. */
  published({ source, epoch, seq, items }: PublishedEpoch): void {
    const { clock, retentionMs } = this.#options;
    this.#lanes.set(source, publishedTo(this.#lanes.get(source), { epoch, seq }, clock.nowMs(), retentionMs));
    if (items.size > 0) this.#parts.set(partOf(source, epoch), items);
    this.#changedParts.add(partOf(source, epoch));
    this.#isUnsaid = true;
    this.#saveSoon();
  }

  /** Makes the group known; what is said to be published by now is not its. */
  async declare(group: string, options?: CallOptions): Promise<void> {
    const { lanes } = await this.#readPublished(0, options);
    await this.#group(group).document.change((found) => {
      if (found && found.isForgotten !== true) return undefined;
      const settled = [...lanes].map(([source, { epoch, seq, atMs }]) => [source, { epoch, seq, acceptedAtMs: atMs }]);
      return { lanes: Object.fromEntries(settled) as Group['lanes'] };
    }, options);
  }

  /** Takes that back. */
  async forget(group: string, options?: CallOptions): Promise<void> {
    const { document } = this.#group(group);
    this.#groups.delete(group);
    await document.change((found) => found && { isForgotten: true, lanes: {} }, options);
  }

  /** The handler, with what it settles taken into the account of the group; what the group has settled by another account, too. */
  counting(group: string, resumeAfter: readonly Progress[] | undefined, handler: BatchHandler): BatchHandler {
    this.#group(group).resumedAtMonotonicMs = this.#options.clock.monotonicMs();
    for (const { source, epoch, seq } of resumeAfter ?? [])
      this.#settle(group, source, { epoch, seq, acceptedAtMs: 0 });
    return (batch, signal) =>
      handler(
        {
          events: batch.events,
          redeliveries: batch.redeliveries,
          ack: async () => {
            // Before the stream's own checkpoint can have it.
            this.#settleEvents(group, batch.events, []);
            await batch.ack();
          },
          nack: async (failed, options) => {
            this.#settleEvents(group, batch.events, failed);
            await batch.nack(failed, options);
          },
        },
        signal,
      );
  }

  /** Saves what the group has settled: to be awaited before the stream's own checkpoint is, or what came is acknowledged to it. */
  async flush(group: string): Promise<void> {
    const own = this.#groups.get(group);
    if (!own) return;
    // Not before the save under way, which may have what this would save.
    own.flushing = own.flushing.catch(() => undefined).then(() => this.#flush(own));
    await own.flushing;
  }

  async #flush(own: OwnGroup): Promise<void> {
    if (!own.isChanged) return;
    own.isChanged = false;
    try {
      const { lanes: published } = await this.#readPublished(this.#options.saveEveryMs);
      await own.document.change((found) => {
        if (found?.isForgotten === true) return undefined;
        const lanes = merged(Object.entries(found?.lanes ?? {}), own.settled);
        for (const [source, lane] of lanes) {
          if (published.has(source) || !this.#isOver(own, lane)) continue;
          lanes.delete(source);
          own.settled.delete(source);
        }
        return { lanes: Object.fromEntries(lanes) };
      });
    } catch (error) {
      own.isChanged = true;
      throw error;
    }
  }

  /** See `MeasuredStream`: of each part what was said, or what was settled where that is more. */
  async acceptedItems({ settled, signal }: AcceptedOptions = {}): Promise<Map<TenantId, number>> {
    const { parts } = await this.#readPublished(READ_AGE_MS, signal && { signal });
    if (settled) this.#prune(settled);
    return acceptedInParts(parts, settled);
  }

  /** See `MeasuredStream`. @throws PortError not_found for a group that was never declared. */
  async lag(group: string, { signal }: CallOptions = {}): Promise<StreamLag> {
    const options = signal && { signal };
    const own = this.#group(group);
    const [{ lanes }, found] = await Promise.all([
      this.#readPublished(READ_AGE_MS, options),
      own.document.read(READ_AGE_MS, options),
    ]);
    if (!found || found.isForgotten === true)
      throw new PortError('not_found', `the group ${group} of ${this.#options.name} is not declared`);
    const settled = merged(Object.entries(found.lanes), own.settled);
    const { clock, retentionMs } = this.#options;
    let [events, oldestAgeMs] = [0, 0];
    for (const [source, lane] of lanes) {
      if (this.#isPast(lane.atMs)) continue;
      const ofLane = behind(lane, settled.get(source), clock.nowMs());
      events += ofLane.events;
      oldestAgeMs = Math.max(oldestAgeMs, ofLane.oldestAgeMs);
    }
    return { events, oldestAgeMs, fullness: events === 0 ? 0 : Math.min(1, Math.max(1, oldestAgeMs) / retentionMs) };
  }

  /** Says what is unsaid. To be called once nothing is published or settled any more. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#saveTimer);
    this.#saveTimer = undefined;
    await this.#saving;
    const saves = [...this.#groups.keys()].map((group) => this.flush(group));
    const results = await Promise.allSettled([...(this.#isUnsaid ? [this.#save()] : []), ...saves]);
    for (const result of results) if (result.status === 'rejected') this.#options.onFailure(result.reason);
  }

  #saveSoon(): void {
    if (this.#isClosed) return;
    this.#saveTimer ??= setTimeout(() => {
      this.#saveTimer = undefined;
      // After the save under way: what that leaves unsaid is known once it is over.
      this.#saving = this.#saving
        .then(() => this.#save())
        .catch((error: unknown) => {
          this.#options.onFailure(error);
          this.#saveSoon();
        });
    }, this.#options.saveEveryMs).unref();
  }

  async #save(): Promise<void> {
    this.#isUnsaid = false;
    try {
      await this.#published.change((found = NOTHING) => {
        this.#changedParts.clear();
        const kept = Object.entries(found.lanes).filter(([, { atMs }]) => !this.#isPast(atMs));
        const lanes = merged(kept, this.#lanes);
        const parts = new Map(Object.entries(found.parts));
        for (const [part, items] of this.#parts) parts.set(part, Object.fromEntries(items));
        return { lanes: Object.fromEntries(lanes), parts: Object.fromEntries(parts) };
      });
    } catch (error) {
      this.#isUnsaid = true;
      throw error;
    }
    const current = this.#currentParts();
    for (const part of this.#parts.keys())
      if (!current.has(part) && !this.#changedParts.has(part)) this.#parts.delete(part);
  }

  /** Those that may become more. */
  #currentParts(): Set<string> {
    return new Set([...this.#lanes].map(([source, { epoch }]) => partOf(source, epoch)));
  }

  /** What others said, and what this process would say now. */
  async #readPublished(maxAgeMs: number, options?: CallOptions) {
    const found = (await this.#published.read(maxAgeMs, options)) ?? NOTHING;
    const lanes = merged(Object.entries(found.lanes), this.#lanes);
    const said = Object.entries(found.parts).map(([part, items]) => [part, new Map(Object.entries(items))] as const);
    return { lanes, parts: new Map<string, ReadonlyMap<string, number>>([...said, ...this.#parts]) };
  }

  #settleEvents(group: string, events: readonly StampedEvent[], failed: readonly number[]): void {
    const isFailed = new Set(failed);
    const stuck = new Set<string>();
    const last = new Map<string, StampedEvent>();
    events.forEach((event, index) => {
      if (isFailed.has(index)) stuck.add(event.source);
      else if (!stuck.has(event.source)) last.set(event.source, event);
    });
    for (const [source, event] of last) this.#settle(group, source, event);
  }

  #settle(group: string, source: string, { epoch, seq, acceptedAtMs }: SettledLane): void {
    const own = this.#group(group);
    own.settled.set(source, laterOf(own.settled.get(source), { epoch, seq, acceptedAtMs }));
    own.isChanged = true;
  }

  #group(group: string): OwnGroup {
    let own = this.#groups.get(group);
    if (!own) {
      const document = this.#documentOf(group);
      const resumedAtMonotonicMs = this.#options.clock.monotonicMs();
      own = { document, settled: new Map(), resumedAtMonotonicMs, isChanged: false, flushing: Promise.resolve() };
      this.#groups.set(group, own);
    }
    return own;
  }

  #documentOf(group: string): SharedDocument<Group> {
    const { checkpoints, name, clock } = this.#options;
    return new SharedDocument(checkpoints, `stream-accounts/${name}/group/${group}`, clock);
  }

  /** Of a lane that no publisher tells of: whether none will tell of what the group settled. */
  #isOver({ resumedAtMonotonicMs }: OwnGroup, { acceptedAtMs }: SettledLane): boolean {
    if (acceptedAtMs > 0) return this.#isPast(acceptedAtMs);
    return this.#options.clock.monotonicMs() - resumedAtMonotonicMs > UNSAID_MS;
  }

  #isPast(atMs: number): boolean {
    return atMs < this.#options.clock.nowMs() - this.#options.retentionMs;
  }

  /** Lets go, now and then, of what was said of former epochs that are settled as a whole: the store's own count says as much. */
  #prune(settled: NonNullable<AcceptedOptions['settled']>): void {
    const { clock, onFailure } = this.#options;
    if (clock.monotonicMs() - this.#prunedAtMs < PRUNE_EVERY_MS) return;
    this.#prunedAtMs = clock.monotonicMs();
    const isSettled = (part: string, items: readonly (readonly [string, number])[]) =>
      items.every(([tenant, said]) => (settled.get(tenant as TenantId)?.get(part) ?? 0) >= said);
    this.#published
      .change((found = NOTHING) => {
        const all = Object.entries(found.parts);
        const live = new Set(Object.entries(found.lanes).map(([source, { epoch }]) => partOf(source, epoch)));
        const kept = all.filter(([part, items]) => live.has(part) || !isSettled(part, Object.entries(items)));
        return kept.length === all.length ? undefined : { lanes: found.lanes, parts: Object.fromEntries(kept) };
      })
      .catch(onFailure);
  }
}

/** Of each lane the later of what was found and what this process knows. */
function merged<Lane extends Pick<SettledLane, 'epoch' | 'seq'>>(
  found: Iterable<readonly [string, Lane]>,
  own: ReadonlyMap<string, Lane>,
): Map<string, Lane> {
  const lanes = new Map(found);
  for (const [source, lane] of own) lanes.set(source, laterOf(lanes.get(source), lane));
  return lanes;
}
