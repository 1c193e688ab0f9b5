/*
 * One client of a stream bench, as a process of its own, so that processor time and memory are its own alone:
 *   node client.ts <task as JSON>
 * prints what it measured as a line of JSON.
 */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { percentiles, type Percentiles } from '../statistics.ts';
import { Load, type Faults } from './load.ts';
import { STREAM_PEERS } from './peers.ts';
import type { Place, StreamClient } from './stream-client.ts';

export interface ClientTask {
  readonly adapter: string;
  readonly isBare: boolean;
  readonly place: Place;
  readonly kind: 'rates' | 'slow consumer';
  /** How long is published as fast as it goes. */
  readonly seconds: number;
}

export interface Phase {
  readonly perS: number;
  readonly cpuUsPerEvent: number;
}

export interface Rates {
  readonly published: Phase;
  /** Of one call. */
  readonly publishMs: Percentiles;
  readonly consumed: Phase;
  /** From publish to handler, at the peer's paced rate. */
  readonly endToEndMs: Percentiles;
  readonly pacedPerS: number;
  readonly faults: Faults;
}

export interface SlowConsumer {
  /** While the producer ran. */
  readonly publishedPerS: number;
  readonly consumedPerS: number;
  /** Published and not yet consumed when the producer ended. */
  readonly backlogEvents: number;
  readonly peakMiB: number;
  /** The peak of the producer's last third above that of its first. */
  readonly growthMiB: number;
  readonly faults: Faults;
}

const WORKERS = 8;
const MOST_BATCH_EVENTS = 1000;
const WARM_UP_SHARE = 0.1;
const SLOWNESS = 10;
const TICK_MS = 10;
const SAMPLE_MS = 50;
/** Nothing came for so long: it is lost. */
const PATIENCE_MS = 60_000;

const task = JSON.parse(process.argv[2]!) as ClientTask;
const peer = await STREAM_PEERS[task.adapter]!();
const client = await (task.isBare ? peer.openBare(task.place) : peer.openAdapter(task.place));
await client.declare();
const mostEvents = peer.mostEvents ?? Infinity;
/** So that each worker has some batches of the most. */
const batchEvents = Math.min(MOST_BATCH_EVENTS, Math.ceil(mostEvents / WORKERS / WORKERS));
const measured = await (task.kind === 'rates' ? rates(client) : slowConsumer(client));
await client.close();
process.stdout.write(`${JSON.stringify(measured)}\n`, () => process.exit());

async function rates(stream: StreamClient): Promise<Rates> {
  const load = new Load();
  await publishFor(stream, load, task.seconds * WARM_UP_SHARE);
  const { callMs, ...published } = await publishFor(stream, load, task.seconds);
  const consumed = await consumeAll(stream, load);
  load.latenciesMs = [];
  const began = performance.now();
  const before = load.published;
  while (performance.now() - began < task.seconds * 1000) {
    const due = Math.floor(((performance.now() - began) / 1000) * peer.pacedPerS) - (load.published - before);
    if (due > 0) await stream.publish(load.batch(Math.min(due, MOST_BATCH_EVENTS)));
    await sleep(TICK_MS);
  }
  const pacedS = (performance.now() - began) / 1000;
  await allReceived(load);
  return {
    ...{ published, publishMs: percentiles(callMs), consumed },
    endToEndMs: percentiles(load.latenciesMs),
    pacedPerS: (load.published - before) / pacedS,
    faults: load.faults(),
  };
}

async function slowConsumer(stream: StreamClient): Promise<SlowConsumer> {
  const load = new Load();
  let isSlow = true;
  const turn = async (): Promise<void> => {
    while (isSlow && load.received > load.published / SLOWNESS) await sleep(1);
  };
  await stream.consume((payload) => load.take(payload), turn);
  const samples: number[] = [];
  const sampling = setInterval(() => samples.push(anonymousMiB()), SAMPLE_MS);
  const { perS } = await publishFor(stream, load, task.seconds);
  clearInterval(sampling);
  const { published, received } = load;
  isSlow = false;
  await allReceived(load);
  const third = Math.ceil(samples.length / 3);
  return {
    publishedPerS: perS,
    consumedPerS: (perS * received) / published,
    backlogEvents: published - received,
    peakMiB: Math.max(...samples),
    growthMiB: Math.max(...samples.slice(-third)) - Math.max(...samples.slice(0, third)),
    faults: load.faults(),
  };
}

/** Batches by some workers side by side, each of them one after another. */
async function publishFor(stream: StreamClient, load: Load, seconds: number): Promise<Phase & { callMs: number[] }> {
  const callMs: number[] = [];
  const phase = beginPhase();
  const before = load.published;
  const publish = async (worker: number): Promise<void> => {
    while (phase.elapsedS() < seconds && load.published - before < mostEvents) {
      const events = load.batch(batchEvents, worker, WORKERS);
      const began = performance.now();
      await stream.publish(events);
      callMs.push(performance.now() - began);
    }
  };
  await Promise.all(Array.from({ length: WORKERS }, (_, worker) => publish(worker)));
  return { ...phase.end(load.published - before), callMs };
}

/** What waits on the stream, after the first of it. */
async function consumeAll(stream: StreamClient, load: Load): Promise<Phase> {
  const all = load.published;
  const warmUp = Math.floor(all * WARM_UP_SHARE);
  const done = Promise.withResolvers<Phase>();
  let phase: ReturnType<typeof beginPhase> | undefined;
  const take = (payload: Uint8Array): void => {
    load.take(payload);
    if (load.received === warmUp) phase = beginPhase();
    else if (load.received === all) done.resolve(phase!.end(all - warmUp));
  };
  await stream.consume(take, () => Promise.resolve());
  await allReceived(load);
  return done.promise;
}

async function allReceived(load: Load): Promise<void> {
  let [received, since] = [load.received, performance.now()];
  while (load.received < load.published) {
    await sleep(TICK_MS);
    if (load.received > received) [received, since] = [load.received, performance.now()];
    else if (performance.now() - since > PATIENCE_MS)
      throw new Error(`${load.published - received} of ${load.published} events did not come: ${JSON.stringify(load.faults())}`); // prettier-ignore
  }
}

function beginPhase() {
  const startedAt = performance.now();
  const cpuBefore = process.cpuUsage();
  const elapsedS = (): number => (performance.now() - startedAt) / 1000;
  return {
    elapsedS,
    end: (events: number): Phase => {
      const { user, system } = process.cpuUsage(cpuBefore);
      return { perS: events / elapsedS(), cpuUsPerEvent: (user + system) / events };
    },
  };
}

function anonymousMiB(): number {
  return Number(/RssAnon:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))![1]) / 1024;
}
