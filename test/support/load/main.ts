/**
 * The load generator as a process: reads its task as JSON from the first argument, or from its input where that is `-`, publishes, and
 * prints one line of JSON at the end.
 * SIGTERM ends the sending before its time is over; what is in flight is waited for. With `ackFile`, every acknowledged message id is in that file, synced, before it counts: the oracle of the fault tests.
 */
import { closeSync, fdatasyncSync, openSync, readFileSync, writeSync } from 'node:fs';
import { messageId, Publisher } from './publisher.ts';

export interface LoadTask {
  readonly host: string;
  readonly port: number;
  readonly connections: readonly {
    readonly device: string;
    readonly secret: string;
    readonly topics: readonly string[];
  }[];
  readonly metrics: readonly string[];
  readonly idPrefix: string;
  readonly maxInFlight: number;
  /** Over all connections, whatever becomes of the messages; absent: as fast as acknowledgements allow. */
  readonly ratePerS?: number;
  readonly seconds: number;
  /** End after so many messages a connection, if that is sooner. */
  readonly maxMessages?: number;
  /** Readings of the past: the first of each topic has this time, each further one so much more. Absent: now. */
  readonly past?: { readonly fromMs: number; readonly stepMs: number };
  readonly drainSeconds: number;
  readonly ackFile?: string;
  /** Connect again after the broker has gone, until the time is over. */
  readonly reconnect?: boolean;
}

export interface LoadResult {
  /** What was due by the rate while there was a connection; without a rate what was sent. */
  readonly offered: number;
  readonly sent: number;
  /** Offered and not sent, because the broker acknowledged or read no faster: MQTT 3.1.1 has no other way to refuse. */
  readonly withheld: number;
  readonly acknowledged: number;
  readonly unanswered: number;
  readonly reconnections: number;
  /** How many messages were sent under each prefix of ids: their counters are below it. */
  readonly sentUnder: Readonly<Record<string, number>>;
  readonly seconds: number;
  readonly latencyMs: { readonly p50: number; readonly p95: number; readonly p99: number; readonly max: number };
  readonly cpuSeconds: number;
}

const FLUSH_EVERY_MS = 50;

async function run(load: LoadTask): Promise<LoadResult> {
  const latencies = new LatencyHistogram();
  const log = load.ackFile === undefined ? undefined : new SyncedLog(load.ackFile);
  let until = performance.now() + load.seconds * 1000;
  process.once('SIGTERM', () => (until = performance.now()));
  const began = performance.now();
  const totals = { offered: 0, sent: 0, withheld: 0, acknowledged: 0, unanswered: 0, reconnections: 0 };
  const sentUnder: Record<string, number> = {};

  const drive = async (index: number): Promise<void> => {
    const connection = load.connections[index];
    if (!connection) return;
    for (let life = 0; performance.now() < until; life++) {
      const idPrefix = `${load.idPrefix}-${index}-${life}-`;
      const publisher = await Publisher.open({
        host: load.host,
        port: load.port,
        clientId: connection.device,
        username: connection.device,
        password: connection.secret,
        topics: connection.topics,
        metrics: load.metrics,
        idPrefix,
        maxInFlight: load.maxInFlight,
        ...(load.ratePerS === undefined ? {} : { ratePerS: load.ratePerS / load.connections.length }),
        ...(load.past && { past: load.past }),
        ...(load.maxMessages !== undefined && { maxMessages: load.maxMessages }),
        onAcknowledged: (counter, latencyMs) => {
          latencies.add(latencyMs);
          log?.add(messageId(idPrefix, counter));
        },
      }).catch((error: unknown) => {
        if (load.reconnect) return undefined;
        throw error;
      });
      if (!publisher) {
        await new Promise((resolve) => setTimeout(resolve, 100));
        continue;
      }
      if (life > 0) totals.reconnections += 1;
      publisher.start();
      while (performance.now() < until && !publisher.isDone && !publisher.stats.closedByPeer)
        await new Promise((resolve) => setTimeout(resolve, 20));
      const stats = await publisher.stop(performance.now() < until && !publisher.isDone ? 0 : load.drainSeconds * 1000);
      totals.offered += stats.offered;
      totals.sent += stats.sent;
      totals.withheld += stats.withheld;
      sentUnder[idPrefix] = stats.sent;
      totals.acknowledged += stats.acknowledged;
      totals.unanswered += stats.unanswered;
      if (!load.reconnect || publisher.isDone) return;
    }
  };
  await Promise.all(load.connections.map((_, index) => drive(index)));
  log?.close();
  const { user, system } = process.cpuUsage();
  return {
    ...totals,
    sentUnder,
    seconds: (performance.now() - began) / 1000,
    latencyMs: latencies.summary(),
    cpuSeconds: (user + system) / 1e6,
  };
}

/** Every latency of a run, in buckets 2 % apart. */
class LatencyHistogram {
  static readonly #FINEST_MS = 0.01;
  static readonly #STEP = Math.log(1.02);
  readonly #counts = new Float64Array(1024);
  #total = 0;
  #max = 0;

  add(ms: number): void {
    const bucket = Math.log(ms / LatencyHistogram.#FINEST_MS) / LatencyHistogram.#STEP;
    this.#counts[Math.min(this.#counts.length - 1, Math.max(0, Math.floor(bucket)))]! += 1;
    this.#total += 1;
    if (ms > this.#max) this.#max = ms;
  }

  summary(): LoadResult['latencyMs'] {
    return { p50: this.#at(0.5), p95: this.#at(0.95), p99: this.#at(0.99), max: this.#max };
  }

  #at(share: number): number {
    let left = this.#total * share;
    const bucket = this.#counts.findIndex((count) => (left -= count) <= 0);
    return Math.min(this.#max, LatencyHistogram.#FINEST_MS * Math.exp((bucket + 1) * LatencyHistogram.#STEP));
  }
}

/** Lines that are on the disk within 50 ms: an id that is not there yet is treated as not acknowledged, which only weakens the oracle for it. */
class SyncedLog {
  readonly #fd: number;
  readonly #timer: NodeJS.Timeout;
  #lines: string[] = [];

  constructor(path: string) {
    this.#fd = openSync(path, 'a');
    this.#timer = setInterval(() => this.#flush(), FLUSH_EVERY_MS);
  }

  add(id: string): void {
    this.#lines.push(id);
  }

  close(): void {
    clearInterval(this.#timer);
    this.#flush();
    closeSync(this.#fd);
  }

  #flush(): void {
    if (this.#lines.length === 0) return;
    writeSync(this.#fd, `${this.#lines.join('\n')}\n`);
    fdatasyncSync(this.#fd);
    this.#lines = [];
  }
}

const given = process.argv[2] ?? '{}';
const task = JSON.parse(given === '-' ? readFileSync(0, 'utf8') : given) as LoadTask;
process.stdout.write(`${JSON.stringify(await run(task))}\n`);
