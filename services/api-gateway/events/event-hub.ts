import type { ServerResponse } from 'node:http';
import { Counter, Gauge, type Registry } from 'prom-client';
import type { Clock } from '#core/clock.ts';
import { machineRef, type MachineKey, type TenantId } from '#core/domain/ids.ts';
import type { LiveMachine } from '#core/live/live-feed.ts';
import type { DevicePresence } from '#core/ports/device-gateway.ts';
import type { AlarmJournal } from '#core/ports/alarm-journal.ts';
import { HttpProblem } from '../../shared/http/problem.ts';
import type { FleetSummary, Pulse } from '../fleet/fleet-summary.ts';
import type { LedgerReader } from '../ledger-reader.ts';
import type { ReadingsEvent } from '../schemas/events.ts';
import { placeOf } from '../views.ts';
import { AlarmFeed, changesAfter } from './alarm-feed.ts';
import { ReadingsBacklog } from './readings-backlog.ts';
import { SseClient, sseText } from './sse-client.ts';

export type Topic = 'readings' | 'alarms' | 'ledger' | 'presence';

export interface Subscription {
  readonly tenant: TenantId;
  readonly topics: readonly Topic[];
  readonly site?: string | undefined;
  readonly machine?: MachineKey | undefined;
  readonly metrics?: readonly string[] | undefined;
  readonly lastEventId?: string | undefined;
  readonly expiresAtMs: number;
  /** Asked at every heartbeat: rejects once the listener's token or session is no longer good. */
  readonly authorise: () => Promise<unknown>;
}

interface Listener {
  readonly client: SseClient;
  readonly subscription: Subscription;
  /** Of one who wants part of the readings; the others share their tenant's. */
  readonly backlog: ReadingsBacklog;
}

interface TenantListeners {
  readonly listeners: Set<Listener>;
  readonly backlog: ReadingsBacklog;
  readonly alarms: AlarmFeed;
}

export interface EventHubDependencies {
  readonly clock: Clock;
  readonly alarms: AlarmJournal;
  readonly fleet: FleetSummary;
  readonly ledger: LedgerReader;
  readonly metrics: Registry;
  readonly onProblem: (what: string, error: unknown) => void;
}

export interface EventHubOptions {
  readonly heartbeatMs: number;
  readonly ledgerEveryMs: number;
  readonly maxClientsPerTenant: number;
  readonly maxQueuedBytes: number;
  readonly maxMachinesPerEvent: number;
}

/** Sends what happens to everybody who listens, each only what is their tenant's. Without listeners it does nothing. */
export class EventHub {
  readonly #dependencies: EventHubDependencies;
  readonly #options: EventHubOptions;
  readonly #tenants = new Map<TenantId, TenantListeners>();
  readonly #stops: (() => void)[] = [];
  readonly #dropped: Counter<'reason'>;
  #telling: Promise<void> | undefined;
  #tellAgain = false;

  constructor(dependencies: EventHubDependencies, options: EventHubOptions) {
    this.#dependencies = dependencies;
    this.#options = options;
    const { metrics } = dependencies;
    this.#dropped = new Counter({
      name: 'tribo_event_clients_dropped_total',
      help: 'Listeners of the event stream that the gateway disconnected',
      labelNames: ['reason'],
      registers: [metrics],
    });
    const size = () => this.#count();
    new Gauge({
      name: 'tribo_event_clients',
      help: 'Listeners of the event stream',
      registers: [metrics],
      collect() {
        this.set(size());
      },
    });
  }

  start(): void {
    const { alarms, fleet } = this.#dependencies;
    const heartbeat = setInterval(() => this.#heartbeat(), this.#options.heartbeatMs);
    const ledger = setInterval(() => void this.#tellLedgers(), this.#options.ledgerEveryMs);
    this.#stops.push(
      () => clearInterval(heartbeat),
      () => clearInterval(ledger),
      alarms.onChange(() => this.#tellAlarms()),
      fleet.onPulse((pulse, presence) => this.#tellLive(pulse, presence)),
    );
  }

  async close(): Promise<void> {
    for (const stop of this.#stops.splice(0)) stop();
    for (const { listeners } of this.#tenants.values()) {
      for (const { client } of listeners) client.goodbye('shutting-down', 'The platform is stopping.', 2000);
    }
    await this.#telling;
  }

  /** Throws before anything is sent where the tenant has too many listeners. @throws HttpProblem overloaded. */
  requireRoom(tenant: TenantId): void {
    const { maxClientsPerTenant } = this.#options;
    if ((this.#tenants.get(tenant)?.listeners.size ?? 0) < maxClientsPerTenant) return;
    throw new HttpProblem('overloaded', {
      detail: `This tenant has ${maxClientsPerTenant} listeners already.`,
      remedy: 'Close one that is not needed, or poll the lists.',
      retryAfterSeconds: 30,
    });
  }

  /** Takes the response over. */
  subscribe(response: ServerResponse, subscription: Subscription): void {
    const { tenant, topics, lastEventId } = subscription;
    const { clock } = this.#dependencies;
    const own = this.#listenersOf(tenant);
    const listener: Listener = {
      subscription,
      backlog: isUnfiltered(subscription) ? own.backlog : new ReadingsBacklog(),
      client: new SseClient(response, this.#options.maxQueuedBytes, (reason) => {
        if (reason !== undefined) this.#dropped.inc({ reason });
        this.#remove(tenant, listener);
      }),
    };
    own.listeners.add(listener);
    const { heartbeatMs } = this.#options;
    listener.client.send('hello', { serverTimeMs: clock.nowMs(), heartbeatMs, topics: [...topics] });
    if (topics.includes('ledger')) void this.#tellLedger(tenant, [listener]);
    if (topics.includes('alarms') && lastEventId !== undefined) void this.#resume(listener, lastEventId);
  }

  #listenersOf(tenant: TenantId): TenantListeners {
    const known = this.#tenants.get(tenant);
    if (known) return known;
    const { alarms, clock } = this.#dependencies;
    const made: TenantListeners = {
      listeners: new Set(),
      backlog: new ReadingsBacklog(),
      alarms: new AlarmFeed(alarms, tenant, clock),
    };
    this.#tenants.set(tenant, made);
    this.#tellAlarms();
    return made;
  }

  #remove(tenant: TenantId, listener: Listener): void {
    const own = this.#tenants.get(tenant);
    own?.listeners.delete(listener);
    if (own?.listeners.size === 0) this.#tenants.delete(tenant);
  }

  #count(): number {
    let count = 0;
    for (const { listeners } of this.#tenants.values()) count += listeners.size;
    return count;
  }

  async #resume({ client, subscription }: Listener, lastEventId: string): Promise<void> {
    try {
      const missed = await changesAfter(this.#dependencies.alarms, subscription.tenant, lastEventId);
      if (!missed)
        client.send('resync', { topic: 'alarms', reason: 'What was missed cannot be sent again: read the list.' });
      for (const { id, event } of missed ?? []) client.send('alarm', event, id);
    } catch (error) {
      this.#dependencies.onProblem('resuming an event stream', error);
      client.send('resync', { topic: 'alarms', reason: 'What was missed could not be read: read the list.' });
    }
  }

  /** One reading of the journal at a time; a change during it brings another. */
  #tellAlarms(): void {
    if (this.#telling) {
      this.#tellAgain = true;
      return;
    }
    this.#telling = this.#tellAlarmsNow()
      .catch((error: unknown) => this.#missedAlarms(error))
      .finally(() => {
        this.#telling = undefined;
        if (!this.#tellAgain) return;
        this.#tellAgain = false;
        this.#tellAlarms();
      });
  }

  async #tellAlarmsNow(): Promise<void> {
    for (const { alarms, listeners } of this.#tenants.values()) {
      for (const { id, event } of await alarms.next()) {
        const text = sseText('alarm', event, id);
        for (const { client, subscription } of listeners)
          if (subscription.topics.includes('alarms')) client.sendText(text);
      }
    }
  }

  #missedAlarms(error: unknown): void {
    this.#dependencies.onProblem('reading the alarm journal for the event stream', error);
    const text = sseText('resync', { topic: 'alarms', reason: 'Changes could not be read: read the list.' });
    for (const { listeners } of this.#tenants.values()) {
      for (const { client, subscription } of listeners)
        if (subscription.topics.includes('alarms')) client.sendText(text);
    }
  }

  #tellLive(pulse: Pulse, presence: readonly DevicePresence[]): void {
    for (const [tenant, { listeners, backlog }] of this.#tenants) {
      this.#tellReadings(listeners, backlog, pulse.get(tenant) ?? []);
      const own = presence.filter((device) => device.machines.some((key) => machineRef(key).tenant === tenant));
      for (const { machines: keys, ...device } of own) {
        const text = sseText('presence', { ...device, machines: keys.map(placeOf) });
        for (const { client, subscription } of listeners)
          if (subscription.topics.includes('presence')) client.sendText(text);
      }
    }
  }

  /** Listeners who want all machines share one text, made once. */
  #tellReadings(listeners: ReadonlySet<Listener>, shared: ReadingsBacklog, machines: readonly LiveMachine[]): void {
    let toAll: { readonly text: string | undefined } | undefined;
    for (const { client, subscription, backlog } of listeners) {
      if (!subscription.topics.includes('readings')) continue;
      const text =
        backlog === shared
          ? (toAll ??= { text: this.#readingsText(machines, subscription, shared) }).text
          : this.#readingsText(machines, subscription, backlog);
      if (text !== undefined) client.sendText(text);
    }
    // What nobody waits for is not kept.
    if (!toAll) shared.clear();
  }

  #readingsText(
    machines: readonly LiveMachine[],
    subscription: Subscription,
    backlog: ReadingsBacklog,
  ): string | undefined {
    const { clock, fleet } = this.#dependencies;
    const wanted = isUnfiltered(subscription) ? machines : wantedOf(machines, subscription);
    const changed = wanted.filter(
      ({ key, tsMs, metrics }) => tsMs !== undefined && fleet.get(key) && Object.keys(metrics).length > 0,
    );
    const items: ReadingsEvent['machines'] = [];
    const nowMs = clock.nowMs();
    for (const live of backlog.take(changed, this.#options.maxMachinesPerEvent)) {
      const state = fleet.get(live.key);
      // It may have been removed while it waited.
      if (!state || live.tsMs === undefined) continue;
      const { tsMs, receivedAtMs: receivedMs, metrics } = live;
      const operatingState = state.operatingStateAt(nowMs);
      items.push({ ...placeOf(live.key), tsMs, receivedMs, operatingState, metrics });
    }
    return items.length === 0 ? undefined : sseText('readings', { atMs: nowMs, machines: items });
  }

  async #tellLedgers(): Promise<void> {
    for (const [tenant, { listeners }] of this.#tenants) await this.#tellLedger(tenant, [...listeners]);
  }

  async #tellLedger(tenant: TenantId, listeners: readonly Listener[]): Promise<void> {
    const interested = listeners.filter(({ subscription }) => subscription.topics.includes('ledger'));
    if (interested.length === 0) return;
    try {
      const text = sseText('ledger', await this.#dependencies.ledger.of(tenant));
      for (const { client } of interested) client.sendText(text);
    } catch (error) {
      this.#dependencies.onProblem('reading the ledger for the event stream', error);
    }
  }

  #heartbeat(): void {
    const nowMs = this.#dependencies.clock.nowMs();
    for (const { listeners } of this.#tenants.values()) {
      for (const listener of listeners) {
        if (nowMs >= listener.subscription.expiresAtMs) this.#end(listener);
        else {
          listener.client.heartbeat();
          listener.subscription.authorise().catch(() => this.#end(listener));
        }
      }
    }
  }

  #end({ client }: Listener): void {
    client.goodbye('session-ended', 'The session or token is over: sign in again.');
  }
}

function isUnfiltered({ site, machine, metrics }: Subscription): boolean {
  return site === undefined && machine === undefined && metrics === undefined;
}

function wantedOf(machines: readonly LiveMachine[], { site, machine, metrics }: Subscription): readonly LiveMachine[] {
  const inPlace = machines.filter(
    ({ key }) => (machine === undefined || key === machine) && (site === undefined || machineRef(key).site === site),
  );
  return metrics ? inPlace.map((live) => ({ ...live, metrics: picked(live.metrics, metrics) })) : inPlace;
}

function picked(values: Readonly<Record<string, number>>, names: readonly string[]): Readonly<Record<string, number>> {
  return Object.fromEntries(names.flatMap((name) => (Object.hasOwn(values, name) ? [[name, values[name]!]] : [])));
}
