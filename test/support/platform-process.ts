import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { until as untilHolds } from '#core/contracts/until.ts';
import type { AddedDevice } from '#services/api-gateway/schemas/devices.ts';
import type { LedgerView } from '#services/api-gateway/schemas/ledger.ts';
import { apiClient, type ApiClient } from '#services/platform/cli/api-client.ts';
import { processGroup, signalGroup, type GroupMember } from './process-group.ts';

const CLI = fileURLToPath(new URL('../../services/platform/bin/tribo.js', import.meta.url));
/** Bounds what would otherwise wait for ever; the machine may be busy with other tests, so it says nothing about speed. */
const PATIENCE_MS = 150_000;
/** One that is split starts its processes one after the other. */
const STARTS_WITHIN_MS = 240_000;
const LOG_KEPT_CHARACTERS = 20_000;

export const SITE = 'plant-1';
export const TENANT = 'demo';

export interface PlatformOptions {
  /** Further settings, by their environment variables. */
  readonly env?: Readonly<Record<string, string>>;
  /** Starts the demo plant. */
  readonly demo?: boolean;
  /** Where the data folder is made; the system's temporary folder unless told otherwise. */
  readonly parentFolder?: string;
  /** Fills the new data folder before the first start. */
  readonly prepare?: (dataDir: string) => void | Promise<void>;
}

interface Started {
  readonly url: string;
  readonly signInLink: string;
  readonly mqttPort: number;
  readonly pid: number;
}

export interface CommandResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A connection of the load generator. */
export interface DeviceLogin {
  readonly device: string;
  readonly secret: string;
  readonly topics: readonly string[];
  /** Where the platform told it to connect; absent: to the platform's own broker. */
  readonly connection?: NonNullable<AddedDevice['connection']>;
}

export function loginOf({ device, secret, topics, connection }: AddedDevice): DeviceLogin {
  return { device: device.id, secret, topics, ...(connection && { connection }) };
}

/**
 * The platform as a user starts it: a process group of its own on free loopback ports and a temporary data folder. It can be stopped, killed
 * whole or in part, and started again on the same ports and data; when it is disposed, or the test run ends, nothing of it is left.
 */
export class PlatformProcess implements AsyncDisposable {
  readonly dataDir: string;
  readonly #options: PlatformOptions;
  #child: ChildProcess | undefined;
  #started: Started | undefined;
  #log = '';
  readonly #killAtExit = () => this.#child?.pid && signalGroup(this.#child.pid, 'SIGKILL');

  static async start(options: PlatformOptions = {}): Promise<PlatformProcess> {
    const platform = new PlatformProcess(options);
    try {
      await options.prepare?.(platform.dataDir);
      await platform.startAgain();
      return platform;
    } catch (error) {
      await platform[Symbol.asyncDispose]();
      throw error;
    }
  }

  private constructor(options: PlatformOptions) {
    this.#options = options;
    this.dataDir = mkdtempSync(join(options.parentFolder ?? tmpdir(), 'tribo-e2e-'));
    process.on('exit', this.#killAtExit);
  }

  get url(): string {
    return this.#usable().url;
  }

  get mqttPort(): number {
    return this.#usable().mqttPort;
  }

  /** Of the latest start. */
  get signInLink(): string {
    return this.#usable().signInLink;
  }

  get pid(): number {
    return this.#usable().pid;
  }

  /** The end of what it wrote to standard error, over all its starts. */
  get log(): string {
    return this.#log;
  }

  get api(): ApiClient {
    return apiClient({ dataDir: this.dataDir });
  }

  /** Starts it on its data and, from the second time on, on its ports; returns when it answers. */
  async startAgain(): Promise<void> {
    const ports = this.#started;
    const child = spawnCli(['--json', 'start', ...(this.#options.demo ? [] : ['--no-demo'])], {
      TRIBO_MQTT_PORT: String(ports?.mqttPort ?? 0),
      TRIBO_HTTP_PORT: ports ? new URL(ports.url).port : '0',
      ...this.#options.env,
      TRIBO_DATA_DIR: this.dataDir,
    });
    this.#child = child;
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#log = (this.#log + text).slice(-LOG_KEPT_CHARACTERS);
    });
    this.#started = await this.#firstLine(child);
    await this.api.request('GET', '/v1/ledger');
  }

  /** Its processes that run. */
  processes(): readonly GroupMember[] {
    return this.#child?.pid === undefined ? [] : processGroup(this.#child.pid);
  }

  /** Process id of a service that runs as a child. */
  pidOf(service: string): number | undefined {
    return this.processes().find(({ command }) => command.includes(`services/${service}/main.ts`))?.pid;
  }

  /** As {@link pidOf}. @throws Error where the service does not run: signal 0 would go to the test itself. */
  runningPid(service: string): number {
    const pid = this.pidOf(service);
    if (pid === undefined) throw new Error(`${service} does not run\n${this.#log}`);
    return pid;
  }

  /** Anonymous memory of the whole tree. */
  anonymousBytes(): number {
    return this.processes().reduce((sum, { anonymousBytes }) => sum + anonymousBytes, 0);
  }

  /** Asks it to stop, as Ctrl-C or an orchestrator would. */
  async stop(signal: 'SIGTERM' | 'SIGINT' = 'SIGTERM'): Promise<{ readonly code: number | null; readonly ms: number }> {
    const child = this.#running();
    const began = performance.now();
    const exit = once(child, 'exit') as Promise<[number | null]>;
    child.kill(signal);
    const [code] = await exit;
    return { code, ms: performance.now() - began };
  }

  /** Ends all its processes at once, without a chance to finish anything. */
  async kill(): Promise<void> {
    const child = this.#running();
    const exit = once(child, 'exit');
    signalGroup(child.pid ?? 0, 'SIGKILL');
    await exit;
    await until('the killed processes are gone', async () => this.processes().length === 0);
  }

  /** Runs a command of the CLI on this data folder. */
  async command(...given: readonly string[]): Promise<CommandResult> {
    return runCommand([...given, '--data-dir', this.dataDir], this.#options.env);
  }

  /** Makes machines and devices that share them out evenly. */
  async addDevices(machines: readonly string[], count: number): Promise<readonly DeviceLogin[]> {
    const { api } = this;
    await api.request('PUT', '/v1/plant', {
      tenant: TENANT,
      site: SITE,
      machines: machines.map((id) => ({ id, class: 'other' })),
    });
    const devices: DeviceLogin[] = [];
    for (let device = 0; device < count; device++) {
      const own = machines.filter((_machine, at) => at % count === device);
      const added = await api.request<AddedDevice>('POST', '/v1/devices', {
        id: `device-${device}`,
        machines: own.map((machine) => ({ site: SITE, machine })),
      });
      devices.push(loginOf(added));
    }
    return devices;
  }

  async ledger(): Promise<LedgerView> {
    return this.api.request('GET', '/v1/ledger');
  }

  /** The ledger once nothing is pending any more. */
  async drainedLedger(): Promise<LedgerView> {
    let ledger: LedgerView | undefined;
    await until('the ledger has nothing pending', async () => {
      // The store may be away for a moment, which the ledger says with an error.
      ledger = await this.ledger().catch(() => undefined);
      return ledger?.pending === 0;
    }).catch((error: unknown) => {
      throw new Error(`${String(error)}; the ledger is ${JSON.stringify(ledger)}\n${this.#log}`);
    });
    return ledger as LedgerView;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child && this.processes().length > 0) {
      signalGroup(this.#child.pid ?? 0, 'SIGKILL');
      await until('the platform is gone', async () => this.processes().length === 0);
    }
    process.off('exit', this.#killAtExit);
    rmSync(this.dataDir, { recursive: true, force: true });
  }

  #usable(): Started {
    if (!this.#started) throw new Error('the platform was not started');
    return this.#started;
  }

  #running(): ChildProcess {
    if (this.#child?.exitCode === null && this.#child.signalCode === null) return this.#child;
    throw new Error(`the platform does not run\n${this.#log}`);
  }

  /** What it prints once it is ready. */
  async #firstLine(child: ChildProcess): Promise<Started> {
    const { promise, resolve, reject } = Promise.withResolvers<Started>();
    if (child.stdout)
      createInterface({ input: child.stdout }).once('line', (line) => resolve(JSON.parse(line) as Started));
    child.once('close', (code) =>
      reject(new Error(`the platform ended with code ${code} before it was ready\n${this.#log}`)),
    );
    const overdue = setTimeout(() => reject(new Error(`the platform is not ready\n${this.#log}`)), STARTS_WITHIN_MS);
    return promise.finally(() => clearTimeout(overdue));
  }
}

/** Runs a command of the CLI to its end, without a platform of the test's own. */
export async function runCommand(
  given: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<CommandResult> {
  const child = spawnCli(given, env);
  const overdue = setTimeout(() => child.pid && signalGroup(child.pid, 'SIGKILL'), PATIENCE_MS);
  let stdout = '';
  let stderr = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const [code] = (await once(child, 'close')) as [number | null];
  clearTimeout(overdue);
  return { code, stdout, stderr };
}

/** Waits as long as a platform on a loaded machine may need. @throws Error naming what was waited for. */
export function until(what: string, holds: () => Promise<boolean>, withinMs = PATIENCE_MS): Promise<void> {
  return untilHolds(holds, what, withinMs);
}

export function spawnCli(given: readonly string[], env: Readonly<Record<string, string>> = {}): ChildProcess {
  // As npm start does.
  return spawn(process.execPath, ['--max-semi-space-size=32', CLI, ...given], {
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...ownEnvironment(), ...env },
  });
}

/** Without settings of whoever runs the tests. */
function ownEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !name.startsWith('TRIBO_') && name !== 'NODE_OPTIONS'),
  );
}
