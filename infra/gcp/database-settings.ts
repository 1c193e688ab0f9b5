import type { SqlDatabaseInstanceSettings } from '@cdktf/provider-google/lib/sql-database-instance/index.js';
import { cloudSqlSize } from '../../core/decision/gcp-plan.ts';
import { mandatoryLabels } from '../aspects/labels.ts';
import { connectionsOf, type Connections } from '../connections.ts';
import { mostCopiesOfAll } from '../copies.ts';
import type { Site } from '../site.ts';
import { mostCopiesAt } from './most-copies.ts';
import type { Network } from './network.ts';

export const DATABASE_VERSION = 'POSTGRES_17';
const LARGEST_STORAGE_GB = 65_536;

/** What is in the log beside errors: who came and went, what waited, and statements that took a second. */
const FLAGS: Readonly<Record<string, string>> = {
  log_checkpoints: 'on',
  log_connections: 'on',
  log_disconnections: 'on',
  log_lock_waits: 'on',
  log_temp_files: '0',
  log_min_duration_statement: '1000',
  log_min_messages: 'warning',
  log_min_error_statement: 'error',
};

/** By GB of memory at the least, what Cloud SQL takes without a flag (https://cloud.google.com/sql/docs/postgres/flags). */
const UNTOLD: readonly (readonly [memoryGb: number, connections: number])[] = [
  [120, 1_000],
  [60, 800],
  [30, 600],
  [15, 500],
  [7.5, 400],
  [6, 200],
  [3.75, 100],
];

/** Why checks of such an instance that do not hold need not: of the database and of its copy elsewhere. */
export const DATABASE_EXCEPTIONS = {
  CKV_GCP_54: 'checkov fails on the flags as JSON has them; that log_lock_waits is on is a test of the data stack',
  CKV_GCP_57: 'checkov fails as above, and wants statements that last long out of the log: they are in it',
  CKV_GCP_6: 'sslMode ENCRYPTED_ONLY refuses all else; what the check looks for was its forerunner',
  CKV_GCP_79: 'PostgreSQL 17 is supported until 2029',
  CKV_GCP_108: 'Copies of services have addresses, which are in the log, and no names',
  CKV_GCP_110: 'Services alone sign in, and who did what is in the audit trail of the platform',
  CKV_GCP_111: 'Statements that take a second are in the log; all of them are every reading',
  CKV2_GCP_13: 'Of statements that take a second it is in the log; of all of them it is every reading',
} as const;

/** Of the database and of its copy elsewhere, which has to take as many as the first. */
export function databaseConnections({ environment, demand }: Site): Connections {
  const { vcpu, memoryGb } = cloudSqlSize(demand, environment);
  const [, untold] = UNTOLD.find(([least]) => memoryGb >= least)!;
  const copies = mostCopiesOfAll(demand.services, (size) => mostCopiesAt({ environment }, size));
  return connectionsOf({ copies, isSmall: vcpu === 1, untold });
}

/** What the database and its copy in the second region have in common, so that the copy can take its place. */
export function databaseSettings(
  site: Site,
  { vpc, lentNames }: Network,
  region: 'first' | 'second' = 'first',
): SqlDatabaseInstanceSettings {
  const { environment, demand, isProtected } = site;
  const { vcpu, memoryGb, storageGb } = cloudSqlSize(demand, environment);
  const { taken, isTold } = databaseConnections(site);
  const flags = { ...FLAGS, ...(isTold && { max_connections: String(taken) }) };
  return {
    edition: 'ENTERPRISE',
    tier: `db-custom-${vcpu}-${memoryGb * 1024}`,
    diskType: 'PD_SSD',
    diskSize: storageGb,
    // It grows by itself when little is left, so a load above the plan fills no disk.
    diskAutoresize: true,
    diskAutoresizeLimit: Math.min(storageGb * 3, LARGEST_STORAGE_GB),
    deletionProtectionEnabled: isProtected,
    userLabels: mandatoryLabels(environment),
    ipConfiguration: {
      ipv4Enabled: false,
      privateNetwork: vpc.id,
      ...(lentNames.length > 1 && { allocatedIpRange: lentNames[region === 'first' ? 0 : 1]! }),
      sslMode: 'ENCRYPTED_ONLY',
      // By which the certificate has the server's name in it, and services know whom they speak to.
      serverCaMode: 'GOOGLE_MANAGED_CAS_CA',
    },
    insightsConfig: { queryInsightsEnabled: true, recordApplicationTags: false, recordClientAddress: false },
    databaseFlags: Object.entries(flags).map(([name, value]) => ({ name, value })),
  };
}
