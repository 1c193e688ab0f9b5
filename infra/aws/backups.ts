import { Construct } from 'constructs';
import { BackupPlan } from '@cdktf/provider-aws/lib/backup-plan/index.js';
import { BackupSelection } from '@cdktf/provider-aws/lib/backup-selection/index.js';
import { BackupVault } from '@cdktf/provider-aws/lib/backup-vault/index.js';
import { IamRole } from '@cdktf/provider-aws/lib/iam-role/index.js';
import { IamRolePolicyAttachment } from '@cdktf/provider-aws/lib/iam-role-policy-attachment/index.js';
import type { AwsStack } from './aws-stack.ts';
import { trust } from './policy.ts';

interface BackupParts {
  readonly databaseArn: string;
  readonly keyArn: string;
  /** Another vault, elsewhere, that has each copy too. */
  readonly copyTo?: string | undefined;
}

/**
 * A copy of the database each day, apart from it: the database's own backups, to any second of their days, go with the server should somebody
 * delete it; what is in the vault stays.
 */
export class Backups extends Construct {
  constructor(scope: AwsStack, id: string, { databaseArn, keyArn, copyTo }: BackupParts) {
    super(scope, id);
    const { names, environment, isProtected } = scope.site;
    const days = environment.retention.backupDays;
    const vault = new BackupVault(this, 'vault', {
      name: names.of('backups', 50),
      kmsKeyArn: keyArn,
      forceDestroy: !isProtected,
      lifecycle: { preventDestroy: isProtected },
    });
    const plan = new BackupPlan(this, 'plan', {
      name: names.of('daily', 50),
      rule: [
        {
          ruleName: 'daily',
          targetVaultName: vault.name,
          // RDS begins no backup in the hour before its windows, nor within them: see `databaseSettings`.
          schedule: 'cron(0 6 ? * * *)',
          startWindow: 60,
          completionWindow: 180,
          lifecycle: { deleteAfter: days },
          ...(copyTo !== undefined && {
            copyAction: [{ destinationVaultArn: copyTo, lifecycle: { deleteAfter: days } }],
          }),
        },
      ],
    });
    const role = new IamRole(this, 'role', {
      name: names.of('backup', 64),
      assumeRolePolicy: trust('backup.amazonaws.com'),
    });
    // AWS's own for this purpose: what a snapshot takes changes with the service.
    const rights = new IamRolePolicyAttachment(this, 'rights', {
      role: role.name,
      policyArn: `arn:${scope.partition}:iam::aws:policy/service-role/AWSBackupServiceRolePolicyForBackup`,
    });
    new BackupSelection(this, 'selection', {
      name: names.of('database', 50),
      planId: plan.id,
      iamRoleArn: role.arn,
      resources: [databaseArn],
      dependsOn: [rights],
    });
  }
}
