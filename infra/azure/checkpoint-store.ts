import { Construct } from 'constructs';
import type { StorageContainer } from '@cdktf/provider-azurerm/lib/storage-container/index.js';
import type { AzureStack } from './azure-stack.ts';
import type { OwnKey } from './encryption-key.ts';
import type { Logs } from './logs.ts';
import { PrivateAccount } from './private-account.ts';
import type { PrivateEndpoints } from './private-endpoints.ts';

const CONTAINER = 'checkpoints';

interface Parts {
  readonly key: OwnKey | undefined;
  readonly logs: Logs;
  readonly endpoints: PrivateEndpoints;
}

/**
 * Who owns which partition of a stream, and how far it is read. Apart from the objects, as each of these blobs is written again every few
 * seconds, and there every version of it would be kept.
 */
export class CheckpointStore extends Construct {
  readonly accountId: string;
  readonly container: StorageContainer;
  /** As adapters that read event hubs have it. */
  readonly place: { readonly accountUrl: string; readonly checkpointContainer: string };

  constructor(scope: AzureStack, id: string, { key, logs, endpoints }: Parts) {
    super(scope, id);
    const own = new PrivateAccount(this, 'checkpoints', scope, {
      part: 'checkpoints',
      key,
      logs,
      containers: [CONTAINER],
    });
    endpoints.lead(own, scope, { kind: 'blob', part: 'checkpoints', id: own.account.id });
    this.accountId = own.account.id;
    this.container = own.containers[CONTAINER]!;
    this.place = { accountUrl: own.url, checkpointContainer: CONTAINER };
  }
}
