import { Construct } from 'constructs';
import { ManagementLock } from '@cdktf/provider-azurerm/lib/management-lock/index.js';
import { MonitorDiagnosticSetting } from '@cdktf/provider-azurerm/lib/monitor-diagnostic-setting/index.js';
import { StorageContainerImmutabilityPolicy } from '@cdktf/provider-azurerm/lib/storage-container-immutability-policy/index.js';
import { acknowledge } from '../policy/acknowledge.ts';
import type { Place } from './azure-stack.ts';
import type { OwnKey } from './encryption-key.ts';
import type { Logs } from './logs.ts';
import { PrivateAccount } from './private-account.ts';

/** Where Azure puts what was done in a subscription: a container that is there before can be made unchangeable. */
const TRAIL = 'insights-activity-logs';
/** What is told of who changed what, allowed whom, or tried something that a policy refuses. */
const CATEGORIES = ['Administrative', 'Security', 'Policy', 'Alert'];
/** Nothing is changed or deleted before; no rule deletes it after, or puts it elsewhere: blobs that are appended to have the tier of the account. */
const UNCHANGED_DAYS = 365;
const OLD_VERSION_DAYS = 30;

interface Parts {
  readonly key: OwnKey | undefined;
  readonly logs: Logs;
}

/**
 * Who did what in the subscription, which is kept for ever: it is only ever added to. Outside dev that cannot be taken back by anybody, and the
 * account cannot be deleted before its time.
 */
export class BlobAuditStore extends Construct {
  constructor(scope: Construct, id: string, at: Place, { key, logs }: Parts) {
    super(scope, id);
    const { site, subscription } = at;
    const { account, containers } = new PrivateAccount(this, 'audit', at, {
      part: 'audit',
      key,
      logs,
      containers: [TRAIL],
      keptDays: OLD_VERSION_DAYS,
    });
    acknowledge(account, {
      CKV2_AZURE_33: 'No service reaches it: what is written there comes from Azure itself',
    });
    const unchanged = new StorageContainerImmutabilityPolicy(this, 'unchanged', {
      storageContainerResourceManagerId: containers[TRAIL]!.id,
      immutabilityPeriodInDays: UNCHANGED_DAYS,
      // The log goes on by appending to the blob of the hour.
      protectedAppendWritesAllEnabled: true,
      locked: site.isProtected,
    });
    if (site.isProtected)
      new ManagementLock(this, 'lock', {
        name: 'audit-is-kept',
        scope: account.id,
        lockLevel: 'CanNotDelete',
        notes: 'Who did what, which is kept for ever',
      });
    new MonitorDiagnosticSetting(this, 'trail', {
      name: site.names.of('audit', 255),
      targetResourceId: `/subscriptions/${subscription}`,
      storageAccountId: account.id,
      enabledLog: CATEGORIES.map((category) => ({ category })),
      dependsOn: [unchanged],
    });
  }
}
