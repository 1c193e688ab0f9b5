import { dependable, type ITerraformDependable } from 'cdktf';
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
  readonly #connections: PostgresqlFlexibleServerConfiguration | undefined;

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
    const lastSetting = this.#settings();
    const { pool } = databaseConnections(site);
    this.#connections = tellConnections(this, this.server, site, lastSetting);
    const database = new PostgresqlFlexibleServerDatabase(this, 'database', {
      name: DATABASE,
      serverId: this.server.id,
      charset: 'UTF8',
      collation: 'en_US.utf8',
      lifecycle: { preventDestroy: isProtected },
    });
    keepDatabase(this, this.server, scope, logs);
    this.ready = [...lastSetting, database];
    this.section = { host: this.server.fqdn, port: PORT, database: DATABASE, user: USER, maxConnections: pool };
  }

  /** Has it take more connections once its copy does: a copy that takes fewer no longer follows it. */
  takesMoreAfter(copy: PostgresqlFlexibleServerConfiguration): void {
    if (this.#connections) this.#connections.dependsOn = [dependable(copy)];
  }

  /** One after another: the server takes one change at a time. */
  #settings(): readonly ITerraformDependable[] {
    return Object.entries(SETTINGS).reduce<ITerraformDependable[]>(
      (dependsOn, [name, value]) => [
        new PostgresqlFlexibleServerConfiguration(this, name, { serverId: this.server.id, name, value, dependsOn }),
      ],
      [],
    );
  }
}

/** How many connections a server takes, where it has to be told. */
export function tellConnections(
  scope: Construct,
  { id: serverId }: PostgresqlFlexibleServer,
  site: Site,
  after: readonly ITerraformDependable[] = [],
): PostgresqlFlexibleServerConfiguration | undefined {
  const { taken, isTold } = databaseConnections(site);
  if (!isTold) return undefined;
  const name = 'max_connections';
  return new PostgresqlFlexibleServerConfiguration(scope, name, {
    serverId,
    name,
    value: String(taken),
    dependsOn: [...after],
  });
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
