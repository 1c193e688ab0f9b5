import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { tokenIssuerHarness } from '#adapters/issuer-harness.ts';
import { systemClock } from '#core/clock.ts';
import { openReopenable } from '#core/contracts/reopenable.ts';
import type { TenantId } from '#core/domain/ids.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import type { PostgresAlarmJournalConfig } from './postgres-alarm-journal/config.ts';
import { PostgresAlarmJournal } from './postgres-alarm-journal/postgres-alarm-journal.ts';
import type { PostgresAuditTrailConfig } from './postgres-audit-trail/config.ts';
import { PostgresAuditTrail } from './postgres-audit-trail/postgres-audit-trail.ts';
import type { PostgresCheckpointStoreConfig } from './postgres-checkpoint-store/config.ts';
import { PostgresCheckpointStore } from './postgres-checkpoint-store/postgres-checkpoint-store.ts';
import type { PostgresDeviceRegistryConfig } from './postgres-device-registry/config.ts';
import { PostgresDeviceRegistry } from './postgres-device-registry/postgres-device-registry.ts';
import type { PostgresMachineRegistryConfig } from './postgres-machine-registry/config.ts';
import { PostgresMachineRegistry } from './postgres-machine-registry/postgres-machine-registry.ts';
import type { PostgresModelRegistryConfig } from './postgres-model-registry/config.ts';
import { PostgresModelRegistry } from './postgres-model-registry/postgres-model-registry.ts';
import type { PostgresRuleStoreConfig } from './postgres-rule-store/config.ts';
import { PostgresRuleStore } from './postgres-rule-store/postgres-rule-store.ts';
import type { PostgresTimeSeriesStoreConfig } from './postgres-time-series-store/config.ts';
import { PostgresTimeSeriesStore } from './postgres-time-series-store/postgres-time-series-store.ts';
import type { PostgresTokenIssuerConfig } from './postgres-token-issuer/config.ts';
import { PostgresTokenIssuer } from './postgres-token-issuer/postgres-token-issuer.ts';

/** What contracts need of each adapter, in a schema that nobody else uses: for the tests, and for what is deployed. */

const tenants = ['north' as TenantId, 'south' as TenantId] as const;

export async function checkpointStoreHarness(config: PostgresCheckpointStoreConfig) {
  const opened = await openReopenable(() => PostgresCheckpointStore.open(config, systemClock));
  return { ...opened, passTime: (ms: number) => sleep(ms) };
}

export async function ruleStoreHarness(config: PostgresRuleStoreConfig) {
  return { ...(await openReopenable(() => PostgresRuleStore.open(config, systemClock))), tenants };
}

export async function alarmJournalHarness(config: PostgresAlarmJournalConfig) {
  const { store: journal, ...opened } = await openReopenable(() => PostgresAlarmJournal.open(config, systemClock));
  return { ...opened, journal, tenants };
}

export async function auditTrailHarness(config: PostgresAuditTrailConfig) {
  const maxEntries = 20;
  const { store: trail, ...opened } = await openReopenable(() => PostgresAuditTrail.open({ ...config, maxEntries }));
  return { ...opened, trail, maxEntries, tenants };
}

export async function deviceRegistryHarness(config: PostgresDeviceRegistryConfig) {
  const { store: registry, ...opened } = await openReopenable(() => PostgresDeviceRegistry.open(config, systemClock));
  return { ...opened, registry, tenants, suffix: 'a' };
}

export async function machineRegistryHarness(config: PostgresMachineRegistryConfig) {
  const maxQuarantined = 10;
  const { store: registry, ...opened } = await openReopenable(() =>
    PostgresMachineRegistry.open({ ...config, maxQuarantined }),
  );
  return { ...opened, registry, maxQuarantined, tenants };
}

export function postgresTokenIssuerHarness(config: PostgresTokenIssuerConfig) {
  const settings = { ...config, publishLeadMs: 0 };
  return tokenIssuerHarness((parts) => PostgresTokenIssuer.open(settings, parts), config.maxTokenLifetimeMs);
}

/** With the place for its artifacts, which holds nothing else. */
export async function modelRegistryHarness(config: PostgresModelRegistryConfig, objects: ObjectStore) {
  const { store: registry, ...opened } = await openReopenable(() =>
    PostgresModelRegistry.open(config, objects, systemClock),
  );
  return { ...opened, registry, objects, tenants };
}

/** With settings for each further schema that a case asks for. */
export async function timeSeriesStoreHarness(freshConfig: () => PostgresTimeSeriesStoreConfig) {
  const directory = await mkdtemp(join(tmpdir(), 'tribo-timeseries-'));
  let failing = false;
  const beforeCommit = () => {
    if (!failing) return;
    failing = false;
    throw new Error('forced to fail before the commit');
  };
  const open = (config: PostgresTimeSeriesStoreConfig) =>
    PostgresTimeSeriesStore.open({ ...config, rollUpAfterMs: 0 }, { beforeCommit });
  const config = freshConfig();
  let store = await open(config);
  const backups: PostgresTimeSeriesStore[] = [];
  return {
    store,
    maintain: async (nowMs: number) => {
      await store.maintain(nowMs);
    },
    folder: () => mkdtemp(join(directory, 'folder-')),
    openBackup: async (folder: string) => {
      const backup = await open(freshConfig());
      backups.push(backup);
      await backup.restore(folder);
      return backup;
    },
    failNextSettlement: () => {
      failing = true;
    },
    reopen: async () => {
      await store.close();
      return (store = await open(config));
    },
    [Symbol.asyncDispose]: async () => {
      for (const each of [store, ...backups]) await each.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
