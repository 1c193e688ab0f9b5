import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { constants, gzip } from 'node:zlib';
import { Counter, type Registry } from 'prom-client';
import { RawArchive } from '#core/archive/raw-archive.ts';
import { forgetRaw } from '#core/archive/raw-retention.ts';
import type { Clock } from '#core/clock.ts';
import { atStart, declareGroup } from '#core/delivery/at-start.ts';
import { runConsumer } from '#core/delivery/consumer.ts';
import { LEDGERED_STREAMS, type StreamName } from '#core/domain/event.ts';
import { codeOf, isRetryable, messageOf, PortError } from '#core/errors.ts';
import type { CheckpointStore } from '#core/ports/checkpoint-store.ts';
import type { MeasuredStream, Subscription } from '#core/ports/event-stream.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import type { Logger } from '#services/shared/observability/logger.ts';
import { lagOf } from '#services/shared/observability/stream-lag.ts';

/** The consumer group that keeps accepted messages. */
export const RAW_ARCHIVE_GROUP = 'raw-archive';

export interface RawArchiverDependencies {
  readonly stream: MeasuredStream;
  readonly checkpoints: Pick<CheckpointStore, 'load' | 'save'>;
  readonly objects: ObjectStore;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Registry;
}

export interface RawArchiverSettings {
  readonly isOn: boolean;
  /** At the latest so long after a message its object is written. */
  readonly everyMs: number;
  readonly keepMs: number;
}

export interface RawArchiver {
  /** Why messages wait to be archived; undefined while all is well. */
  problem(): string | undefined;
  close(): Promise<void>;
}

/** An object is at most about so large before it is compressed; bounds the memory, too. */
const MAX_BATCH_BYTES = 8 * 2 ** 20;
const MAX_BATCH_EVENTS = 40_000;
/** As many waiting are worth an object of their own before the time is over. */
const LARGE_BACKLOG_EVENTS = MAX_BATCH_EVENTS / 4;
const LOOK_EVERY_MS = 500;
const FORGET_EVERY_MS = 3_600_000;
/** Of several, the fastest: JSON shrinks to a tenth by it, and to little less by the others. */
const FASTEST = { level: constants.Z_BEST_SPEED };

const compress = promisify(gzip) as (text: Uint8Array, options: typeof FASTEST) => Promise<Buffer>;

/**
 * Archives every accepted message, as a consumer of its own of the raw streams: what cannot be archived waits in the stream, and intake
 * refuses more before that is full. Switched off it takes its groups back, so that nothing waits for it. What is too old is deleted either way.
 */
export async function startRawArchiver(
  dependencies: RawArchiverDependencies,
  settings: RawArchiverSettings,
): Promise<RawArchiver> {
  const archiver = new StreamArchiver(dependencies, settings);
  await archiver.start();
  return archiver;
}

async function forgetGroups({ stream, logger }: RawArchiverDependencies): Promise<void> {
  for (const name of LEDGERED_STREAMS) {
    const lag = await atStart(() => lagOf(stream, name, RAW_ARCHIVE_GROUP));
    if (!lag) continue;
    if (lag.events > 0) logger.warn({ stream: name, events: lag.events }, 'switched off before these were archived');
    await atStart(() => stream.forgetGroup(name, RAW_ARCHIVE_GROUP));
  }
}

class StreamArchiver implements RawArchiver {
  readonly #dependencies: RawArchiverDependencies;
  readonly #settings: RawArchiverSettings;
  readonly #stopping = new AbortController();
  readonly #subscriptions: Subscription[] = [];
  readonly #problems = new Map<string, string>();
  readonly #events: Counter<'stream'>;
  readonly #objects: Counter<'stream'>;
  #forgetting: Promise<void> = Promise.resolve();

  constructor(dependencies: RawArchiverDependencies, settings: RawArchiverSettings) {
    this.#dependencies = dependencies;
    this.#settings = settings;
    const registers = [dependencies.metrics];
    const labelNames = ['stream'] as const;
    this.#events = new Counter({
      name: 'tribo_raw_archive_events_total',
      help: 'Events of which every message is in the raw archive, since this process started',
      ...{ labelNames, registers },
    });
    this.#objects = new Counter({
      name: 'tribo_raw_archive_objects_total',
      help: 'Objects of the raw archive that were written, since this process started',
      ...{ labelNames, registers },
    });
  }

  problem(): string | undefined {
    return [...this.#problems.values()][0];
  }

  async start(): Promise<void> {
    if (this.#settings.isOn) {
      for (const name of LEDGERED_STREAMS) {
        await declareGroup(this.#dependencies.stream, name, RAW_ARCHIVE_GROUP);
        this.#subscriptions.push(await this.#consume(name));
      }
    } else await forgetGroups(this.#dependencies);
    this.#forgetting = this.#forget();
  }

  async close(): Promise<void> {
    this.#stopping.abort();
    await Promise.all([...this.#subscriptions.map((each) => each.close()), this.#forgetting]);
  }

  async #consume(name: StreamName): Promise<Subscription> {
    const { stream, checkpoints, objects } = this.#dependencies;
    const archive = await RawArchive.open(name, {
      ...{ checkpoints, objects },
      compress: (text) => compress(text, FASTEST),
    });
    return runConsumer({
      stream,
      streamName: name,
      group: RAW_ARCHIVE_GROUP,
      maxBatchEvents: MAX_BATCH_EVENTS,
      maxBatchBytes: MAX_BATCH_BYTES,
      resumeAfter: archive.progress,
      process: async (events) => {
        try {
          this.#objects.inc({ stream: name }, await archive.archive(events));
          this.#events.inc({ stream: name }, events.length);
          this.#problems.delete(name);
          await this.#gather(name, events.length);
        } catch (error) {
          throw waitingFor(error);
        }
      },
      deadLetter: (event) => Promise.reject(new PortError('internal', `${event.eventId} cannot be archived`)),
      onRetry: (error) => {
        this.#problems.set(name, `cannot archive ${name}: ${messageOf(error)}`);
        this.#dependencies.logger.warn({ code: codeOf(error), err: error, stream: name }, 'the raw archive waits');
      },
    });
  }

  /** Few objects that are large are better than many: waits until behind the `archived` ones there is enough for the next, or its time has come. */
  async #gather(name: StreamName, archived: number): Promise<void> {
    const { stream } = this.#dependencies;
    const { signal } = this.#stopping;
    const untilMs = performance.now() + this.#settings.everyMs;
    while (!signal.aborted && performance.now() < untilMs) {
      const { events } = await stream.lag(name, RAW_ARCHIVE_GROUP);
      if (events - archived >= LARGE_BACKLOG_EVENTS) return;
      await sleep(Math.min(LOOK_EVERY_MS, untilMs - performance.now()), undefined, { signal }).catch(() => undefined);
    }
  }

  async #forget(): Promise<void> {
    const { objects, clock, logger } = this.#dependencies;
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      await forgetRaw(objects, clock.nowMs() - this.#settings.keepMs, { signal }).catch((error: unknown) => {
        if (!signal.aborted) logger.warn({ err: error }, 'the raw archive cannot forget old objects');
      });
      await sleep(FORGET_EVERY_MS, undefined, { signal }).catch(() => undefined);
    }
  }
}

/** No message may be given up: what no retry would help waits as well, until somebody has mended it. */
function waitingFor(error: unknown): unknown {
  return isRetryable(error) ? error : new PortError('unavailable', messageOf(error), { cause: error });
}
