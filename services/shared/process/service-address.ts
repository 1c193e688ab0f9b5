import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isRunning, type ProcessMark } from './process-mark.ts';
import type { ReadinessCheck, ReadinessReport } from '../http/readiness.ts';

/** Where a service that runs as a process of its own can be reached on this machine: `run/<service>.json` in the data folder. */
export interface ServiceAddress extends ProcessMark {
  /** Of `/health/live`, `/health/ready` and `/metrics`. */
  readonly operationUrl: string;
  /** Of the API, where the service is the gateway. */
  readonly url?: string;
  /** Of the broker, where the service has one. */
  readonly mqttPort?: number;
}

const ANSWERS_WITHIN_MS = 1500;

/** Writes the address. Returns how to take it back; what another process has written since stays. */
export function publishAddress(dataDir: string, service: string, address: ServiceAddress): () => void {
  const path = addressPath(dataDir, service);
  mkdirSync(join(dataDir, 'run'), { recursive: true, mode: 0o700 });
  writeFileSync(`${path}.new`, `${JSON.stringify(address)}\n`, { mode: 0o600 });
  renameSync(`${path}.new`, path);
  return () => {
    if (readAddress(dataDir, service)?.pid === address.pid) rmSync(path, { force: true });
  };
}

/** Undefined where the service was never started, or has stopped. After a crash the address of the process that is gone stays. */
export function readAddress(dataDir: string, service: string): ServiceAddress | undefined {
  try {
    return JSON.parse(readFileSync(addressPath(dataDir, service), 'utf8')) as ServiceAddress;
  } catch {
    return undefined;
  }
}

/** The services that run on the folder as processes of their own now, by name: those of a platform too. */
export function runningServices(dataDir: string): readonly { readonly name: string; readonly pid: number }[] {
  const folder = join(dataDir, 'run');
  if (!existsSync(folder)) return [];
  const names = readdirSync(folder).filter((file) => file.endsWith('.json'));
  return names.flatMap((file) => {
    const name = file.slice(0, -'.json'.length);
    const address = readAddress(dataDir, name);
    return address && isRunning(address) ? [{ name, pid: address.pid }] : [];
  });
}

/** Asks a service that runs as a process of its own whether it is ready. */
export function readinessOf(dataDir: string, service: string): ReadinessCheck {
  return async () => {
    const address = readAddress(dataDir, service);
    if (!address) return 'it does not run';
    const report = await reportOf(address);
    if (!report) return 'it does not answer; it is being started again, or was stopped';
    return reasonsIn(report, ({ ok }) => !ok);
  };
}

/** Asks it what calls for attention although it works. One that does not answer says nothing here: {@link readinessOf} tells of it. */
export function attentionOf(dataDir: string, service: string): ReadinessCheck {
  return async () => {
    const address = readAddress(dataDir, service);
    const report = address && (await reportOf(address));
    return report && reasonsIn(report, ({ ok, reason }) => ok && reason !== undefined);
  };
}

/** What a report says of the checks that are meant. */
export function reasonsIn({ checks }: ReadinessReport, isMeant: (check: ReadinessReport['checks'][number]) => boolean) {
  const reasons = checks.filter(isMeant).map(({ name, reason = 'not ready' }) => `${name}: ${reason}`);
  return reasons.join('; ') || undefined;
}

async function reportOf({ operationUrl }: ServiceAddress): Promise<ReadinessReport | undefined> {
  try {
    const response = await fetch(`${operationUrl}/health/ready`, { signal: AbortSignal.timeout(ANSWERS_WITHIN_MS) });
    return (await response.json()) as ReadinessReport;
  } catch {
    return undefined;
  }
}

function addressPath(dataDir: string, service: string): string {
  return join(dataDir, 'run', `${service}.json`);
}
