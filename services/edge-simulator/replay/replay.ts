import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { systemClock } from '#core/clock.ts';
import type { Clock } from '#core/clock.ts';
import type { PlantDescription } from '#core/domain/plant.ts';
import { PortError, throwIfAborted } from '#core/errors.ts';
import { TelemetryBatcher } from '../transport/batching.ts';
import { HttpUplink } from '../transport/http-uplink.ts';
import { MqttUplink } from '../transport/mqtt-uplink.ts';
import { batchIds } from '../transport/uplink.ts';
import type { Batch, Uplink } from '../transport/uplink.ts';
import { openReplaySource } from './formats.ts';
import type { ReplaySourceOptions } from './formats.ts';
import { ReliableSender } from './reliable-sender.ts';
import { ReplayJournal } from './replay-journal.ts';
import type { RecordingProgress } from './replay-journal.ts';
import { ReplayTally } from './replay-tally.ts';
import type { ReplayProgress, ReplayResult } from './replay-tally.ts';
import type { Recording, ReplayRecord, ReplaySource } from './source.ts';
import { inTimeOrder } from './time-order.ts';

export interface ReplayOptions extends ReplaySourceOptions {
  /** Times as fast as it was recorded, or as fast as the platform acknowledges. */
  readonly speed: number | 'max';
  /**
   * `end`: each recording ends now; `start`: it begins now; `keep`: its own times. Records keep their distance. Data with its own
   * times, or that begins before `acceptAgeDays`, goes by import, which HTTP alone can.
   */
  readonly shiftTimes: 'end' | 'start' | 'keep';
  readonly transport: ReplayTransport;
  /** Only recordings whose name holds this text. */
  readonly only?: string | undefined;
  /** Called with the machines before the first record is sent, to register them. */
  readonly onPlant?: ((plant: PlantDescription) => Promise<void>) | undefined;
  readonly onProgress?: ((progress: ReplayProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
  /** How old live data may be at the site. Default 7. */
  readonly acceptAgeDays?: number | undefined;
  /** How long the platform may be away before the replay gives up. Default five minutes. */
  readonly giveUpAfterMs?: number | undefined;
  /** File in which an interrupted replay leaves how far it came; the same replay goes on from there. Absent once all is acknowledged. */
  readonly journal?: string | undefined;
  readonly clock?: Clock | undefined;
}

type ReplayTransport =
  | {
      readonly mode: 'mqtt';
      readonly url: string;
      /** A device that is bound to the machines of the replay. */
      readonly device: { readonly id: string; readonly secret?: string | undefined };
      readonly caFile?: string | undefined;
    }
  | {
      readonly mode: 'http';
      readonly url: string;
      readonly token?: string | (() => string | Promise<string>) | undefined;
    };

/** Batches under way at a time: enough to fill the platform's group commits, few enough to bound memory. */
const MAX_IN_FLIGHT = { mqtt: 64, http: 16 } as const;
/** Recordings that are read at a time when there is no clock to follow. */
const LANES = 8;
/** Messages that reach this far ahead of the clock are rejected (wire.md). */
const MAX_AHEAD_MS = 5 * 60_000;

/**
 * Sends recordings to the platform as if their machines were here, and resolves once all is acknowledged. A replay that is repeated
 * with `keep` repeats its ids, so the platform stores it once; a shifted one is a new one, unless it goes on from a journal: then it has the
 * times and ids that it had before it was interrupted.
 *
 * @throws PortError not_found, invalid_argument, data_loss: the recordings or the options are wrong, and the message says what to do;
 * permission_denied, failed_precondition: the platform's refusal; unavailable: it was away too long; cancelled.
 */
export async function replay(options: ReplayOptions): Promise<ReplayResult> {
  checkSpeed(options.speed);
  const source = await openReplaySource(options);
  const selected = select(source, options.only);
  const nowMs = (options.clock ?? systemClock).nowMs();
  const journal = await ReplayJournal.open(options.journal, nowMs);
  let result: ReplayResult | undefined;
  try {
    const parts = selected.recordings.map((recording) => planPart(recording, options, nowMs, journal));
    await options.onPlant?.(selected.plant);
    await journal.begin();
    const run = new ReplayRun(parts, selected.plant, { ...options, isResumed: journal.isResumed });
    try {
      if (options.speed === 'max') await run.asFastAsAcknowledged();
      else await run.byTheClock(options.speed);
      result = await run.finish();
    } finally {
      await run.close();
    }
  } finally {
    await journal.close(result !== undefined);
  }
  return result;
}

/** A recording with its new time. */
interface Part {
  readonly recording: Recording;
  readonly progress: RecordingProgress;
  readonly shiftMs: number;
  readonly imported: boolean;
  /** Begin of the ids of its messages. */
  readonly idPrefix: string;
}

class ReplayRun {
  readonly #parts: readonly Part[];
  readonly #uplinks: readonly Uplink[];
  readonly #senders: Readonly<Record<'live' | 'imported', ReliableSender>>;
  readonly #signal: AbortSignal;
  readonly #abort = new AbortController();
  readonly #tally: ReplayTally;
  readonly #partOf: ReadonlyMap<string, Part>;

  constructor(
    parts: readonly Part[],
    plant: PlantDescription,
    options: ReplayOptions & { readonly isResumed: boolean },
  ) {
    this.#parts = parts;
    this.#partOf = new Map(parts.map((part) => [part.idPrefix, part]));
    this.#signal = options.signal ? AbortSignal.any([options.signal, this.#abort.signal]) : this.#abort.signal;
    this.#tally = new ReplayTally({
      machines: plant.machines.length,
      recordings: parts.map(({ recording: { name, machines, beginMs, endMs }, shiftMs, imported }) => {
        return { name, machines, beginMs: beginMs + shiftMs, endMs: endMs + shiftMs, imported };
      }),
      resumed: options.isResumed,
      totalBytes: parts.reduce((sum, { recording }) => sum + recording.bytes, 0),
      onProgress: options.onProgress,
    });
    const live = openUplink(options, plant, false);
    const imported = options.transport.mode === 'http' ? openUplink(options, plant, true) : live;
    this.#uplinks = [live, imported];
    this.#senders = { live: this.#sender(live, options), imported: this.#sender(imported, options) };
  }

  /** Several recordings at a time, each as its machine's acknowledgements allow. */
  async asFastAsAcknowledged(): Promise<void> {
    const waiting = this.#parts.values();
    const lanes = Array.from({ length: Math.min(LANES, this.#parts.length) }, async () => {
      for (const part of waiting) {
        const batcher = new TelemetryBatcher(this.#uplinks[0]!.limits);
        for await (const message of this.#messages(part)) await this.#add(batcher, message, part);
        await this.#sendAll(batcher.flush(), part);
      }
    });
    await this.#allOrNone(lanes);
  }

  /** All recordings on one clock; what is due at the same time travels together. */
  async byTheClock(speed: number): Promise<void> {
    const merged = inTimeOrder(this.#parts.map((part) => this.#timed(part)));
    const batchers = {
      live: new TelemetryBatcher(this.#uplinks[0]!.limits),
      imported: new TelemetryBatcher(this.#uplinks[1]!.limits),
    };
    const flush = async (): Promise<void> => {
      for (const way of ['live', 'imported'] as const) {
        for (const batch of batchers[way].flush()) await this.#senders[way].send(batch);
      }
    };
    const beganMs = performance.now();
    let firstMs: number | undefined;
    for await (const { tsMs, message, part } of merged) {
      firstMs ??= tsMs;
      const waitMs = beganMs + (tsMs - firstMs) / speed - performance.now();
      if (waitMs > 1) {
        await flush();
        await this.#sleep(waitMs);
      }
      await this.#add(batchers[way(part)], message, part);
    }
    await flush();
  }

  async finish(): Promise<ReplayResult> {
    await Promise.all(Object.values(this.#senders).map((sender) => sender.drain()));
    return this.#tally.result();
  }

  async close(): Promise<void> {
    this.#abort.abort();
    await Promise.all(this.#uplinks.map((uplink) => uplink.close()));
  }

  #sender(uplink: Uplink, options: ReplayOptions): ReliableSender {
    return new ReliableSender({
      uplink,
      maxInFlight: MAX_IN_FLIGHT[options.transport.mode],
      giveUpAfterMs: options.giveUpAfterMs ?? 300_000,
      signal: this.#signal,
      onAcknowledged: (batch, receipt) => {
        this.#done(batch);
        this.#tally.acknowledged(batch, receipt);
      },
      onRefused: (batch, reason) => {
        this.#done(batch);
        this.#tally.refused(batch, reason);
      },
    });
  }

  #done(batch: Batch): void {
    for (const id of batchIds(batch)) {
      const at = id.lastIndexOf('.') + 1;
      this.#partOf.get(id.slice(0, at))?.progress.done(parseInt(id.slice(at), 36));
    }
  }

  async *#messages({ recording, shiftMs, idPrefix, progress }: Part): AsyncGenerator<ReplayMessage, void, undefined> {
    let index = 0;
    let latestMs = -Infinity;
    const doneBefore = progress.acknowledged;
    for await (const record of recording.records()) {
      throwIfAborted(this.#signal);
      if (record.tsMs < latestMs) this.#tally.outOfOrder++;
      else latestMs = record.tsMs;
      this.#tally.readUpTo(recording, record.tsMs);
      if (index < doneBefore) index++;
      // A row without a single value says nothing.
      else if (record.kind === 'telemetry' && isEmpty(record.metrics)) progress.done(index++);
      else yield { record, id: `${idPrefix}${(index++).toString(36)}`, tsMs: record.tsMs + shiftMs };
    }
  }

  async *#timed(part: Part): AsyncGenerator<{ tsMs: number; message: ReplayMessage; part: Part }, void, undefined> {
    for await (const message of this.#messages(part)) yield { tsMs: message.tsMs, message, part };
  }

  async #add(batcher: TelemetryBatcher, { record, id, tsMs }: ReplayMessage, part: Part): Promise<void> {
    const ts = Math.round(tsMs);
    const { machine } = record;
    if (record.kind === 'waveform') {
      await this.#sendAll(batcher.flush(machine), part);
      const message = { id, ts, ...record.waveform };
      await this.#senders[way(part)].send({ machine, kind: 'waveform', sensor: record.sensor, message });
      return;
    }
    const full = batcher.add(machine, { id, ts, metrics: record.metrics });
    if (full) await this.#senders[way(part)].send(full);
    // Thousands of machines in one file: what is open is bounded too.
    if (batcher.machines > MAX_OPEN_BATCHES) await this.#sendAll(batcher.flush(), part);
  }

  async #sendAll(batches: readonly Batch[], part: Part): Promise<void> {
    for (const batch of batches) await this.#senders[way(part)].send(batch);
  }

  async #sleep(waitMs: number): Promise<void> {
    this.#tally.report();
    for (let leftMs = waitMs; leftMs > 0; leftMs -= MAX_TIMER_MS) {
      await delay(Math.min(leftMs, MAX_TIMER_MS), undefined, { signal: this.#signal }).catch(() => undefined);
      throwIfAborted(this.#signal);
    }
  }

  /** The first failure stops the others, and is the one that is told. */
  async #allOrNone(lanes: readonly Promise<void>[]): Promise<void> {
    try {
      await Promise.all(lanes);
    } catch (error) {
      this.#abort.abort();
      await Promise.allSettled(lanes);
      throw error;
    }
  }
}

interface ReplayMessage {
  readonly record: ReplayRecord;
  readonly id: string;
  readonly tsMs: number;
}

const MAX_OPEN_BATCHES = 1000;
/** The longest that a timer of Node.js waits. */
const MAX_TIMER_MS = 2 ** 31 - 1;

function isEmpty(metrics: Readonly<Record<string, number>>): boolean {
  for (const _name in metrics) return false;
  return true;
}

function way(part: Part): 'live' | 'imported' {
  return part.imported ? 'imported' : 'live';
}

function checkSpeed(speed: number | 'max'): void {
  if (speed === 'max' || (speed > 0 && Number.isFinite(speed))) return;
  throw new PortError('invalid_argument', `speed must be a number above 0, or max, got ${speed}: change --speed`);
}

function select(source: ReplaySource, only: string | undefined): ReplaySource {
  if (only === undefined) return source;
  const recordings = source.recordings.filter(({ name }) => name.includes(only));
  if (recordings.length > 0) {
    const chosen = new Set(recordings.flatMap(({ machines }) => machines));
    const machines = source.plant.machines.filter(({ id }) => chosen.has(id));
    return { plant: { ...source.plant, machines }, recordings };
  }
  const some = source.recordings.slice(0, 5).map(({ name }) => name);
  throw new PortError(
    'not_found',
    `no recording's name holds ${JSON.stringify(only)}; there are ${some.join(', ')}...`,
  );
}

function planPart(recording: Recording, options: ReplayOptions, nowMs: number, journal: ReplayJournal): Part {
  const { shiftTimes, speed, transport, acceptAgeDays = 7 } = options;
  const { startedAtMs } = journal;
  const shiftMs = Math.round(
    shiftTimes === 'keep' ? 0 : startedAtMs - (shiftTimes === 'end' ? recording.endMs : recording.beginMs),
  );
  if (shiftTimes === 'start' && speed !== 1) {
    const aheadMs = (recording.endMs - recording.beginMs) * (speed === 'max' ? 1 : 1 - 1 / speed);
    if (aheadMs > MAX_AHEAD_MS) {
      throw new PortError(
        'invalid_argument',
        `at speed ${speed} ${recording.name} would run ${Math.round(aheadMs / 60_000)} minutes into the future, which the platform rejects: shift its end to now, or replay at speed 1`,
      );
    }
  }
  // An hour's margin: the oldest record must still be young enough when it arrives.
  const tooOld = recording.beginMs + shiftMs < nowMs - acceptAgeDays * 86_400_000 + 3_600_000;
  const imported = shiftTimes === 'keep' || tooOld;
  if (imported && transport.mode === 'mqtt') {
    throw new PortError(
      'failed_precondition',
      `${recording.name} ${shiftTimes === 'keep' ? 'with its own times' : `reaches back more than ${acceptAgeDays} days and`} must be imported, which MQTT cannot: replay by HTTP`,
    );
  }
  const hash = createHash('sha256').update(recording.name).digest('hex').slice(0, 12);
  const progress = journal.of(recording);
  return { recording, progress, shiftMs, imported, idPrefix: `${hash}.${shiftMs.toString(36)}.` };
}

function openUplink({ transport, tenant, site }: ReplayOptions, plant: PlantDescription, imported: boolean): Uplink {
  if (transport.mode === 'http') {
    const { url, token } = transport;
    return new HttpUplink({ url, site, imported, ...(token === undefined ? {} : { token }) });
  }
  const { url, device, caFile } = transport;
  return new MqttUplink({
    url,
    tenant,
    site,
    device: {
      id: device.id,
      ...(device.secret === undefined ? {} : { secret: device.secret }),
      machines: plant.machines.map(({ id }) => id),
    },
    ...(caFile === undefined ? {} : { caFile }),
  });
}
