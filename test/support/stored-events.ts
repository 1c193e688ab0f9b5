import { join } from 'node:path';
import { DuckDbTimeSeriesStore } from '#adapters/embedded/duckdb-time-series-store/duckdb-time-series-store.ts';
import { machineKey, type MachineId, type SiteId, type TenantId } from '#core/domain/ids.ts';
import { SITE, TENANT } from './platform-process.ts';

const DAY_MS = 86_400_000;

/** What the generator's oracle says against what the store holds. */
export interface Comparison {
  readonly stored: number;
  /** Acknowledged and not stored, the first of them. */
  readonly missing: readonly string[];
  /** Stored more than once, the first of them. */
  readonly twice: readonly string[];
}

const SHOWN = 5;

/** Reads the ids of all stored events of the machines, from the store of a platform that has stopped, and compares them as sets. */
export async function compareWithStored(
  dataDir: string,
  machines: readonly string[],
  acknowledged: readonly string[],
): Promise<Comparison> {
  const store = await DuckDbTimeSeriesStore.open({ directory: join(dataDir, 'time-series') });
  const ids: string[] = [];
  try {
    const range = { fromMs: Date.now() - DAY_MS, toMs: Date.now() + DAY_MS };
    for (const machine of machines) {
      const key = machineKey(TENANT as TenantId, SITE as SiteId, machine as MachineId);
      for (const id of await store.storedEventIds(key, range)) ids.push(id);
    }
  } finally {
    await store.close();
  }
  const once = new Set<string>();
  const twice: string[] = [];
  for (const id of ids) {
    if (once.has(id)) twice.push(id);
    once.add(id);
  }
  const missing = acknowledged.filter((id) => !once.has(id));
  return { stored: once.size, missing: missing.slice(0, SHOWN), twice: twice.slice(0, SHOWN) };
}
