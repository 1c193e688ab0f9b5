import { Construct } from 'constructs';
import { SecondGroup, type AzureStack } from './azure-stack.ts';
import { EncryptionKey, type OwnKey } from './encryption-key.ts';
import type { Logs } from './logs.ts';
import { SecondNetwork, type Network } from './network.ts';
import type { SecondPlace } from './second-place.ts';

interface Parts {
  readonly place: SecondPlace;
  readonly network: Network;
  readonly logs: Logs;
}

/** What copies in the second region stand on: a network, and a key that is not away with the first region. */
export class SecondFoundation extends Construct {
  readonly place: SecondPlace;
  readonly network: SecondNetwork;
  /** Undefined in dev. */
  readonly key: OwnKey | undefined;

  constructor(scope: AzureStack, id: string, { place, network, logs }: Parts) {
    super(scope, id);
    this.place = place;
    const there = new SecondGroup(scope, 'second-group', place);
    this.network = new SecondNetwork(this, 'network', there, { network, range: place.range });
    this.key = scope.site.isProtected
      ? new EncryptionKey(this, 'key', there, { logs, endpoints: undefined }).own
      : undefined;
  }
}
