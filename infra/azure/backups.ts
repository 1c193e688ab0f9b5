import { Construct } from 'constructs';
import { DataProtectionBackupInstancePostgresqlFlexibleServer } from '@cdktf/provider-azurerm/lib/data-protection-backup-instance-postgresql-flexible-server/index.js';
import { DataProtectionBackupPolicyPostgresqlFlexibleServer } from '@cdktf/provider-azurerm/lib/data-protection-backup-policy-postgresql-flexible-server/index.js';
import { DataProtectionBackupVault } from '@cdktf/provider-azurerm/lib/data-protection-backup-vault/index.js';
import { RoleAssignment } from '@cdktf/provider-azurerm/lib/role-assignment/index.js';
import type { AzureStack } from './azure-stack.ts';

/** Azure makes such copies once a week: each is there until the next ones are. */
const FEWEST_DAYS = 14;
/** Sunday, 03:00; the date says on which day of the week. */
const WEEKLY = 'R/2026-01-04T03:00:00+00:00/P1W';
const DELETED_DAYS = 14;

/**
 * A copy of the database each week, apart from it: the database's own backups, to any second of their days, go with the server should somebody
 * delete it; what is in the vault stays.
 */
export class Backups extends Construct {
  constructor(scope: AzureStack, id: string, { serverId }: { readonly serverId: string }) {
    super(scope, id);
    const { site, place, resourceGroup } = scope;
    const { names, environment, isProtected, zones } = site;
    const vault = new DataProtectionBackupVault(this, 'vault', {
      ...place,
      name: names.of('backups', 50),
      datastoreType: 'VaultStore',
      redundancy: zones > 1 ? 'ZoneRedundant' : 'LocallyRedundant',
      immutability: isProtected ? 'Unlocked' : 'Disabled',
      softDelete: isProtected ? 'On' : 'Off',
      ...(isProtected && { retentionDurationInDays: DELETED_DAYS }),
      identity: { type: 'SystemAssigned' },
      lifecycle: { preventDestroy: isProtected },
    });
    const right = (part: string, on: string, roleDefinitionName: string) =>
      new RoleAssignment(this, part, {
        scope: on,
        roleDefinitionName,
        principalId: vault.identity.principalId,
        principalType: 'ServicePrincipal',
        skipServicePrincipalAadCheck: true,
      });
    // Azure's own for this purpose, and no others are taken.
    const rights = [
      right('finds', resourceGroup.id, 'Reader'),
      right('copies', serverId, 'PostgreSQL Flexible Server Long Term Retention Backup Role'),
    ];
    const policy = new DataProtectionBackupPolicyPostgresqlFlexibleServer(this, 'policy', {
      name: 'weekly',
      vaultId: vault.id,
      backupRepeatingTimeIntervals: [WEEKLY],
      defaultRetentionRule: {
        lifeCycle: [
          {
            dataStoreType: 'VaultStore',
            duration: `P${Math.max(FEWEST_DAYS, environment.retention.backupDays)}D`,
          },
        ],
      },
    });
    new DataProtectionBackupInstancePostgresqlFlexibleServer(this, 'database', {
      name: 'database',
      location: place.location,
      vaultId: vault.id,
      serverId,
      backupPolicyId: policy.id,
      dependsOn: rights,
    });
  }
}
