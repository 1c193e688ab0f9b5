import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { DEFAULT_RETENTION } from '#adapters/embedded/lmdb-event-stream/config.ts';
import { LmdbEventStream } from '#adapters/embedded/lmdb-event-stream/lmdb-event-stream.ts';
import { SqliteAlarmJournal } from '#adapters/embedded/sqlite-alarm-journal/sqlite-alarm-journal.ts';
import { SqliteCheckpointStore } from '#adapters/embedded/sqlite-checkpoint-store/sqlite-checkpoint-store.ts';
import { sqliteMachineRegistryConfigSchema } from '#adapters/embedded/sqlite-machine-registry/config.ts';
import { SqliteMachineRegistry } from '#adapters/embedded/sqlite-machine-registry/sqlite-machine-registry.ts';
import { sqliteRuleStoreConfigSchema } from '#adapters/embedded/sqlite-rule-store/config.ts';
import { SqliteRuleStore } from '#adapters/embedded/sqlite-rule-store/sqlite-rule-store.ts';
import { systemClock } from '#core/clock.ts';
import type { MachineEvent } from '#core/domain/event.ts';
import type { MachineKey, SiteId, TenantId } from '#core/domain/ids.ts';
import { machineSchema } from '#core/domain/plant.ts';
import type { AlarmNotice } from '#core/ports/alarm-journal.ts';
import { startAlertEngine } from '#services/alert-engine/alert-engine.ts';
import { alertEngineConfigSchema } from '#services/alert-engine/config.ts';

export interface AlarmsBenchResult {
  readonly messagesPerSecond: number;
  readonly metricsPerMessage: number;
  readonly machines: number;
  readonly alarmChanges: number;
  /** From the publish call to the change journalled and seen by a consumer of the stream `alarms`. */
  readonly publishToAlarmMs: { readonly p50: number; readonly p95: number; readonly p99: number; readonly max: number };
}

const TENANT = 'bench' as TenantId;
const METRICS = ['velocity_rms', 'temperature', 'current', 'rpm', 'pressure', 'flow', 'torque', 'oil', 'noise'];

/** Real streams and stores in a folder; publisher, engine and the alarms' consumer in this process, at an even rate. */
export async function runAlarmsBench({
  messagesPerSecond = 5000,
  seconds = 10,
  machines = 200,
  alarmChangesPerSecond = 20,
} = {}): Promise<AlarmsBenchResult> {
  const folder = mkdtempSync(join(process.env['BENCH_DIR'] ?? tmpdir(), 'tribo-alarms-bench-'));
  const stream = new LmdbEventStream({
    directory: join(folder, 'streams'),
    source: 'bench',
    streams: DEFAULT_RETENTION,
  });
  const journal = await SqliteAlarmJournal.open(
    { databasePath: join(folder, 'alarms.db'), changePollMs: 200 },
    systemClock,
  );
  const registry = { databasePath: join(folder, 'registry.db') };
  const rules = await SqliteRuleStore.open(sqliteRuleStoreConfigSchema.parse(registry), systemClock);
  const machineRegistry = await SqliteMachineRegistry.open(sqliteMachineRegistryConfigSchema.parse(registry));
  const checkpoints = await SqliteCheckpointStore.open({ databasePath: join(folder, 'state.db') }, systemClock);
  const keys: MachineKey[] = [];
  for (let i = 0; i < machines; i++) {
    const machine = machineSchema.parse({ id: `machine-${i}`, class: 'pump' });
    keys.push((await machineRegistry.putMachine(TENANT, 'site' as SiteId, machine)).key);
  }
  const engine = await startAlertEngine(alertEngineConfigSchema.parse({}), {
    stream,
    journal,
    rules,
    machines: machineRegistry,
    checkpoints,
    notifiers: [],
    clock: systemClock,
    logger: pino({ level: 'silent' }),
    metrics: new Registry(),
  });
  const publishedAtMs = new Map<string, number>();
  const latencies: number[] = [];
  await stream.declareGroup('alarms', 'bench');
  const seen = await stream.subscribe(
    'alarms',
    'bench',
    async (batch) => {
      const nowMs = performance.now();
      for (const { payload } of batch.events) {
        const { entry } = JSON.parse(Buffer.from(payload).toString()) as AlarmNotice;
        const atMs = 'machine' in entry.transition ? `${entry.transition.machine}@${entry.transition.atMs}` : '';
        const published = publishedAtMs.get(atMs);
        if (published !== undefined) latencies.push(nowMs - published);
      }
      await batch.ack();
    },
    { maxBatchEvents: 1000 },
  );
  await publishEvenly({ messagesPerSecond, seconds, alarmChangesPerSecond }, keys, stream, publishedAtMs);
  await sleep(1000);
  await engine.close();
  await seen.close();
  await stream.close();
  for (const store of [journal, rules, machineRegistry, checkpoints]) await store.close();
  rmSync(folder, { recursive: true });
  latencies.sort((a, b) => a - b);
  const at = (part: number) => latencies[Math.min(latencies.length - 1, Math.floor(part * latencies.length))] ?? NaN;
  return {
    messagesPerSecond,
    metricsPerMessage: METRICS.length + 1,
    machines,
    alarmChanges: latencies.length,
    publishToAlarmMs: { p50: at(0.5), p95: at(0.95), p99: at(0.99), max: at(1) },
  };
}

/** In slices of 2 ms; every so often a machine's mean current swings over R60's limit and back. */
async function publishEvenly(
  load: { readonly messagesPerSecond: number; readonly seconds: number; readonly alarmChangesPerSecond: number },
  keys: readonly MachineKey[],
  stream: LmdbEventStream,
  publishedAtMs: Map<string, number>,
): Promise<void> {
  const startedMs = performance.now();
  const total = load.messagesPerSecond * load.seconds;
  const changeEvery = Math.floor(load.messagesPerSecond / load.alarmChangesPerSecond);
  const isHigh = new Map<MachineKey, boolean>();
  const publishing = new Set<Promise<unknown>>();
  for (let sent = 0; sent < total;) {
    const due = Math.min(total, Math.floor(((performance.now() - startedMs) / 1000) * load.messagesPerSecond));
    const events: MachineEvent[] = [];
    for (; sent < due; sent++) {
      const key = keys[sent % keys.length]!;
      const ts = Date.now();
      const changes = sent % changeEvery === 0;
      if (changes) isHigh.set(key, !isHigh.get(key));
      const metrics: Record<string, number> = { current_mean: isHigh.get(key) ? 12 : 5 };
      for (const metric of METRICS) metrics[metric] = 20 + (sent % 17);
      const payload = Buffer.from(JSON.stringify({ ts, metrics }));
      events.push({
        eventId: `e${sent}`,
        kind: 'telemetry',
        key,
        items: METRICS.length + 1,
        acceptedAtMs: ts,
        payload,
      });
      if (changes) publishedAtMs.set(`${key}@${ts}`, performance.now());
    }
    if (events.length > 0) {
      const publish = stream.publish('metrics', events).finally(() => publishing.delete(publish));
      publishing.add(publish);
    }
    await sleep(2);
  }
  await Promise.all(publishing);
}

if (import.meta.main) {
  const runs = [await runAlarmsBench(), await runAlarmsBench({ messagesPerSecond: 20_000 })];
  process.stdout.write(`${JSON.stringify(runs, undefined, 2)}\n`);
}
