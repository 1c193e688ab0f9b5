import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runLoad } from './load.ts';
import type { ProcessThreads } from './process-tree.ts';
import { startPlatform } from './running-platform.ts';

export interface ProfileOptions {
  readonly seconds: number;
  readonly machines: number;
  readonly connections: number;
  /** Messages a second; absent: as fast as it takes. */
  readonly ratePerS?: number;
}

export interface ProfileResult {
  readonly messages: number;
  readonly messagesPerS: number;
  readonly processes: readonly ProcessProfile[];
}

/** Where the processor time of a process went, in microseconds a message. */
export interface ProcessProfile {
  readonly process: string;
  readonly mainUs: number;
  /** Threads beside the main one: of the stores, the file system and the garbage collector. */
  readonly otherThreadsUs: number;
  /** Of the main thread's JavaScript, by part of the program. */
  readonly parts: readonly Share[];
  readonly functions: readonly Share[];
}

export interface Share {
  readonly name: string;
  readonly us: number;
}

interface CpuProfile {
  readonly startTime: number;
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
    readonly children?: readonly number[];
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

const WARM_UP_S = 4;
const MAX_FUNCTIONS = 40;
const IDLE = new Set(['(idle)', '(root)']);

/** Runs the platform under a processor profiler and a load, and sums up who used the main threads' time. */
export async function runProfile({ seconds, machines, connections, ratePerS }: ProfileOptions): Promise<ProfileResult> {
  const folder = mkdtempSync(join(tmpdir(), 'tribo-profile-'));
  try {
    let messages = 0;
    let before: readonly ProcessThreads[] = [];
    let after: readonly ProcessThreads[] = [];
    let [fromUs, toUs] = [0, 0];
    {
      await using platform = await startPlatform({ profileFolder: folder });
      const devices = await platform.addMachines(machines, connections);
      const load = { port: platform.mqttPort, connections: devices, ...(ratePerS !== undefined && { ratePerS }) };
      await runLoad({ ...load, seconds: WARM_UP_S });
      before = platform.tree.threads();
      fromUs = monotonicUs();
      messages = (await runLoad({ ...load, seconds })).acknowledged;
      await platform.settled();
      toUs = monotonicUs();
      after = platform.tree.threads();
    }
    const processes = after.map((now): ProcessProfile => {
      const then = before.find(({ pid }) => pid === now.pid);
      const perMessage = (secondsOfCpu: number) => (secondsOfCpu * 1e6) / messages;
      return {
        process: now.command,
        mainUs: perMessage(now.mainSeconds - (then?.mainSeconds ?? 0)),
        otherThreadsUs: perMessage(now.otherSeconds - (then?.otherSeconds ?? 0)),
        ...sharesOf(readProfile(folder, now.pid), { fromUs, toUs, messages }),
      };
    });
    return { messages, messagesPerS: (messages * 1e6) / (toUs - fromUs), processes };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The result as text. */
export function profileTable({ messagesPerS, processes }: ProfileResult): string {
  const lines = [`${Math.round(messagesPerS)} messages/s under the profiler; microseconds a message`];
  for (const { process, mainUs, otherThreadsUs, parts, functions } of processes) {
    lines.push('', `${process}: main thread ${mainUs.toFixed(1)}, other threads ${otherThreadsUs.toFixed(1)}`);
    for (const { name, us } of parts) lines.push(`${us.toFixed(2).padStart(8)}  ${name}`);
    lines.push('');
    for (const { name, us } of functions) lines.push(`${us.toFixed(2).padStart(8)}  ${name}`);
  }
  return lines.join('\n');
}

function readProfile(folder: string, pid: number): CpuProfile | undefined {
  const file = readdirSync(folder).find((name) => name.split('.')[3] === String(pid));
  return file === undefined ? undefined : (JSON.parse(readFileSync(join(folder, file), 'utf8')) as CpuProfile);
}

function sharesOf(
  profile: CpuProfile | undefined,
  { fromUs, toUs, messages }: { readonly fromUs: number; readonly toUs: number; readonly messages: number },
): Pick<ProcessProfile, 'parts' | 'functions'> {
  const parts = new Map<string, number>();
  const functions = new Map<string, number>();
  if (profile === undefined) return { parts: [], functions: [] };
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]));
  const parentOf = new Map(profile.nodes.flatMap(({ id, children = [] }) => children.map((child) => [child, id])));
  const partOf = new Map<number, string>();
  /** Built-ins count to the part that called them. */
  const findPart = (id: number): string => {
    const known = partOf.get(id);
    if (known !== undefined) return known;
    const { functionName, url } = nodes.get(id)!.callFrame;
    const parent = parentOf.get(id);
    const own = functionName === '(garbage collector)' ? functionName : partOfUrl(url);
    const part = own ?? (parent === undefined ? functionName : findPart(parent));
    partOf.set(id, part);
    return part;
  };
  let atUs = profile.startTime;
  for (const [index, id] of profile.samples.entries()) {
    const deltaUs = profile.timeDeltas[index] ?? 0;
    atUs += deltaUs;
    const { functionName, url, lineNumber } = nodes.get(id)!.callFrame;
    if (atUs < fromUs || atUs > toUs || IDLE.has(functionName)) continue;
    const name = `${functionName || '(anonymous)'} ${url.split('/').slice(-2).join('/')}:${lineNumber + 1}`;
    functions.set(name, (functions.get(name) ?? 0) + deltaUs);
    const part = findPart(id);
    parts.set(part, (parts.get(part) ?? 0) + deltaUs);
  }
  const sorted = (shares: ReadonlyMap<string, number>): Share[] =>
    [...shares].map(([name, us]) => ({ name, us: us / messages })).sort((a, b) => b.us - a.us);
  return { parts: sorted(parts), functions: sorted(functions).slice(0, MAX_FUNCTIONS) };
}

/** `core/ingestion`, `adapters/embedded/...`, a package, or Node.js. */
function partOfUrl(url: string): string | undefined {
  const dependency = /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url);
  if (dependency) return dependency[1];
  if (url.startsWith('node:')) return url.split('/').slice(0, 2).join('/');
  const own = /\/((?:core|services)\/[^/]+|adapters\/[^/]+\/[^/]+)\//.exec(url);
  return own?.[1];
}

/** The clock of the profiler. */
function monotonicUs(): number {
  return Number(process.hrtime.bigint() / 1000n);
}

if (import.meta.main) {
  const [rate] = process.argv.slice(2).map(Number);
  const options = { seconds: 10, machines: 200, connections: 20, ...(rate !== undefined && { ratePerS: rate }) };
  process.stdout.write(`${profileTable(await runProfile(options))}\n`);
}
