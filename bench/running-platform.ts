import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { AddedDevice } from '#services/api-gateway/schemas/devices.ts';
import type { LedgerView } from '#services/api-gateway/schemas/ledger.ts';
import type { LoadTask } from '#test/support/load/main.ts';
import { ProcessTree } from './process-tree.ts';

export const SITE = 'bench';

export type Device = LoadTask['connections'][number];

export interface PlatformOptions {
  /** Where each process leaves its processor profile when it ends. */
  readonly profileFolder?: string;
}

/** The platform as `npm start` runs it, on a folder and ports of its own; disposing of it stops it and deletes the folder. */
export interface RunningPlatform extends AsyncDisposable {
  readonly url: string;
  readonly token: string;
  readonly mqttPort: number;
  readonly dataDir: string;
  readonly tree: ProcessTree;
  get<Result>(path: string): Promise<Result>;
  send<Result>(method: 'POST' | 'PUT', path: string, body: unknown): Promise<Result>;
  ledger(): Promise<LedgerView>;
  /** Waits until nothing is pending; how long it took, in seconds. */
  settled(withinMs?: number): Promise<{ readonly afterS: number; readonly ledger: LedgerView }>;
  /** Describes machines `m-0`, `m-1`, ... and shares them out among devices. */
  addMachines(machines: number, connections: number): Promise<readonly Device[]>;
  addDevice(id: string, machines: readonly string[]): Promise<Device>;
}

/** As in the script `start` of package.json. */
const YOUNG_GENERATION = '--max-semi-space-size=32';
const SETTLED_POLL_MS = 100;
/** A device is bound to at most so many. */
const MACHINES_A_DEVICE = 1000;

export async function startPlatform({ profileFolder }: PlatformOptions = {}): Promise<RunningPlatform> {
  const dataDir = mkdtempSync(join(process.env['BENCH_DIR'] ?? tmpdir(), 'tribo-bench-'));
  const entry = fileURLToPath(new URL('../services/platform/bin/tribo.js', import.meta.url));
  const child = spawn(process.execPath, [YOUNG_GENERATION, entry, '--json', 'start', '--no-demo'], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      ...process.env,
      TRIBO_DATA_DIR: dataDir,
      TRIBO_HTTP_PORT: '0',
      TRIBO_MQTT_PORT: '0',
      TRIBO_LOG_LEVEL: 'error',
      ...(profileFolder !== undefined && { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${profileFolder}` }),
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
  const ledger = (): Promise<LedgerView> => request('GET', '/v1/ledger');
  const addDevice = async (id: string, machines: readonly string[]): Promise<Device> => {
    const bound = machines.map((machine) => ({ site: SITE, machine }));
    const added = await request<AddedDevice>('POST', '/v1/devices', { id, machines: bound });
    return { device: added.device.id, secret: added.secret, topics: added.topics };
  };
  return {
    url,
    token,
    mqttPort,
    dataDir,
    tree: new ProcessTree(child),
    get: (path) => request('GET', path),
    send: request,
    ledger,
    settled: async (withinMs = 60_000) => {
      const began = performance.now();
      for (;;) {
        const seen = await ledger();
        const afterMs = performance.now() - began;
        if (seen.pending === 0 || afterMs > withinMs) return { afterS: afterMs / 1000, ledger: seen };
        await sleep(SETTLED_POLL_MS);
      }
    },
    addMachines: async (machines, connections) => {
      const names = Array.from({ length: machines }, (_, i) => `m-${i}`);
      const described = names.map((id) => ({ id, class: 'other' }));
      await request('PUT', '/v1/plant', { site: SITE, machines: described });
      const count = Math.max(connections, Math.ceil(machines / MACHINES_A_DEVICE));
      const devices: Device[] = [];
      for (let i = 0; i < count; i++) {
        const own = names.filter((_name, at) => at % count === i);
        devices.push(await addDevice(`bench-${i}`, own));
      }
      return devices;
    },
    addDevice,
    [Symbol.asyncDispose]: async () => {
      const exit = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGTERM');
      await exit;
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

/** What a child process says first, as JSON. */
export function firstLine<Value>(child: ChildProcess): Promise<Value> {
  const { stdout } = child;
  if (!stdout) throw new Error('the child has no standard output');
  return new Promise((resolve, reject) => {
    createInterface({ input: stdout }).once('line', (line) => resolve(JSON.parse(line) as Value));
    child.once('exit', (code) =>
      reject(new Error(`the child ended with code ${String(code)} before it said anything`)),
    );
  });
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
