/**
 * How much the platform takes, durable before PUBACK, with an exact ledger: the platform, the floors and the load as processes of their own on
 * one machine. Floor A is the broker alone; floor B the broker with parse and a durable append; both under the same generator.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { AddedDevice } from '#services/api-gateway/schemas/devices.ts';
import type { LedgerView } from '#services/api-gateway/schemas/ledger.ts';
import type { LoadResult, LoadTask } from '#test/support/load/main.ts';

export interface PipelineOptions {
  readonly seconds: number;
  readonly machines: number;
  readonly connections: number;
  readonly maxInFlight: number;
  /** Rates at which latencies are measured, messages a second. */
  readonly steadyRates: readonly number[];
}

export interface PipelineRun {
  readonly name: string;
  readonly load: LoadResult;
  readonly messagesPerS: number;
  readonly ledgerExact?: boolean;
  readonly pendingAtEnd?: number;
  readonly settledAfterS?: number;
  readonly apiP95Ms?: number;
  readonly storedP95Ms?: number;
  readonly anonymousMiB?: number;
  readonly cpuSeconds?: number;
}

const SITE = 'bench';
const METRICS = Array.from({ length: 10 }, (_, i) => `m${i}`);
const HERE = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export async function runPipelineBench(options: PipelineOptions): Promise<readonly PipelineRun[]> {
  const runs: PipelineRun[] = [];
  for (const kind of ['a', 'b'] as const) runs.push(await floorRun(kind, options));
  await using platform = await startPlatform();
  const devices = await platform.registerDevices(options);
  runs.push(await platformRun('platform, as fast as it takes', platform, devices, options));
  for (const rate of options.steadyRates)
    runs.push(await platformRun(`platform at ${rate}/s`, platform, devices, options, rate));
  return runs;
}

type Device = LoadTask['connections'][number];

async function floorRun(kind: 'a' | 'b', options: PipelineOptions): Promise<PipelineRun> {
  const child = spawn(process.execPath, [HERE('./floor.ts'), kind], { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    const { port } = await firstLine<{ port: number }>(child);
    const machines = topics(options.machines);
    const connections = Array.from({ length: options.connections }, (_, i) => ({
      device: `floor-${i}`,
      secret: 'none',
      topics: machines.filter((_topic, at) => at % options.connections === i),
    }));
    const load = await runLoad({
      port,
      connections,
      seconds: Math.min(options.seconds, 15),
      maxInFlight: options.maxInFlight,
    });
    return {
      name: kind === 'a' ? 'floor A: broker alone' : 'floor B: broker, parse, durable append',
      load,
      messagesPerS: load.acknowledged / load.seconds,
    };
  } finally {
    child.kill('SIGTERM');
  }
}

async function platformRun(
  name: string,
  platform: RunningPlatform,
  connections: readonly Device[],
  options: PipelineOptions,
  ratePerS?: number,
): Promise<PipelineRun> {
  const cpuBefore = platform.cpuSeconds();
  const probing = probe(platform, options.seconds);
  const load = await runLoad({
    port: platform.mqttPort,
    connections,
    seconds: options.seconds,
    maxInFlight: options.maxInFlight,
    ...(ratePerS === undefined ? {} : { ratePerS }),
  });
  const { pending } = await platform.ledger();
  const anonymousMiB = platform.anonymousMiB();
  const cpuSeconds = platform.cpuSeconds() - cpuBefore;
  const probed = await probing;
  const drainBegan = performance.now();
  let ledger = await platform.ledger();
  while (ledger.pending > 0 && performance.now() - drainBegan < 60_000) {
    await sleep(100);
    ledger = await platform.ledger();
  }
  return {
    name,
    load,
    messagesPerS: load.acknowledged / load.seconds,
    ledgerExact: ledger.exact,
    pendingAtEnd: pending,
    settledAfterS: (performance.now() - drainBegan) / 1000,
    anonymousMiB,
    cpuSeconds,
    ...probed,
  };
}

/** Meanwhile asks the API as a dashboard would, and looks how long a reading takes until it can be queried. */
async function probe(platform: RunningPlatform, seconds: number): Promise<{ apiP95Ms: number; storedP95Ms: number }> {
  const until = performance.now() + seconds * 1000;
  const api: number[] = [];
  const stored: number[] = [];
  for (let i = 0; performance.now() < until; i++) {
    const began = performance.now();
    await platform.get(i % 2 === 0 ? `/v1/machines?limit=50` : `/v1/machines/m-${i % 100}?site=${SITE}`);
    api.push(performance.now() - began);
    if (i % 10 === 0) {
      const latency = await publishToQueryable(platform, i).catch(() => undefined);
      if (latency !== undefined) stored.push(latency);
    }
    await sleep(50);
  }
  return { apiP95Ms: percentile(api, 0.95), storedP95Ms: percentile(stored, 0.95) };
}

async function publishToQueryable(platform: RunningPlatform, value: number): Promise<number> {
  const ts = Date.now();
  const began = performance.now();
  await platform.post('/v1/telemetry', { site: SITE, machine: 'probe', messages: [{ ts, metrics: { probe: value } }] });
  for (;;) {
    const series = await platform.get<{ ts: number[] }>(
      `/v1/machines/probe/series?site=${SITE}&metric=probe&from=${ts}&to=${ts + 1}`,
    );
    if (series.ts.length > 0) return performance.now() - began;
    if (performance.now() - began > 20_000) return 20_000;
    await sleep(10);
  }
}

interface RunningPlatform extends AsyncDisposable {
  readonly mqttPort: number;
  get<Result>(path: string): Promise<Result>;
  post<Result>(path: string, body: unknown): Promise<Result>;
  ledger(): Promise<LedgerView>;
  registerDevices(options: PipelineOptions): Promise<readonly Device[]>;
  /** Anonymous memory of the process tree. */
  anonymousMiB(): number;
  cpuSeconds(): number;
}

async function startPlatform(): Promise<RunningPlatform> {
  const dataDir = mkdtempSync(join(process.env['BENCH_DIR'] ?? tmpdir(), 'tribo-bench-'));
  const child = spawn(process.execPath, [HERE('../services/platform/bin/tribo.js'), '--json', 'start', '--no-demo'], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      ...process.env,
      TRIBO_DATA_DIR: dataDir,
      TRIBO_HTTP_PORT: '0',
      TRIBO_MQTT_PORT: '0',
      TRIBO_LOG_LEVEL: 'error',
    },
  });
  const { url, mqttPort } = await firstLine<{ url: string; mqttPort: number }>(child);
  const { token } = JSON.parse(readFileSync(join(dataDir, 'platform.json'), 'utf8')) as { token: string };
  const request = async <Result>(method: string, path: string, body?: unknown): Promise<Result> => {
    const response = await fetch(new URL(path, url), {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return (await response.json()) as Result;
  };
  return {
    mqttPort,
    get: (path) => request('GET', path),
    post: (path, body) => request('POST', path, body),
    ledger: () => request('GET', '/v1/ledger'),
    registerDevices: async ({ machines, connections }) => {
      const names = Array.from({ length: machines }, (_, i) => `m-${i}`);
      await request('PUT', '/v1/plant', {
        site: SITE,
        machines: [...names, 'probe'].map((id) => ({ id, class: 'other' })),
      });
      const devices: Device[] = [];
      for (let i = 0; i < connections; i++) {
        const own = names.filter((_name, at) => at % connections === i);
        const added = await request<AddedDevice>('POST', '/v1/devices', {
          id: `bench-${i}`,
          machines: own.map((machine) => ({ site: SITE, machine })),
        });
        devices.push({ device: added.device.id, secret: added.secret, topics: added.topics });
      }
      return devices;
    },
    anonymousMiB: () => treeOf(child).reduce((sum, pid) => sum + anonymousKiB(pid), 0) / 1024,
    cpuSeconds: () => treeOf(child).reduce((sum, pid) => sum + cpuSecondsOf(pid), 0),
    [Symbol.asyncDispose]: async () => {
      const exit = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGTERM');
      await exit;
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

async function runLoad(
  task: Pick<LoadTask, 'port' | 'connections' | 'seconds' | 'maxInFlight' | 'ratePerS'>,
): Promise<LoadResult> {
  const full: LoadTask = {
    host: '127.0.0.1',
    metrics: METRICS,
    idPrefix: `b${Date.now().toString(36)}`,
    drainSeconds: 10,
    ...task,
  };
  const child = spawn(process.execPath, [HERE('../test/support/load/main.ts'), JSON.stringify(full)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return firstLine<LoadResult>(child);
}

function topics(machines: number): string[] {
  return Array.from({ length: machines }, (_, i) => `tribo/v1/demo/${SITE}/m-${i}/telemetry`);
}

function firstLine<Value>(child: ChildProcess): Promise<Value> {
  const { stdout } = child;
  if (!stdout) throw new Error('the child has no standard output');
  return new Promise((resolve, reject) => {
    createInterface({ input: stdout }).once('line', (line) => resolve(JSON.parse(line) as Value));
    child.once('exit', (code) =>
      reject(new Error(`the child ended with code ${String(code)} before it said anything`)),
    );
  });
}

function treeOf(child: ChildProcess): number[] {
  const parents = new Map(
    readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .flatMap((name) => {
        const stat = read(`/proc/${name}/stat`);
        return stat === undefined
          ? []
          : [[Number(name), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])] as const];
      }),
  );
  const tree = [child.pid ?? 0];
  for (const pid of tree) for (const [each, parent] of parents) if (parent === pid) tree.push(each);
  return tree;
}

function anonymousKiB(pid: number): number {
  return Number(/RssAnon:\s+(\d+)/.exec(read(`/proc/${pid}/status`) ?? '')?.[1] ?? 0);
}

function cpuSecondsOf(pid: number): number {
  const stat = read(`/proc/${pid}/stat`) ?? '';
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) / 100;
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // The process ended since it was listed.
    return undefined;
  }
}

function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
