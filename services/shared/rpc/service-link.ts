import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { isPortError, messageOf, PortError, throwIfAborted } from '#core/errors.ts';
import { orStopWaiting } from '#core/stop-waiting.ts';
import { isWebSocket, placeOf, type LinkAddress, type TcpAddress } from './link-address.ts';
import { connectByKey } from './link-tls.ts';
import { AbsentPort, PortConnection, signalIn, type PortCall } from './port-connection.ts';
import { SILENT_MS } from './port-client.ts';

const MAX_COPIES = 64;
/** How often names are looked up again: at first, and once a copy is known. */
const LOOK_MS = 250;
const LOOK_AGAIN_MS = 10_000;
/** An address may be that of a balancer, behind which another connection may find another copy. */
const PROBE_MS = 10_000;
/** Less often where each is a request that is served, and logged, by what is before the service. */
const PROBE_WEB_SOCKET_MS = 60_000;
/** More often while copies come and go. */
const PROBE_SOON_MS = 1000;
/**
 * For each copy behind an address and one more: if there is one more, and chance decides which of them answers, one time in fifty none of so many
 * connections finds it. Then they become rarer, each time by half.
 */
const PROBES_SOON_A_COPY = 4;
/**
 * What passes WebSockets on ends them after an hour at the most, and keeps a copy that was replaced for as long as one is open: another takes the
 * place of each before, and what is under way ends on the old one.
 */
const RENEW_MS = 10 * 60_000;
/** Of that time: they are not all renewed at once. */
const SPREAD = 0.2;
/** After that many times as long a connection is given up that no other was found for, if there are other copies. */
const GIVE_UP_AFTER = 1.5;
const LOOK_DUE_MS = 5000;
const NAMES_WITHIN_MS = 5000;
const HELLO_WITHIN_MS = 5000;

export interface ServiceLinkOptions {
  readonly service: string;
  readonly addresses: readonly LinkAddress[];
  readonly key: Buffer;
  /** Told when it becomes known, or changes, why the service is not reached. */
  readonly warn: (what: string) => void;
  /** Addresses of a name. Default: the system's. */
  readonly resolve?: (host: string) => Promise<readonly string[]>;
  readonly lookAgainMs?: number;
  readonly probeMs?: number;
  /** How soon further copies are looked for behind each address at first, and once one came or was lost. Default: a second. */
  readonly probeSoonMs?: number;
  /** How long a connection through a WebSocket is used. Default: ten minutes. */
  readonly renewMs?: number;
}

/** A copy of a service that is connected now. */
export interface LinkedCopy {
  /** Another one after each start. */
  readonly id: string;
  call(call: PortCall): Promise<unknown>;
}

export interface CallRules {
  /** How long a call waits for a copy before it fails with `unavailable`. */
  readonly waitMs: number;
  /** Whether the next copy is asked where one says `unavailable`: for what one of them alone can do, and may be asked again. */
  readonly isAskedOfAll?: boolean;
}

/** What is known of a place where copies of a service are. */
interface Place {
  readonly address: LinkAddress;
  /** Where the last connection led. */
  copy?: string;
  triedMs: number;
  /** How often in a row, since a copy came or was lost, a connection led to none that was not known. */
  probesInVain: number;
}

interface Kept {
  readonly connection: PortConnection;
  /** By which address it was made. */
  readonly place: string;
  /** When another is to take its place, and when it is given up without. */
  readonly dueMs: number;
  readonly untilMs: number;
}

/**
 * Another service, with a connection to each of its copies: names are looked up again and again, as copies come and go. One that is not named any
 * more is kept until it ends: it finishes what it has in hand.
 */
export class ServiceLink {
  readonly service: string;
  readonly #options: ServiceLinkOptions;
  readonly #copies = new Map<string, Kept>();
  /** Those that answer what is under way, and nothing more. */
  readonly #ending = new Set<PortConnection>();
  readonly #places = new Map<string, Place>();
  readonly #closing = new AbortController();
  readonly #looking: Promise<void>;
  #changed = Promise.withResolvers<undefined>();
  #problem: string | undefined;
  #next = 0;

  constructor(options: ServiceLinkOptions) {
    this.service = options.service;
    this.#options = options;
    this.#looking = this.#keepLooking();
  }

  get copies(): readonly LinkedCopy[] {
    return [...this.#copies].map(([id, { connection }]) => ({ id, call: (call) => connection.call(call) }));
  }

  /** Why there is no copy; undefined while there is one. */
  problem(): string | undefined {
    if (this.#copies.size > 0) return undefined;
    return `${this.service} is not reached: ${this.#problem ?? 'it has not answered yet'}`;
  }

  /** Of one copy after the other. What a copy does not offer, it has not done: the next is asked. */
  async call(call: PortCall, { waitMs, isAskedOfAll = false }: CallRules): Promise<unknown> {
    const signal = signalIn(call.given);
    const untilMs = performance.now() + waitMs;
    for (let refusal: Error | undefined; ;) {
      throwIfAborted(signal);
      const { copies } = this;
      const first = this.#next++;
      for (let asked = 0; asked < copies.length; asked++) {
        try {
          return await copies[(first + asked) % copies.length]!.call(call);
        } catch (error) {
          const isNext =
            error instanceof AbsentPort || (isAskedOfAll && isPortError(error) && error.code === 'unavailable');
          if (!isNext || !(error instanceof Error)) throw error;
          if (!(error instanceof AbsentPort) || refusal === undefined) refusal = error;
        }
      }
      const leftMs = untilMs - performance.now();
      const isSaid = isPortError(refusal) && !(refusal instanceof AbsentPort);
      if (leftMs <= 0 || isSaid)
        throw refusal ?? new PortError('unavailable', this.problem() ?? `${call.name} does not answer`);
      await this.#change(Math.min(leftMs, LOOK_MS), signal);
    }
  }

  /** Resolves once there is a copy; rejects with why there is none after that time. */
  async reach(withinMs: number, signal?: AbortSignal): Promise<void> {
    const untilMs = performance.now() + withinMs;
    while (this.#copies.size === 0) {
      throwIfAborted(signal);
      const leftMs = untilMs - performance.now();
      if (leftMs <= 0) throw new PortError('unavailable', this.problem() ?? `${this.service} is not reached`);
      await this.#change(Math.min(leftMs, LOOK_MS), signal);
    }
  }

  async close(): Promise<void> {
    this.#closing.abort();
    for (const connection of [...this.#ending, ...[...this.#copies.values()].map((kept) => kept.connection)])
      connection.end((name) => new PortError('cancelled', `${name}: the connection was closed on this side`));
    await this.#looking;
  }

  async #keepLooking(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      await this.#look();
      await this.#change(this.#lookAgainMs(), signal, { isWaitedFor: false });
    }
  }

  #lookAgainMs(): number {
    const { lookAgainMs = LOOK_AGAIN_MS } = this.#options;
    const dueMs = this.#copies.size === 0 ? LOOK_MS : this.#isAnyDue() ? LOOK_DUE_MS : lookAgainMs;
    return Math.min(lookAgainMs, dueMs, ...[...this.#places].map(([name, place]) => this.#probeMs(name, place)));
  }

  async #look(): Promise<void> {
    const found = await Promise.all(this.#options.addresses.map((address) => this.#placesOf(address)));
    const places = new Map(found.flat().map((place) => [placeOf(place), place]));
    for (const known of this.#places.keys()) if (!places.has(known)) this.#places.delete(known);
    await Promise.all([...places].map(([name, place]) => this.#visit(name, place)));
    this.#giveUp();
    this.#tell();
  }

  /** One by one, but what is behind a name of HTTP: what answers by that name finds the copies. */
  async #placesOf(address: LinkAddress): Promise<readonly LinkAddress[]> {
    return isWebSocket(address) ? [address] : this.#hostsOf(address);
  }

  async #hostsOf({ host, port }: TcpAddress): Promise<readonly TcpAddress[]> {
    try {
      const hosts = isIP(host) ? [host] : await this.#resolve(host);
      return hosts.map((each) => ({ host: each, port }));
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : messageOf(error);
      this.#problem = `the name ${host} cannot be looked up (${code})`;
      return [];
    }
  }

  async #resolve(host: string): Promise<readonly string[]> {
    const { resolve = addressesOf } = this.#options;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      const overdue = (): void => reject(new Error(`no answer within ${NAMES_WITHIN_MS} ms`));
      timer = setTimeout(overdue, NAMES_WITHIN_MS).unref();
    });
    try {
      return await orStopWaiting(Promise.race([resolve(host), late]), this.#closing.signal);
    } finally {
      clearTimeout(timer);
    }
  }

  async #visit(name: string, address: LinkAddress): Promise<void> {
    const nowMs = performance.now();
    const place = this.#places.get(name) ?? { address, triedMs: -Infinity, probesInVain: 0 };
    this.#places.set(name, place);
    const isAnyDue = this.#isAnyDue(name);
    // With no copy left it is tried again at once, but not without pause: one may take connections and end each.
    const isTooSoon = nowMs - place.triedMs < (this.#copies.size > 0 ? this.#probeMs(name, place) : LOOK_MS);
    if ((isTooSoon || this.#copies.size >= MAX_COPIES) && !isAnyDue) return;
    if (this.#closing.signal.aborted) return;
    place.triedMs = nowMs;
    place.probesInVain++;
    try {
      const socket = await connectByKey(address, this.#options.key, this.#closing.signal);
      const connection = new PortConnection(socket, SILENT_MS);
      const copy = await helloOf(connection);
      place.copy = copy;
      this.#keep(copy, { connection, place: name, ...this.#useOf(address) });
    } catch (error) {
      if (!this.#isReached(place)) this.#problem = `${name}: ${messageOf(error)}`;
    }
  }

  #isReached({ copy }: Place): boolean {
    return copy !== undefined && this.#copies.has(copy);
  }

  /** How long after a connection to a place another is tried, which may lead to another copy. */
  #probeMs(name: string, place: Place): number {
    const { lookAgainMs = LOOK_AGAIN_MS, probeSoonMs = PROBE_SOON_MS } = this.#options;
    const { probeMs = isWebSocket(place.address) ? PROBE_WEB_SOCKET_MS : PROBE_MS } = this.#options;
    const longestMs = this.#isReached(place) ? probeMs : lookAgainMs;
    if (this.#copies.size >= MAX_COPIES) return longestMs;
    const copies = [...this.#copies.values()].filter((kept) => kept.place === name).length;
    const beyond = Math.max(0, place.probesInVain - PROBES_SOON_A_COPY * (copies + 1));
    return Math.min(longestMs, probeSoonMs * 2 ** beyond);
  }

  /** A copy came or was lost: others may, too. */
  #lookAround(): void {
    for (const place of this.#places.values()) place.probesInVain = 0;
    this.#wake();
  }

  #useOf(address: LinkAddress): Pick<Kept, 'dueMs' | 'untilMs'> {
    if (!isWebSocket(address)) return { dueMs: Infinity, untilMs: Infinity };
    const { renewMs = RENEW_MS } = this.#options;
    const nowMs = performance.now();
    return { dueMs: nowMs + renewMs * (1 - SPREAD * Math.random()), untilMs: nowMs + renewMs * GIVE_UP_AFTER };
  }

  #isAnyDue(place?: string): boolean {
    const nowMs = performance.now();
    return [...this.#copies.values()].some((kept) => kept.dueMs <= nowMs && (place ?? kept.place) === kept.place);
  }

  #keep(copy: string, kept: Kept): void {
    const { connection } = kept;
    const before = this.#copies.get(copy);
    const isWanted = before ? before.dueMs <= performance.now() : this.#copies.size < MAX_COPIES;
    if (!isWanted || this.#closing.signal.aborted) {
      connection.end((name) => new PortError('cancelled', `${name}: the connection was closed on this side`));
      return;
    }
    this.#copies.set(copy, kept);
    this.#problem = undefined;
    connection.onEnd(() => {
      if (this.#copies.get(copy) !== kept) return;
      this.#copies.delete(copy);
      this.#problem = 'it went away';
      this.#lookAround();
    });
    if (before) this.#drain(before);
    else this.#lookAround();
  }

  #drain({ connection }: Kept): void {
    this.#ending.add(connection);
    connection.onEnd(() => this.#ending.delete(connection));
    connection.drain();
  }

  /** Of what no further connection leads to any more: copies that were replaced, where new connections are to be had. */
  #giveUp(): void {
    const nowMs = performance.now();
    const letIn = new Set([...this.#copies.values()].filter((kept) => kept.dueMs > nowMs).map((kept) => kept.place));
    for (const [copy, kept] of this.#copies) {
      if (kept.untilMs > nowMs || !letIn.has(kept.place)) continue;
      this.#copies.delete(copy);
      this.#drain(kept);
    }
  }

  #wake(): void {
    this.#changed.resolve(undefined);
    this.#changed = Promise.withResolvers();
  }

  /** At the latest after that time. Who waits for it keeps the process alive. */
  async #change(withinMs: number, signal: AbortSignal | undefined, { isWaitedFor = true } = {}): Promise<void> {
    const over = new AbortController();
    const either = signal ? AbortSignal.any([signal, over.signal]) : over.signal;
    await Promise.race([
      this.#changed.promise,
      sleep(withinMs, undefined, { signal: either, ref: isWaitedFor }).catch(() => undefined),
    ]);
    over.abort();
  }

  #told: string | undefined;
  #tell(): void {
    if (this.#closing.signal.aborted) return;
    const problem = this.problem();
    if (problem !== undefined && problem !== this.#told) this.#options.warn(problem);
    this.#told = problem;
  }
}

async function addressesOf(host: string): Promise<readonly string[]> {
  return (await lookup(host, { all: true })).map(({ address }) => address);
}

async function helloOf(connection: PortConnection): Promise<string> {
  const overdue = setTimeout(
    () => connection.end((name) => new PortError('unavailable', `${name} went away`)),
    HELLO_WITHIN_MS,
  );
  try {
    return await connection.copy.promise;
  } finally {
    clearTimeout(overdue);
  }
}
