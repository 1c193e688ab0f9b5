import { provide, type Offer } from '../provider-module.ts';
import { postgresCheckpointStoreConfigSchema } from './postgres-checkpoint-store/config.ts';
import { PostgresCheckpointStore } from './postgres-checkpoint-store/postgres-checkpoint-store.ts';
import { postgresRuleStoreConfigSchema } from './postgres-rule-store/config.ts';
import { PostgresRuleStore } from './postgres-rule-store/postgres-rule-store.ts';
import { postgresAlarmJournalConfigSchema } from './postgres-alarm-journal/config.ts';
import { PostgresAlarmJournal } from './postgres-alarm-journal/postgres-alarm-journal.ts';
import { postgresAuditTrailConfigSchema } from './postgres-audit-trail/config.ts';
import { PostgresAuditTrail } from './postgres-audit-trail/postgres-audit-trail.ts';
import { postgresDeviceRegistryConfigSchema } from './postgres-device-registry/config.ts';
import { PostgresDeviceRegistry } from './postgres-device-registry/postgres-device-registry.ts';
import { postgresModelRegistryConfigSchema } from './postgres-model-registry/config.ts';
import { PostgresModelRegistry } from './postgres-model-registry/postgres-model-registry.ts';
import { postgresTimeSeriesStoreConfigSchema } from './postgres-time-series-store/config.ts';
import { PostgresTimeSeriesStore } from './postgres-time-series-store/postgres-time-series-store.ts';
import { postgresMachineRegistryConfigSchema } from './postgres-machine-registry/config.ts';
import { PostgresMachineRegistry } from './postgres-machine-registry/postgres-machine-registry.ts';
import { postgresTokenIssuerConfigSchema } from './postgres-token-issuer/config.ts';
import { PostgresTokenIssuer } from './postgres-token-issuer/postgres-token-issuer.ts';

/** Loaded by `tribo verify` alone. */
const verifications = () => import('./verifications.ts');

/** What a site may have in PostgreSQL. */
export const postgresOffers: readonly Offer[] = [
  provide(
    'checkpointStore',
    'postgres-checkpoint-store',
    postgresCheckpointStoreConfigSchema,
    async (settings, { closing, get }) => closing(await PostgresCheckpointStore.open(settings, await get('clock'))),
    async (settings, tools) => (await verifications()).verifyCheckpointStore(settings, tools),
  ),
  provide(
    'ruleStore',
    'postgres-rule-store',
    postgresRuleStoreConfigSchema,
    async (settings, { closing, get }) => closing(await PostgresRuleStore.open(settings, await get('clock'))),
    async (settings, tools) => (await verifications()).verifyRuleStore(settings, tools),
  ),
  provide(
    'alarmJournal',
    'postgres-alarm-journal',
    postgresAlarmJournalConfigSchema,
    async (settings, { closing, get }) => closing(await PostgresAlarmJournal.open(settings, await get('clock'))),
    async (settings, tools) => (await verifications()).verifyAlarmJournal(settings, tools),
  ),
  provide(
    'auditTrail',
    'postgres-audit-trail',
    postgresAuditTrailConfigSchema,
    async (settings, { closing }) => closing(await PostgresAuditTrail.open(settings)),
    async (settings, tools) => (await verifications()).verifyAuditTrail(settings, tools),
  ),
  provide(
    'deviceRegistry',
    'postgres-device-registry',
    postgresDeviceRegistryConfigSchema,
    async (settings, { closing, get }) => closing(await PostgresDeviceRegistry.open(settings, await get('clock'))),
    async (settings, tools) => (await verifications()).verifyDeviceRegistry(settings, tools),
  ),
  provide(
    'modelRegistry',
    'postgres-model-registry',
    postgresModelRegistryConfigSchema,
    async (settings, { closing, get }) =>
      closing(await PostgresModelRegistry.open(settings, await get('objectStore'), await get('clock'))),
    async (settings, tools) => (await verifications()).verifyModelRegistry(settings, tools),
  ),
  provide(
    'timeSeriesStore',
    'postgres-time-series-store',
    postgresTimeSeriesStoreConfigSchema,
    async (settings, { closing, get }) =>
      closing(await PostgresTimeSeriesStore.open(settings, { clock: await get('clock') })),
    async (settings, tools) => (await verifications()).verifyTimeSeriesStore(settings, tools),
  ),
  provide(
    'machineRegistry',
    'postgres-machine-registry',
    postgresMachineRegistryConfigSchema,
    async (settings, { closing }) => closing(await PostgresMachineRegistry.open(settings)),
    async (settings, tools) => (await verifications()).verifyMachineRegistry(settings, tools),
  ),
  provide(
    'tokenIssuer',
    'postgres-token-issuer',
    postgresTokenIssuerConfigSchema,
    async (settings, { closing, get }) =>
      closing(
        await PostgresTokenIssuer.open(settings, { secrets: await get('secretStore'), clock: await get('clock') }),
      ),
    async (settings, tools) => (await verifications()).verifyTokenIssuer(settings, tools),
  ),
];
