import type { Construct } from 'constructs';
import { ManagementLock } from '@cdktf/provider-azurerm/lib/management-lock/index.js';
import type {
  PostgresqlFlexibleServer,
  PostgresqlFlexibleServerConfig,
} from '@cdktf/provider-azurerm/lib/postgresql-flexible-server/index.js';
import type { Subnet } from '@cdktf/provider-azurerm/lib/subnet/index.js';
import type { PrivateDnsZone } from '@cdktf/provider-azurerm/lib/private-dns-zone/index.js';
import { acknowledge } from '../policy/acknowledge.ts';
import type { Place } from './azure-stack.ts';
import { databaseClass, databaseStorageMb } from './database-class.ts';
import type { OwnKey } from './encryption-key.ts';
import type { Logs } from './logs.ts';

/** Supported until 2029; minor versions come in the maintenance window. */
const MAJOR_VERSION = '17';
/** Monday, 04:00. */
const MAINTENANCE = { dayOfWeek: 1, startHour: 4, startMinute: 0 };

interface Around {
  readonly subnet: Subnet;
  readonly zone: PrivateDnsZone;
  readonly key: OwnKey | undefined;
}

/** What the database and its copy in the second region have in common, so that the copy can take its place. */
export function databaseSettings(at: Place, { subnet, zone, key }: Around) {
  const { site, place } = at;
  return {
    ...place,
    name: at.globalName('database', 63),
    version: MAJOR_VERSION,
    skuName: databaseClass(site),
    storageMb: databaseStorageMb(site),
    // It grows by itself when little is left, so a load above the plan fills no disk.
    autoGrowEnabled: true,
    delegatedSubnetId: subnet.id,
    privateDnsZoneId: zone.id,
    publicNetworkAccessEnabled: false,
    // Of the pair that Azure chose, which need not be where data has to stay.
    geoRedundantBackupEnabled: false,
    maintenanceWindow: MAINTENANCE,
    ...(key && {
      identity: { type: 'UserAssigned', identityIds: [key.identityId] },
      customerManagedKey: { keyVaultKeyId: key.versionlessId, primaryUserAssignedIdentityId: key.identityId },
    }),
  } satisfies PostgresqlFlexibleServerConfig;
}

/** Why checks of such a server that do not hold need not, its lock, and its log. */
export function keepDatabase(
  scope: Construct,
  server: PostgresqlFlexibleServer,
  { site: { isProtected } }: Place,
  logs: Logs,
): void {
  acknowledge(server, {
    CKV2_AZURE_57: 'It is within the network itself, in a subnet of its own, which excludes an endpoint',
  });
  if (isProtected)
    new ManagementLock(scope, 'lock', {
      name: 'database-is-kept',
      scope: server.id,
      lockLevel: 'CanNotDelete',
      notes: 'Readings, alarms, machines: what cannot be made again',
    });
  logs.of(scope, server.id, ['PostgreSQLLogs']);
}
