import { Construct } from 'constructs';
import {
  StorageManagementPolicy,
  type StorageManagementPolicyRule,
} from '@cdktf/provider-azurerm/lib/storage-management-policy/index.js';
import type { StorageContainer } from '@cdktf/provider-azurerm/lib/storage-container/index.js';
import type { Environment } from '../../core/decision/environment.ts';
import type { AzureStack, Place } from './azure-stack.ts';
import type { OwnKey } from './encryption-key.ts';
import type { Logs } from './logs.ts';
import type { ObjectStoreSection } from './ports.ts';
import { PrivateAccount } from './private-account.ts';
import type { PrivateEndpoints } from './private-endpoints.ts';

export const OBJECTS = 'objects';
/** After so long an object is in the tier `cold`, from which it is still read at once: `archive` would have adapters wait for hours. */
const COLD_DAYS = 90;
/** What was overwritten or deleted by mistake can be had back for so long. */
const OLD_VERSION_DAYS = 30;
/** Models are few, and one may be rolled back to long after. */
const OLD_MODEL_DAYS = 365;
/** The platform collects the parts of waveforms that never became whole; this is for those that it never saw. */
const PARTS_DAYS = 7;

interface Parts {
  readonly key: OwnKey | undefined;
  readonly logs: Logs;
  readonly endpoints: PrivateEndpoints;
}

/** The container of waveforms, raw archive and models, one prefix a kind (docs/architecture.md), each with its own rule for what is old. */
export class BlobObjectStore extends Construct {
  readonly own: PrivateAccount;
  readonly accountId: string;
  readonly container: StorageContainer;
  readonly section: ObjectStoreSection;

  constructor(scope: AzureStack, id: string, { key, logs, endpoints }: Parts) {
    super(scope, id);
    const own = objectsAccount(this, scope, { key, logs });
    endpoints.lead(own, scope, { kind: 'blob', part: 'objects', id: own.account.id });
    this.own = own;
    this.accountId = own.account.id;
    this.container = own.containers[OBJECTS]!;
    this.section = { accountUrl: own.url, container: OBJECTS };
  }
}

/** The account with that container and those rules: in the site's region, and in the second where there is one. */
export function objectsAccount(
  scope: Construct,
  at: Place,
  { key, logs }: Pick<Parts, 'key' | 'logs'>,
): PrivateAccount {
  const { retention, switches } = at.site.environment;
  const own = new PrivateAccount(scope, 'objects', at, {
    part: 'objects',
    key,
    logs,
    containers: [OBJECTS],
    keptDays: OLD_VERSION_DAYS,
    isCopied: switches.secondRegion,
  });
  new StorageManagementPolicy(scope, 'lifecycle', { storageAccountId: own.account.id, rule: objectRules(retention) });
  return own;
}

/** What becomes of each kind of object. */
function objectRules(retention: Environment['retention']): StorageManagementPolicyRule[] {
  return [
    keptFor('waveforms', retention.waveformsDays),
    keptFor('raw', retention.rawArchiveDays),
    keptFor('parts', PARTS_DAYS),
    {
      ...rule('models'),
      actions: { version: { deleteAfterDaysSinceCreation: OLD_MODEL_DAYS } },
    },
    // What training jobs leave stays until somebody takes it away.
    {
      ...rule('training'),
      actions: { version: { deleteAfterDaysSinceCreation: OLD_VERSION_DAYS } },
    },
  ];
}

function keptFor(kind: string, days: number): StorageManagementPolicyRule {
  return {
    ...rule(kind),
    actions: {
      baseBlob: {
        ...(days > COLD_DAYS && { tierToColdAfterDaysSinceModificationGreaterThan: COLD_DAYS }),
        deleteAfterDaysSinceModificationGreaterThan: days,
      },
      version: { deleteAfterDaysSinceCreation: OLD_VERSION_DAYS },
    },
  };
}

function rule(kind: string) {
  return { name: kind, enabled: true, filters: { blobTypes: ['blockBlob'], prefixMatch: [`${OBJECTS}/${kind}/`] } };
}
