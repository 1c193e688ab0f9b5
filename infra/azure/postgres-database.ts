import type { ITerraformDependable } from 'cdktf';
import { Construct } from 'constructs';
import type { KeyVaultSecret } from '@cdktf/provider-azurerm/lib/key-vault-secret/index.js';
import { PostgresqlFlexibleServerConfiguration } from '@cdktf/provider-azurerm/lib/postgresql-flexible-server-configuration/index.js';
import { PostgresqlFlexibleServerDatabase } from '@cdktf/provider-azurerm/lib/postgresql-flexible-server-database/index.js';
import type { PrivateDnsZone } from '@cdktf/provider-azurerm/lib/private-dns-zone/index.js';
import type { VirtualNetwork } from '@cdktf/provider-azurerm/lib/virtual-network/index.js';
import { PostgresqlFlexibleServer } from '@cdktf/provider-azurerm/lib/postgresql-flexible-server/index.js';
import { acknowledge } from '../policy/acknowledge.ts';
import type { Site } from '../site.ts';
import type { AzureStack, Place } from './azure-stack.ts';
import { databaseConnections } from './database-class.ts';
import { databaseSettings, keepDatabase } from './database-settings.ts';
import type { FoundationStack } from './foundation-stack.ts';
import { GeneratedSecret } from './generated-secret.ts';
import type { PostgresSection } from './ports.ts';
import { privateZone } from './private-endpoints.ts';

const PORT = 5432;
const USER = 'tribo';
const DATABASE = 'tribo';
/** Counted up to give the database, and the secret, a new password. */
const PASSWORD_VERSION = 1;
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
  readonly zone: PrivateDnsZone;
  /** What a copy takes over as it is made, and is not told of later. */
  readonly ready: readonly ITerraformDependable[];

  constructor(scope: AzureStack, id: string, { network, key, logs }: FoundationStack) {
    super(scope, id);
    const { site } = scope;
    const { environment, isProtected } = site;
    const { retention, switches } = environment;
    const { zone, link } = databaseZone(this, scope, network.vnet);
    this.zone = zone;
    const password = new GeneratedSecret(scope, this, 'password', {
      name: 'database-password',
      contentType: `password of ${USER}`,
      keyVaultId: key.vault.vault.id,
      version: PASSWORD_VERSION,
    });
    this.password = password.secret;
    this.server = new PostgresqlFlexibleServer(this, 'server', {
      ...databaseSettings(scope, { subnet: network.subnets.data, zone, key: key.own }),
      administratorLogin: USER,
      administratorPasswordWoVersion: PASSWORD_VERSION,
      authentication: { passwordAuthEnabled: true, activeDirectoryAuthEnabled: false },
      backupRetentionDays: retention.backupDays,
      ...(switches.multiAz && { zone: '1', highAvailability: { mode: 'ZoneRedundant', standbyAvailabilityZone: '2' } }),
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
      CKV_AZURE_136:
        "Azure's pair of a region may be where data must not go; a second region is bought by switches.secondRegion",
    });
    // Write-only and ephemeral: the password is in no state and in no plan.
    this.server.addOverride('administrator_password_wo', password.value);
    const lastSetting = this.#settings(site);
    const database = new PostgresqlFlexibleServerDatabase(this, 'database', {
      name: DATABASE,
      serverId: this.server.id,
      charset: 'UTF8',
      collation: 'en_US.utf8',
      lifecycle: { preventDestroy: isProtected },
    });
    keepDatabase(this, this.server, scope, logs);
    this.ready = [...(lastSetting ? [lastSetting] : []), database];
    this.section = { host: this.server.fqdn, port: PORT, database: DATABASE, user: USER };
  }

  /** One after another: the server takes one change at a time. */
  #settings(site: Site): PostgresqlFlexibleServerConfiguration | undefined {
    const { taken, isTold } = databaseConnections(site);
    const settings = { ...SETTINGS, ...(isTold && { max_connections: String(taken) }) };
    return Object.entries(settings).reduce<PostgresqlFlexibleServerConfiguration | undefined>(
      (before, [name, value]) => {
        const dependsOn = before ? [before] : [];
        return new PostgresqlFlexibleServerConfiguration(this, name, {
          serverId: this.server.id,
          name,
          value,
          dependsOn,
        });
      },
      undefined,
    );
  }
}

/** Names of databases in a network. */
export function databaseZone(scope: Construct, at: Place, vnet: VirtualNetwork) {
  return privateZone(scope, at, {
    id: 'database',
    // Its name may not be that of the server.
    name: `${at.site.names.base}.private.postgres.database.azure.com`,
    networkId: vnet.id,
  });
}
