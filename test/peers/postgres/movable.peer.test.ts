import { join } from 'node:path';
import { afterAll, beforeAll } from '@jest/globals';
import { sqliteAlarmJournalConfigSchema } from '#adapters/embedded/sqlite-alarm-journal/config.ts';
import { SqliteAlarmJournal } from '#adapters/embedded/sqlite-alarm-journal/sqlite-alarm-journal.ts';
import { sqliteAuditTrailConfigSchema } from '#adapters/embedded/sqlite-audit-trail/config.ts';
import { SqliteAuditTrail } from '#adapters/embedded/sqlite-audit-trail/sqlite-audit-trail.ts';
import { sqliteDeviceRegistryConfigSchema } from '#adapters/embedded/sqlite-device-registry/config.ts';
import { SqliteDeviceRegistry } from '#adapters/embedded/sqlite-device-registry/sqlite-device-registry.ts';
import { sqliteMachineRegistryConfigSchema } from '#adapters/embedded/sqlite-machine-registry/config.ts';
import { SqliteMachineRegistry } from '#adapters/embedded/sqlite-machine-registry/sqlite-machine-registry.ts';
import { sqliteModelRegistryConfigSchema } from '#adapters/embedded/sqlite-model-registry/config.ts';
import { SqliteModelRegistry } from '#adapters/embedded/sqlite-model-registry/sqlite-model-registry.ts';
import { sqliteRuleStoreConfigSchema } from '#adapters/embedded/sqlite-rule-store/config.ts';
import { SqliteRuleStore } from '#adapters/embedded/sqlite-rule-store/sqlite-rule-store.ts';
import { postgresAlarmJournalConfigSchema } from '#adapters/postgres/postgres-alarm-journal/config.ts';
import { PostgresAlarmJournal } from '#adapters/postgres/postgres-alarm-journal/postgres-alarm-journal.ts';
import { postgresAuditTrailConfigSchema } from '#adapters/postgres/postgres-audit-trail/config.ts';
import { PostgresAuditTrail } from '#adapters/postgres/postgres-audit-trail/postgres-audit-trail.ts';
import { postgresDeviceRegistryConfigSchema } from '#adapters/postgres/postgres-device-registry/config.ts';
import { PostgresDeviceRegistry } from '#adapters/postgres/postgres-device-registry/postgres-device-registry.ts';
import { postgresMachineRegistryConfigSchema } from '#adapters/postgres/postgres-machine-registry/config.ts';
import { PostgresMachineRegistry } from '#adapters/postgres/postgres-machine-registry/postgres-machine-registry.ts';
import { postgresModelRegistryConfigSchema } from '#adapters/postgres/postgres-model-registry/config.ts';
import { PostgresModelRegistry } from '#adapters/postgres/postgres-model-registry/postgres-model-registry.ts';
import { postgresRuleStoreConfigSchema } from '#adapters/postgres/postgres-rule-store/config.ts';
import { PostgresRuleStore } from '#adapters/postgres/postgres-rule-store/postgres-rule-store.ts';
import { systemClock as clock } from '#core/clock.ts';
import type { Contract } from '#core/contracts/contract.ts';
import {
  movableAlarmJournalContract,
  movableAuditTrailContract,
  movableDeviceRegistryContract,
  movableMachineRegistryContract,
  movableModelRegistryContract,
  movableRuleStoreContract,
  type MovableHarness,
} from '#core/contracts/movable.contract.ts';
import type { MovablePort } from '#core/moving/movable.ts';
import { Postgres } from '#test/peers/postgres.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import { MemoryObjectStore } from '#test/support/memory-object-store.ts';
import { openInFolder } from '#test/support/store-in-folder.ts';
import { twoSites } from '#test/support/two-sites.ts';

let postgres: Postgres;
beforeAll(async () => {
  postgres = await Postgres.start();
}, 300_000);
afterAll(() => postgres[Symbol.asyncDispose]());

/** Artifacts are moved with the other objects: here both sites have them. */
const objects = new MemoryObjectStore();

type Connection = ReturnType<Postgres['freshConnection']>;
interface Closable {
  close(): Promise<void>;
}

/** Each contract from one dialect to the other, and back. */
function bothWays<Port>(
  contract: Contract<MovableHarness<Port>>,
  inFile: (place: { readonly databasePath: string }) => Promise<Port & MovablePort & Closable>,
  inServer: (connection: Connection) => Promise<Port & MovablePort & Closable>,
): void {
  const file = () => openInFolder((folder) => inFile({ databasePath: join(folder, 'site.db') }));
  const server = () => postgres.openInSchema(inServer);
  describeContract(contract, 'SQLite to PostgreSQL', () => twoSites(file, server));
  describeContract(contract, 'PostgreSQL to SQLite', () => twoSites(server, file));
}

bothWays(
  movableMachineRegistryContract,
  (place) => SqliteMachineRegistry.open(sqliteMachineRegistryConfigSchema.parse(place)),
  (connection) => PostgresMachineRegistry.open(postgresMachineRegistryConfigSchema.parse(connection)),
);
bothWays(
  movableDeviceRegistryContract,
  (place) => SqliteDeviceRegistry.open(sqliteDeviceRegistryConfigSchema.parse(place), clock),
  (connection) => PostgresDeviceRegistry.open(postgresDeviceRegistryConfigSchema.parse(connection), clock),
);
bothWays(
  movableRuleStoreContract,
  (place) => SqliteRuleStore.open(sqliteRuleStoreConfigSchema.parse(place), clock),
  (connection) => PostgresRuleStore.open(postgresRuleStoreConfigSchema.parse(connection), clock),
);
bothWays(
  movableAuditTrailContract,
  (place) => SqliteAuditTrail.open(sqliteAuditTrailConfigSchema.parse(place)),
  (connection) => PostgresAuditTrail.open(postgresAuditTrailConfigSchema.parse(connection)),
);
bothWays(
  movableModelRegistryContract,
  (place) => SqliteModelRegistry.open(sqliteModelRegistryConfigSchema.parse(place), objects, clock),
  (connection) => PostgresModelRegistry.open(postgresModelRegistryConfigSchema.parse(connection), objects, clock),
);
bothWays(
  movableAlarmJournalContract,
  (place) => SqliteAlarmJournal.open(sqliteAlarmJournalConfigSchema.parse(place), clock),
  (connection) => PostgresAlarmJournal.open(postgresAlarmJournalConfigSchema.parse(connection), clock),
);
