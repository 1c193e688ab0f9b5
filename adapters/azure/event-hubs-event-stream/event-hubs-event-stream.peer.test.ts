import { join } from 'node:path';
import { afterAll, beforeAll } from '@jest/globals';
import {
  eventStreamContract,
  measuredStreamContract,
  readableTailContract,
} from '#core/contracts/event-stream.contract.ts';
import { laneOf } from '#core/delivery/lanes.ts';
import type { MachineKey } from '#core/domain/ids.ts';
import { EventHubsSite } from '#test/peers/event-hubs-site.ts';
import { checkpointsInFolder } from '#test/support/checkpoints-in-folder.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import { ownStreamHarness } from '../../own-stream.ts';
import { eventHubsEventStreamConfigSchema } from './config.ts';
import { EventHubsEventStream } from './event-hubs-event-stream.ts';

/** So many that the machines of the contract whose events fail have a partition each. */
const PARTITIONS = 8;
const SUFFIX = 'a1';
let site: EventHubsSite;

beforeAll(async () => {
  site = await EventHubsSite.start();
}, 300_000);

afterAll(() => site[Symbol.asyncDispose]());

async function makeHarness() {
  const consumerGroups = ['group', 'early', 'store', 'compute'].map((name) => `${name}-${SUFFIX}`);
  const config = eventHubsEventStreamConfigSchema.parse({
    ...site.settings(PARTITIONS, consumerGroups),
    // Limits of the peer's faults are too short for a machine that is busy with others.
    ...{ timeoutMs: 15_000, accountEveryMs: 100 },
  });
  const checkpoints = await checkpointsInFolder();
  return ownStreamHarness(
    {
      ...{ settings: config, processes: join(import.meta.dirname, 'processes'), suffix: SUFFIX },
      open: () => EventHubsEventStream.open(config, { checkpoints: checkpoints.store }),
      remove: async () => {
        await checkpoints[Symbol.asyncDispose]();
        site.hubs.deleteHub(config.streams.metrics!);
      },
    },
    { patienceMs: 60_000, failNextPublish: (machines) => refuseOnce(machines) },
  );
}

/** Event Hubs refuses by batch, which is of one partition. */
function refuseOnce(machines: readonly number[]): void {
  const partitionOf = (machine: number) => laneOf(`north-${SUFFIX}/akron/m${machine}` as MachineKey, PARTITIONS);
  const failing = new Set(machines.map(partitionOf));
  site.hubs.sendFault = (_hub, partition) =>
    failing.delete(partition) ? { refuse: 'com.microsoft:server-busy' } : undefined;
}

describeContract(eventStreamContract, 'Event Hubs (AMQP 1.0 peer, Azurite)', makeHarness);
describeContract(measuredStreamContract, 'Event Hubs (AMQP 1.0 peer, Azurite)', makeHarness);
describeContract(readableTailContract, 'Event Hubs (AMQP 1.0 peer, Azurite)', makeHarness);
