import { Construct } from 'constructs';
import type { KeyVaultSecret } from '@cdktf/provider-azurerm/lib/key-vault-secret/index.js';
import { ManagementLock } from '@cdktf/provider-azurerm/lib/management-lock/index.js';
import { PostgresqlFlexibleServerConfiguration } from '@cdktf/provider-azurerm/lib/postgresql-flexible-server-configuration/index.js';
import { PostgresqlFlexibleServerDatabase } from '@cdktf/provider-azurerm/lib/postgresql-flexible-server-database/index.js';
import { PostgresqlFlexibleServer } from '@cdktf/provider-azurerm/lib/postgresql-flexible-server/index.js';
import { acknowledge } from '../policy/acknowledge.ts';
import type { AzureStack } from './azure-stack.ts';
import { databaseClass, databaseStorageMb } from './database-class.ts';
import type { FoundationStack } from './foundation-stack.ts';
import { GeneratedSecret } from './generated-secret.ts';
import type { PostgresSection } from './ports.ts';
import { privateZone } from './private-endpoints.ts';

const PORT = 5432;
/** Supported until 2029; minor versions come in the maintenance window. */
const MAJOR_VERSION = '17';
const USER = 'tribo';
const DATABASE = 'tribo';
/** Counted up to give the database, and the secret, a new password. */
const PASSWORD_VERSION = 1;
/** Monday, 04:00. */
const MAINTENANCE = { dayOfWeek: 1, startHour: 4, startMinute: 0 };
/** TLS alone; statements that take long are in the log. In the letters in which the server answers: Terraform compares them. */
const SETTINGS: Readonly<Record<string, string>> = {
  require_secure_transport: 'on',
  ssl_min_protocol_version: 'TLSv1.2',
  log_min_duration_statement: '1000',
};

/**
 * PostgreSQL, whose plain tables are all that the adapters need: no extension. It is in a subnet of its own, where the services alone reach it,
 * by TLS alone; its certificate is of an authority that Node knows.
 */
export class PostgresDatabase extends Construct {
  readonly server: PostgresqlFlexibleServer;
  /** In the vault of keys: no service may change it. */
  readonly password: KeyVaultSecret;
  readonly section: PostgresSection;

  constructor(scope: AzureStack, id: string, { network, key, logs }: FoundationStack) {
    super(scope, id);
    const { site, place } = scope;
    const { environment, isProtected } = site;
    const { retention, switches } = environment;
    const name = scope.globalName('database', 63);
    const { zone, link } = privateZone(this, scope, {
      id: 'database',
      // Its name may not be that of the server.
      name: `${site.names.base}.private.postgres.database.azure.com`,
      networkId: network.vnet.id,
    });
    const password = new GeneratedSecret(scope, this, 'password', {
      name: 'database-password',
      contentType: `password of ${USER}`,
      keyVaultId: key.vault.vault.id,
      version: PASSWORD_VERSION,
    });
    this.password = password.secret;
    this.server = new PostgresqlFlexibleServer(this, 'server', {
      ...place,
      name,
      version: MAJOR_VERSION,
      skuName: databaseClass(site),
      storageMb: databaseStorageMb(site),
      // It grows by itself when little is left, so a load above the plan fills no disk.
      autoGrowEnabled: true,
      administratorLogin: USER,
      administratorPasswordWoVersion: PASSWORD_VERSION,
      authentication: { passwordAuthEnabled: true, activeDirectoryAuthEnabled: false },
      delegatedSubnetId: network.subnets.data.id,
      privateDnsZoneId: zone.id,
      publicNetworkAccessEnabled: false,
      backupRetentionDays: retention.backupDays,
      // Of the pair that Azure chose, which need not be where data has to stay.
      geoRedundantBackupEnabled: false,
      ...(switches.multiAz && { zone: '1', highAvailability: { mode: 'ZoneRedundant', standbyAvailabilityZone: '2' } }),
      maintenanceWindow: MAINTENANCE,
      ...(key.own && {
        identity: { type: 'UserAssigned', identityIds: [key.own.identityId] },
        customerManagedKey: { keyVaultKeyId: key.own.versionlessId, primaryUserAssignedIdentityId: key.own.identityId },
      }),
      dependsOn: [link],
      lifecycle: {
        preventDestroy: isProtected,
        // Grown by itself, and where the last failover left it: neither is taken back.
        ignoreChanges: [
          'storage_mb',
          'zone',
          ...(switches.multiAz ? ['high_availability[0].standby_availability_zone'] : []),
        ],
      },
    });
    acknowledge(this.server, {
      CKV2_AZURE_57: 'It is within the network itself, in a subnet of its own, which excludes an endpoint',
      CKV_AZURE_136:
        "Azure's pair of a region may be where data must not go; a second region is bought by switches.secondRegion",
    });
    // Write-only and ephemeral: the password is in no state and in no plan.
    this.server.addOverride('administrator_password_wo', password.value);
    this.#settings();
    new PostgresqlFlexibleServerDatabase(this, 'database', {
      name: DATABASE,
      serverId: this.server.id,
      charset: 'UTF8',
      collation: 'en_US.utf8',
      lifecycle: { preventDestroy: isProtected },
    });
    if (isProtected)
      new ManagementLock(this, 'lock', {
        name: 'database-is-kept',
        scope: this.server.id,
        lockLevel: 'CanNotDelete',
        notes: 'Readings, alarms, machines: what cannot be made again',
      });
    logs.of(this, this.server.id, ['PostgreSQLLogs']);
    this.section = { host: this.server.fqdn, port: PORT, database: DATABASE, user: USER };
  }

  /** One after another: the server takes one change at a time. */
  #settings(): void {
    Object.entries(SETTINGS).reduce<PostgresqlFlexibleServerConfiguration | undefined>((before, [name, value]) => {
      const setting = new PostgresqlFlexibleServerConfiguration(this, name, { serverId: this.server.id, name, value });
      if (before) setting.node.addDependency(before);
      return setting;
    }, undefined);
  }
}
