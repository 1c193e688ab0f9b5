import type { StreamName } from '../domain/event.ts';
import type { TenantId } from '../domain/ids.ts';
import type { SettledItems } from '../domain/ledger.ts';
import type { Progress } from '../ports/event-stream.ts';
import type { LostEvents, SettledTenant } from '../ports/time-series-store.ts';

type Outcome = keyof SettledItems;
/** The name of one number of the ledger; its JSON is what a store keeps it under. */
export type StateKey =
  | readonly ['settled', TenantId, Outcome]
  | readonly ['watermark', TenantId, StreamName, part?: string]
  | readonly ['progress', StreamName, string, string, number]
  /** Events that the group should have been given and was not. */
  | readonly ['lost', StreamName, string]
  | readonly ['fence', StreamName, string]
  | readonly ['conflicts', TenantId]
  /** Items that were settled at another site, before its history was moved here. */
  | readonly ['imported', TenantId]
  /** How many events have been accepted: the `ord` of the newest. */
  | readonly ['accepted-order']
  /** The rollups count what was accepted up to here. */
  | readonly ['rolled-order']
  /** Newest time of the readings that retention has dropped: rollups up to here cannot be computed again. */
  | readonly ['raw-floor-ms'];

/** The numbers of the ledger as the last commit left them: counters, watermarks, progress and fences. */
export class SettlementState {
  readonly #values: Map<string, number>;

  /** Takes what a store has saved: numbers by the JSON of their key. */
  constructor(saved: Iterable<readonly [key: string, value: number]> = []) {
    this.#values = new Map(saved);
  }

  get(key: StateKey): number | undefined {
    return this.#values.get(JSON.stringify(key));
  }

  /** Whether a key's JSON is such. */
  hasKey(isSuch: (key: string) => boolean): boolean {
    for (const key of this.#values.keys()) if (isSuch(key)) return true;
    return false;
  }

  progress(stream: StreamName, group: string): Progress[] {
    return this.#keys('progress')
      .filter(([[, ofStream, ofGroup]]) => ofStream === stream && ofGroup === group)
      .map(([[, , , source, epoch], seq]) => ({ source, epoch, seq }));
  }

  lost(): LostEvents[] {
    return this.#keys('lost').map(([[, stream, group], events]) => ({ stream, group, events }));
  }

  tenants(): SettledTenant[] {
    const watermarks = Map.groupBy(this.#keys('watermark'), ([[, tenant]]) => tenant);
    const tenants = new Set<TenantId>([
      ...this.#keys('settled').map(([[, tenant]]) => tenant),
      ...watermarks.keys(),
      ...this.#keys('conflicts').map(([[, tenant]]) => tenant),
    ]);
    return [...tenants].sort().map((tenant) => ({ ...this.#tenant(tenant), ...watermarksOf(watermarks.get(tenant)) }));
  }

  /** Takes over what a commit made durable. */
  apply(change: StateChange): void {
    for (const [key, value] of change.values) this.#values.set(key, value);
  }

  #tenant(tenant: TenantId): Omit<SettledTenant, 'watermarks' | 'parts'> {
    const settled = (outcome: Outcome) => this.get(['settled', tenant, outcome]) ?? 0;
    const imported = this.get(['imported', tenant]) ?? 0;
    return {
      tenant,
      settled: {
        stored: settled('stored'),
        duplicate: settled('duplicate'),
        rejected: settled('rejected'),
        deadLettered: settled('deadLettered'),
      },
      conflicts: this.get(['conflicts', tenant]) ?? 0,
      ...(imported > 0 && { imported }),
    };
  }

  #keys<Scope extends StateKey[0]>(
    scope: Scope,
  ): (readonly [Extract<StateKey, readonly [Scope, ...unknown[]]>, number])[] {
    type Key = Extract<StateKey, readonly [Scope, ...unknown[]]>;
    const prefix = `["${scope}"`;
    return [...this.#values]
      .filter(([key]) => key.startsWith(prefix))
      .map(([key, value]) => [JSON.parse(key) as Key, value] as const);
  }
}

type WatermarkKey = Extract<StateKey, readonly ['watermark', ...unknown[]]>;

/** One number a stream, and what it is the sum of. */
function watermarksOf(
  saved: readonly (readonly [WatermarkKey, number])[] = [],
): Pick<SettledTenant, 'watermarks' | 'parts'> {
  const watermarks = new Map<StreamName, number>();
  const parts = new Map<StreamName, Map<string, number>>();
  for (const [[, , stream, part], items] of saved) {
    watermarks.set(stream, (watermarks.get(stream) ?? 0) + items);
    if (part === undefined) continue;
    const ofStream = parts.get(stream) ?? new Map<string, number>();
    parts.set(stream, ofStream.set(part, items));
  }
  return { watermarks, ...(parts.size > 0 && { parts }) };
}

/** What one transaction changes of the state: written with it, applied to memory after its commit. */
export class StateChange {
  readonly values = new Map<string, number>();
  readonly #state: SettlementState;

  constructor(state: SettlementState) {
    this.#state = state;
  }

  get(key: StateKey): number | undefined {
    return this.values.get(JSON.stringify(key)) ?? this.#state.get(key);
  }

  /** Whether something of an earlier epoch of the source is settled, by this transaction or before. */
  hasEarlierEpoch(stream: StreamName, group: string, source: string, epoch: number): boolean {
    const prefix = JSON.stringify(['progress', stream, group, source]).replace(/]$/, ',');
    const isEarlier = (key: string) => key.startsWith(prefix) && Number(key.slice(prefix.length, -1)) < epoch;
    return [...this.values.keys()].some(isEarlier) || this.#state.hasKey(isEarlier);
  }

  set(key: StateKey, value: number): void {
    this.values.set(JSON.stringify(key), value);
  }

  /** Sets it where that makes it higher. */
  raise(key: StateKey, value: number): void {
    if (value > (this.get(key) ?? 0)) this.set(key, value);
  }

  add(key: StateKey, amount: number): void {
    if (amount !== 0) this.set(key, (this.get(key) ?? 0) + amount);
  }
}
