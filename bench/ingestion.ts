import { hash, randomBytes } from 'node:crypto';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { KeyedHash } from '#core/ingestion/keyed-hash.ts';
import { Receipts } from '#core/ingestion/receipts.ts';
import { Intake } from '#core/ingestion/intake.ts';
import { systemClock } from '#core/clock.ts';
import { machineKey, type MachineId, type MachineKey, type SiteId, type TenantId } from '#core/domain/ids.ts';
import { machineSchema } from '#core/domain/plant.ts';
import type { EventStream, PublishResult, Subscription } from '#core/ports/event-stream.ts';
import { MemoryMachineRegistry } from '#test/support/memory-machine-registry.ts';
import { MemoryObjectStore } from '#test/support/memory-object-store.ts';

export interface IngestionBench {
  readonly messages: number;
  readonly metricsAMessage: number;
  /** Intake alone, over a stream that is durable at once. */
  readonly messagesPerSecond: Readonly<Record<'epochMs' | 'rfc3339' | 'withoutId', number>>;
  readonly jsonParsePerSecond: number;
  readonly receipts: { readonly addNs: number; readonly bytesEach: number };
  readonly receiptsAsSetOfStrings: { readonly addNs: number; readonly bytesEach: number };
  readonly hashNs: Readonly<Record<'keyed' | 'sha256Id' | 'sha256Payload', number>>;
}

const MACHINES = 200;
const METRICS = 10;
const TENANT = 'bench' as TenantId;
const SITE = 'plant-1' as SiteId;

/** What ingestion costs without sockets and disks, and what its parts cost. */
export async function runIngestionBench(messages = 300_000): Promise<IngestionBench> {
  const rates = {
    epochMs: await measureIntake(messages, (nowMs, i) => ({ id: messageId(i), ts: nowMs + (i % 1000) })),
    rfc3339: await measureIntake(messages, (nowMs, i) => ({
      id: messageId(i),
      ts: new Date(nowMs + (i % 1000)).toISOString(),
    })),
    withoutId: await measureIntake(messages, (nowMs, i) => ({ ts: nowMs - i })),
  };
  const payloads = makePayloads(100_000, Date.now(), (nowMs, i) => ({ id: messageId(i), ts: nowMs }));
  const parseNs = nsEach(payloads.length, (i) => JSON.parse(payloads[i]!.toString()) as unknown);
  return {
    messages,
    metricsAMessage: METRICS,
    messagesPerSecond: rates,
    jsonParsePerSecond: Math.round(1e9 / parseNs),
    receipts: measureReceipts(1_000_000),
    receiptsAsSetOfStrings: measureSet(1_000_000),
    hashNs: measureHashes(payloads),
  };
}

function messageId(i: number): string {
  return `b2c3-${i.toString(36)}-7f8a9b1c2d-20ab`;
}

function makePayloads(count: number, nowMs: number, head: (nowMs: number, i: number) => object): Buffer[] {
  return Array.from({ length: count }, (_, i) => {
    const metrics = Array.from({ length: METRICS }, (_, m) => [`metric_${m}`, Math.round(Math.random() * 1e5) / 1000]);
    return Buffer.from(JSON.stringify({ ...head(nowMs, i), metrics: Object.fromEntries(metrics) as object }));
  });
}

/** Accepts in turns of 200 messages, as 20 connections with 10 in flight each would deliver them. */
async function measureIntake(messages: number, head: (nowMs: number, i: number) => object): Promise<number> {
  const machines = new MemoryMachineRegistry();
  const keys: MachineKey[] = [];
  for (let m = 0; m < MACHINES; m++) {
    const machine = machineSchema.parse({ id: `press-${m}`, class: 'press' });
    await machines.putMachine(TENANT, SITE, machine);
    keys.push(machineKey(TENANT, SITE, machine.id as MachineId));
  }
  const intake = new Intake({
    stream: new InstantStream(),
    machines,
    objects: new MemoryObjectStore(),
    clock: systemClock,
    receiptKey: randomBytes(16),
    incarnation: 'bench',
    onProblem: (what, error) => {
      throw new Error(what, { cause: error });
    },
  });
  await intake.start();
  const payloads = makePayloads(messages, Date.now(), head);
  const accept = async (from: number, to: number) => {
    const turn: Promise<unknown>[] = [];
    for (let i = from; i < to; i++) {
      const content = { kind: 'telemetry', payload: payloads[i]! } as const;
      turn.push(intake.accept({ tenant: TENANT, machine: keys[i % MACHINES]!, sender: 'bench', content }));
    }
    await Promise.all(turn);
  };
  const warmUp = Math.floor(messages / 10);
  for (let i = 0; i < warmUp; i += 200) await accept(i, Math.min(i + 200, warmUp));
  const startedMs = performance.now();
  for (let i = warmUp; i < messages; i += 200) await accept(i, Math.min(i + 200, messages));
  const elapsedMs = performance.now() - startedMs;
  await intake.stop();
  return Math.round(((messages - warmUp) / elapsedMs) * 1000);
}

/** Durable at once, and remembers nothing. */
class InstantStream implements EventStream {
  async publish(): Promise<PublishResult> {
    return { failed: [] };
  }

  async declareGroup(): Promise<void> {
    // Nobody consumes.
  }

  async forgetGroup(): Promise<void> {
    // Nor did before.
  }

  subscribe(): Promise<Subscription> {
    return Promise.reject(new Error('nobody consumes'));
  }

  async close(): Promise<void> {
    // Holds nothing.
  }
}

function nsEach(count: number, work: (i: number) => unknown): number {
  for (let i = 0; i < Math.min(count, 20_000); i++) work(i);
  const startedMs = performance.now();
  for (let i = 0; i < count; i++) work(i);
  return Math.round(((performance.now() - startedMs) / count) * 1e6);
}

function measureReceipts(count: number): { addNs: number; bytesEach: number } {
  const receipts = new Receipts({ key: randomBytes(16), windowMs: 1e9, maxPerGeneration: count }, 0);
  const scopes = Array.from({ length: MACHINES }, (_, m) => receipts.scope(`bench/plant-1/press-${m}` as MachineKey));
  const startedMs = performance.now();
  for (let i = 0; i < count; i++) {
    const scope = scopes[i % MACHINES]!;
    receipts.has(scope, messageId(i));
    const words = receipts.words;
    receipts.add(scope, i, words[0]!, words[1]!, words[2]!, words[3]!);
  }
  const addNs = Math.round(((performance.now() - startedMs) / count) * 1e6);
  return { addNs, bytesEach: Math.round(receipts.byteLength / count) };
}

function measureSet(count: number): { addNs: number; bytesEach: number } {
  const set = new Set<string>();
  const beforeBytes = heapBytes();
  const startedMs = performance.now();
  for (let i = 0; i < count; i++) {
    const id = `bench/plant-1/press-${i % MACHINES}/${messageId(i)}`;
    if (!set.has(id)) set.add(id);
  }
  const addNs = Math.round(((performance.now() - startedMs) / count) * 1e6);
  return { addNs, bytesEach: Math.round((heapBytes() - beforeBytes) / set.size) };
}

/** After a collection, so that a difference is what is really held. */
function heapBytes(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  return process.memoryUsage().heapUsed;
}

function measureHashes(payloads: readonly Buffer[]): IngestionBench['hashNs'] {
  const keyed = new KeyedHash(randomBytes(16));
  const scope = keyed.scope('bench/plant-1/press-7');
  const ids = payloads.map((_, i) => messageId(i));
  return {
    keyed: nsEach(ids.length, (i) => {
      keyed.hash(scope, ids[i]!);
    }),
    sha256Id: nsEach(ids.length, (i) => hash('sha256', ids[i]!, 'base64url')),
    sha256Payload: nsEach(payloads.length, (i) => hash('sha256', payloads[i]!, 'base64url')),
  };
}

if (import.meta.main) {
  process.stdout.write(`${JSON.stringify(await runIngestionBench(), undefined, 2)}\n`);
}
