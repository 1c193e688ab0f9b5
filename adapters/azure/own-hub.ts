import { join } from 'node:path';
import { VERIFICATION_MARK, type DeployedCheck } from '#core/contracts/verification.ts';
import { isPortError, PortError } from '#core/errors.ts';
import type { CheckpointStore } from '#core/ports/checkpoint-store.ts';
import type { MeasuredStream } from '#core/ports/event-stream.ts';
import type { OwnStream } from '../own-stream.ts';
import type { EventHubsClient } from './event-hubs-event-stream/client.ts';
import type { EventHubsEventStreamConfig } from './event-hubs-event-stream/config.ts';
import { EventHubsEventStream } from './event-hubs-event-stream/event-hubs-event-stream.ts';
import { hasConsumerGroup } from './event-hubs-event-stream/group-subscription.ts';

/** Those of the contract. */
const GROUPS = ['group', 'early', 'store', 'compute'];
/** What a killed consumer leaves is somebody else's after it. */
const LEASE_MS = 5_000;
const CHECKPOINT_INTERVAL_MS = 500;

/**
 * A hub that is there for verifications alone, with the consumer groups of the contract: hubs are made by whoever manages the namespace, by another
 * service than the one that the adapter speaks to. One for all cases; what is settled of it is in blobs of the run.
 */
export class OwnHub {
  readonly #place: EventHubsEventStreamConfig;
  readonly #run: string;
  readonly #checkpoints: () => Promise<CheckpointStore>;
  #cases = 0;

  constructor(place: EventHubsEventStreamConfig, run: string, checkpoints: () => Promise<CheckpointStore>) {
    this.#place = place;
    this.#run = run;
    this.#checkpoints = checkpoints;
  }

  readonly makes = `events in the hub ${VERIFICATION_MARK}, which it keeps as long as it keeps any, and blobs of its groups`;
  readonly needs = `a hub ${VERIFICATION_MARK} with the consumer groups ${GROUPS.join(', ')}, made beforehand; the roles on it, too`;

  check(client: EventHubsClient): DeployedCheck {
    return {
      name: `the hub ${VERIFICATION_MARK} is there, with the consumer groups ${GROUPS.join(', ')}`,
      run: async () => {
        const missing: string[] = [];
        for (const group of GROUPS) if (!(await this.#isThere(client, group))) missing.push(group);
        if (missing.length > 0)
          throw new PortError(
            'failed_precondition',
            `make the hub ${VERIFICATION_MARK} with what it lacks, ${missing.join(', ')}, for the time of the run: docs/verify.md, "Streams of its own"`,
          );
      },
    };
  }

  async forCase(): Promise<OwnStream<MeasuredStream>> {
    const number = ++this.#cases;
    const suffix = `${this.#run}-${number}`;
    const settings: EventHubsEventStreamConfig = {
      ...this.#place,
      streams: { metrics: VERIFICATION_MARK },
      consumerGroups: Object.fromEntries(GROUPS.map((group) => [`${group}-${suffix}`, group])),
      checkpointPrefix: `${this.#place.checkpointPrefix}${VERIFICATION_MARK}/${suffix}/`,
      leaseMs: Math.min(this.#place.leaseMs, LEASE_MS),
      checkpointIntervalMs: Math.min(this.#place.checkpointIntervalMs, CHECKPOINT_INTERVAL_MS),
    };
    const checkpoints = await this.#checkpoints();
    return {
      ...{ settings, suffix },
      processes: join(import.meta.dirname, 'event-hubs-event-stream/processes'),
      open: () => EventHubsEventStream.open(settings, { checkpoints }),
      // Blobs are of the run, and go with its leases.
      remove: async () => undefined,
    };
  }

  async #isThere(client: EventHubsClient, group: string): Promise<boolean> {
    try {
      return await hasConsumerGroup(client, VERIFICATION_MARK, group, undefined);
    } catch (error) {
      if (isPortError(error) && error.code === 'not_found') return false;
      throw error;
    }
  }
}
