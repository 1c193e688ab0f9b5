import { DbParameterGroup } from '@cdktf/provider-aws/lib/db-parameter-group/index.js';
import type { Construct } from 'constructs';
import type { Site } from '../site.ts';
import { databaseConnections, databaseStorage } from './database-class.ts';
import { logGroup } from './log-group.ts';

/** Supported until 2029; minor versions come in the maintenance window. */
export const MAJOR_VERSION = '17';
const LOGS = ['postgresql', 'upgrade'] as const;
const LARGEST_STORAGE_GB = 65_536;

interface DatabaseParts {
  readonly site: Site;
  readonly identifier: string;
  readonly keyArn: string;
}

/** What the database and a copy of it elsewhere have alike; both are made of it in the scope. */
export function databaseSettings(scope: Construct, { site, identifier, keyArn }: DatabaseParts) {
  const { names, environment, isProtected } = site;
  const { taken, isTold } = databaseConnections(site);
  const { retention } = environment;
  const logs = LOGS.map((log) => {
    const name = `/aws/rds/instance/${identifier}/${log}`;
    return logGroup(scope, `${log}-log`, site, { name, keyArn });
  });
  const parameters = new DbParameterGroup(scope, 'parameters', {
    name: names.of(`postgres${MAJOR_VERSION}`),
    family: `postgres${MAJOR_VERSION}`,
    description: 'TLS alone; statements that take long are in the log',
    parameter: [
      { name: 'rds.force_ssl', value: '1', applyMethod: 'immediate' },
      { name: 'log_min_duration_statement', value: '1000', applyMethod: 'immediate' },
      ...(isTold ? [{ name: 'max_connections', value: String(taken), applyMethod: 'pending-reboot' }] : []),
    ],
  });
  return {
    identifier,
    autoMinorVersionUpgrade: true,
    storageType: 'gp3',
    // It grows by itself when a tenth is left, so a load above the plan fills no disk.
    maxAllocatedStorage: Math.min(databaseStorage(site) * 3, LARGEST_STORAGE_GB),
    storageEncrypted: true,
    kmsKeyId: keyArn,
    publiclyAccessible: false,
    parameterGroupName: parameters.name,
    caCertIdentifier: 'rds-ca-rsa2048-g1',
    backupRetentionPeriod: retention.backupDays,
    backupWindow: '03:00-04:00',
    maintenanceWindow: 'mon:04:30-mon:05:30',
    copyTagsToSnapshot: true,
    deleteAutomatedBackups: !isProtected,
    deletionProtection: isProtected,
    enabledCloudwatchLogsExports: [...LOGS],
    performanceInsightsEnabled: true,
    performanceInsightsKmsKeyId: keyArn,
    performanceInsightsRetentionPeriod: 7,
    applyImmediately: !isProtected,
    // Without them RDS makes groups of its own, which keep logs for ever.
    dependsOn: logs,
    lifecycle: { preventDestroy: isProtected },
  };
}
