import { Fn } from 'cdktf';
import { Construct } from 'constructs';
import { DnsManagedZone } from '@cdktf/provider-google/lib/dns-managed-zone/index.js';
import { DnsRecordSet } from '@cdktf/provider-google/lib/dns-record-set/index.js';
import { SqlDatabaseInstance } from '@cdktf/provider-google/lib/sql-database-instance/index.js';
import { SqlDatabase } from '@cdktf/provider-google/lib/sql-database/index.js';
import { SqlUser } from '@cdktf/provider-google/lib/sql-user/index.js';
import { acknowledge } from '../policy/acknowledge.ts';
import { DATA_FOLDER } from '../service-settings.ts';
import { DATABASE_EXCEPTIONS, DATABASE_VERSION, databaseConnections, databaseSettings } from './database-settings.ts';
import type { GcpStack } from './gcp-stack.ts';
import { GeneratedSecret } from './generated-secret.ts';
import type { Network } from './network.ts';
import type { PostgresSection } from './ports.ts';
import type { PrivateSecret, SecretKeys } from './private-secret.ts';
import { databaseName } from './resource-names.ts';

export const DATABASE_PORT = 5432;
const USER = 'tribo';
const DATABASE = 'tribo';
/** Counted up to give the database, and the secret, a new password. */
const PASSWORD_VERSION = 1;
/** The most that Cloud SQL's edition Enterprise restores to any second of; what is older is restored to the day. */
const LOG_DAYS = 7;
const MONDAY = 1;

/** Where a service puts the authority of the server's certificate as it starts. */
export const AUTHORITY_FILE = `${DATA_FOLDER}/database-authority.pem`;

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

  constructor(scope: GcpStack, id: string, parts: SecretKeys & { readonly network: Network }) {
    super(scope, id);
    this.instance = this.#instance(scope, parts);
    new SqlDatabase(this, 'database', {
      name: DATABASE,
      instance: this.instance.name,
      // With the instance: a database that somebody is connected to cannot be deleted.
      deletionPolicy: 'ABANDON',
    });
    this.password = this.#password(scope, parts);
    this.authority = this.instance.serverCaCert.get(0).cert;
    this.section = {
      host: this.#name(scope, parts.network),
      port: DATABASE_PORT,
      database: DATABASE,
      user: USER,
      tlsCaFile: AUTHORITY_FILE,
      maxConnections: databaseConnections(scope.site).pool,
    };
  }

  #instance(
    { site }: GcpStack,
    { network, keyName }: { readonly network: Network; readonly keyName: string },
  ): SqlDatabaseInstance {
    const { region, environment, isProtected } = site;
    const { retention, switches } = environment;
    const instance = new SqlDatabaseInstance(this, 'server-instance', {
      name: databaseName(site),
      region,
      databaseVersion: DATABASE_VERSION,
      encryptionKeyName: keyName,
      deletionProtection: isProtected,
      settings: {
        ...databaseSettings(site, network),
        availabilityType: switches.multiAz ? 'REGIONAL' : 'ZONAL',
        retainBackupsOnDelete: isProtected,
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
      },
      // What grew by itself is not made smaller again.
      lifecycle: { preventDestroy: isProtected, ignoreChanges: ['settings[0].disk_size'] },
    });
    return acknowledge(instance, DATABASE_EXCEPTIONS);
  }

  #password(stack: GcpStack, { keyName, second }: SecretKeys): PrivateSecret {
    const secret = new GeneratedSecret(this, 'password', stack, {
      part: 'database-password',
      keyName,
      second,
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
