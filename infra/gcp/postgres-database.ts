import { Fn } from 'cdktf';
import { Construct } from 'constructs';
import { DnsManagedZone } from '@cdktf/provider-google/lib/dns-managed-zone/index.js';
import { DnsRecordSet } from '@cdktf/provider-google/lib/dns-record-set/index.js';
import { SqlDatabaseInstance } from '@cdktf/provider-google/lib/sql-database-instance/index.js';
import { SqlDatabase } from '@cdktf/provider-google/lib/sql-database/index.js';
import { SqlUser } from '@cdktf/provider-google/lib/sql-user/index.js';
import { cloudSqlSize } from '../../core/decision/gcp-plan.ts';
import { mandatoryLabels } from '../aspects/labels.ts';
import { acknowledge } from '../policy/acknowledge.ts';
import { DATA_FOLDER } from '../service-settings.ts';
import type { GcpStack } from './gcp-stack.ts';
import { GeneratedSecret } from './generated-secret.ts';
import type { Network } from './network.ts';
import type { PostgresSection } from './ports.ts';
import type { PrivateSecret } from './private-secret.ts';
import { databaseName } from './resource-names.ts';

export const DATABASE_PORT = 5432;
const VERSION = 'POSTGRES_17';
const USER = 'tribo';
const DATABASE = 'tribo';
/** Counted up to give the database, and the secret, a new password. */
const PASSWORD_VERSION = 1;
/** The most that Cloud SQL's edition Enterprise restores to any second of; what is older is restored to the day. */
const LOG_DAYS = 7;
const LARGEST_STORAGE_GB = 65_536;
const MONDAY = 1;

/** Where a service puts the authority of the server's certificate as it starts. */
export const AUTHORITY_FILE = `${DATA_FOLDER}/database-authority.pem`;

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

/**
 * PostgreSQL, whose plain tables are all that the adapters need: no extension that Cloud SQL does not have. It has a private address alone, takes TLS
 * alone, and is known by a name that its certificate has. Its backups stay when it is deleted.
 */
export class PostgresDatabase extends Construct {
  readonly instance: SqlDatabaseInstance;
  readonly password: PrivateSecret;
  /** PEM of the authority that the server's certificate is of. */
  readonly authority: string;
  readonly section: PostgresSection;

  constructor(scope: GcpStack, id: string, parts: { readonly network: Network; readonly keyName: string }) {
    super(scope, id);
    this.instance = this.#instance(scope, parts);
    new SqlDatabase(this, 'database', {
      name: DATABASE,
      instance: this.instance.name,
      // With the instance: a database that somebody is connected to cannot be deleted.
      deletionPolicy: 'ABANDON',
    });
    this.password = this.#password(scope, parts.keyName);
    this.authority = this.instance.serverCaCert.get(0).cert;
    this.section = {
      host: this.#name(scope, parts.network),
      port: DATABASE_PORT,
      database: DATABASE,
      user: USER,
      tlsCaFile: AUTHORITY_FILE,
    };
  }

  #instance(
    { site }: GcpStack,
    { network, keyName }: { readonly network: Network; readonly keyName: string },
  ): SqlDatabaseInstance {
    const { names, region, environment, demand, isProtected } = site;
    const { retention, switches } = environment;
    const { vcpu, memoryGb, storageGb } = cloudSqlSize(demand, environment);
    const instance = new SqlDatabaseInstance(this, 'server-instance', {
      name: databaseName(names),
      region,
      databaseVersion: VERSION,
      encryptionKeyName: keyName,
      deletionProtection: isProtected,
      settings: {
        edition: 'ENTERPRISE',
        tier: `db-custom-${vcpu}-${memoryGb * 1024}`,
        availabilityType: switches.multiAz ? 'REGIONAL' : 'ZONAL',
        diskType: 'PD_SSD',
        diskSize: storageGb,
        // It grows by itself when little is left, so a load above the plan fills no disk.
        diskAutoresize: true,
        diskAutoresizeLimit: Math.min(storageGb * 3, LARGEST_STORAGE_GB),
        deletionProtectionEnabled: isProtected,
        retainBackupsOnDelete: isProtected,
        userLabels: mandatoryLabels(environment),
        ipConfiguration: {
          ipv4Enabled: false,
          privateNetwork: network.vpc.id,
          sslMode: 'ENCRYPTED_ONLY',
          // By which the certificate has the server's name in it, and services know whom they speak to.
          serverCaMode: 'GOOGLE_MANAGED_CAS_CA',
        },
        backupConfiguration: {
          enabled: true,
          startTime: '03:00',
          // Copies stay where the data has to stay.
          location: region,
          pointInTimeRecoveryEnabled: true,
          transactionLogRetentionDays: Math.min(retention.backupDays, LOG_DAYS),
          backupRetentionSettings: { retainedBackups: retention.backupDays, retentionUnit: 'COUNT' },
        },
        maintenanceWindow: { day: MONDAY, hour: 4, updateTrack: 'stable' },
        insightsConfig: { queryInsightsEnabled: true, recordApplicationTags: false, recordClientAddress: false },
        databaseFlags: Object.entries(FLAGS).map(([name, value]) => ({ name, value })),
      },
      // What grew by itself is not made smaller again.
      lifecycle: { preventDestroy: isProtected, ignoreChanges: ['settings[0].disk_size'] },
    });
    return acknowledge(instance, {
      CKV_GCP_6: 'sslMode ENCRYPTED_ONLY refuses all else; what the check looks for was its forerunner',
      CKV_GCP_79: 'PostgreSQL 17 is supported until 2029',
      CKV_GCP_108: 'Copies of services have addresses, which are in the log, and no names',
      CKV_GCP_110: 'Services alone sign in, and who did what is in the audit trail of the platform',
      CKV_GCP_111: 'Statements that take a second are in the log; all of them are every reading',
      CKV2_GCP_13: 'Of statements that take a second it is in the log; of all of them it is every reading',
    });
  }

  #password(stack: GcpStack, keyName: string): PrivateSecret {
    const secret = new GeneratedSecret(this, 'password', stack, {
      part: 'database-password',
      keyName,
      version: PASSWORD_VERSION,
    });
    new SqlUser(this, 'user', {
      name: USER,
      instance: this.instance.name,
      type: 'BUILT_IN',
      passwordWo: secret.value,
      passwordWoVersion: PASSWORD_VERSION,
      // It owns the tables, so that PostgreSQL does not let it go: it goes with the instance.
      deletionPolicy: 'ABANDON',
    });
    return secret;
  }

  /** The name that is in the server's certificate; from within the network it leads to the private address. */
  #name({ site: { names } }: GcpStack, { vpc }: Network): string {
    const known = `\${one([for name in ${this.instance.fqn}.dns_names : trimsuffix(name.name, ".") if name.connection_type == "PRIVATE_SERVICES_ACCESS" && name.dns_scope == "INSTANCE"])}`;
    const zone = new DnsManagedZone(this, 'name', {
      name: names.of('database', 63),
      dnsName: `${known}.`,
      description: `The database within ${names.base}`,
      visibility: 'private',
      privateVisibilityConfig: { networks: [{ networkUrl: vpc.id }] },
    });
    new DnsRecordSet(this, 'address', {
      managedZone: zone.name,
      name: zone.dnsName,
      type: 'A',
      ttl: 60,
      rrdatas: [this.instance.privateIpAddress],
    });
    return Fn.trimsuffix(zone.dnsName, '.');
  }
}
