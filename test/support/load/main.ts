/**
 * The load generator as a process: reads its task as JSON from the first argument, publishes, and prints one line of JSON at the end.
 * With `ackFile`, every acknowledged message id is in that file, synced, before it counts: the oracle of the fault tests.
 */
import { closeSync, fdatasyncSync, openSync, writeSync } from 'node:fs';
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
  /** Over all connections; absent: as fast as acknowledgements allow. */
  readonly ratePerS?: number;
  readonly seconds: number;
  readonly drainSeconds: number;
  readonly ackFile?: string;
  /** Connect again after the broker has gone, until the time is over. */
  readonly reconnect?: boolean;
}

export interface LoadResult {
  readonly offered: number;
  readonly acknowledged: number;
  readonly unanswered: number;
  readonly reconnections: number;
  readonly seconds: number;
  readonly latencyMs: { readonly p50: number; readonly p95: number; readonly p99: number; readonly max: number };
  readonly cpuSeconds: number;
}

const LATENCY_SAMPLES = 200_000;
const FLUSH_EVERY_MS = 50;

async function run(load: LoadTask): Promise<LoadResult> {
  const latencies = new Float32Array(LATENCY_SAMPLES);
  let measured = 0;
  const log = load.ackFile === undefined ? undefined : new SyncedLog(load.ackFile);
  const until = performance.now() + load.seconds * 1000;
  const began = performance.now();
  const totals = { offered: 0, acknowledged: 0, unanswered: 0, reconnections: 0 };

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
        onAcknowledged: (counter, latencyMs) => {
          latencies[measured++ % LATENCY_SAMPLES] = latencyMs;
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
      while (performance.now() < until && !publisher.stats.closedByPeer)
        await new Promise((resolve) => setTimeout(resolve, 20));
      const stats = await publisher.stop(performance.now() < until ? 0 : load.drainSeconds * 1000);
      totals.offered += stats.offered;
      totals.acknowledged += stats.acknowledged;
      totals.unanswered += stats.unanswered;
      if (!load.reconnect) return;
    }
  };
  await Promise.all(load.connections.map((_, index) => drive(index)));
  log?.close();
  const sorted = latencies.subarray(0, Math.min(measured, LATENCY_SAMPLES)).sort();
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  const { user, system } = process.cpuUsage();
  return {
    ...totals,
    seconds: (performance.now() - began) / 1000,
    latencyMs: { p50: at(0.5), p95: at(0.95), p99: at(0.99), max: at(1) },
    cpuSeconds: (user + system) / 1e6,
  };
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

const task = JSON.parse(process.argv[2] ?? '{}') as LoadTask;
process.stdout.write(`${JSON.stringify(await run(task))}\n`);
