import assert from 'node:assert/strict';
import {
  deployedChecks,
  VERIFICATION_MARK,
  wasLeft,
  type DeployedCheck,
  type NotChecked,
  type Verification,
  type VerificationTools,
} from '#core/contracts/verification.ts';
import { PortError } from '#core/errors.ts';
import { ownStreamContracts } from '../own-stream.ts';
import { DELIVERY_NOT_CHECKED, LARGEST_EVENT_BYTES } from '../stream-verification.ts';
import { openEventHubs, type EventHubsClient } from './event-hubs-event-stream/client.ts';
import type { EventHubsEventStreamConfig } from './event-hubs-event-stream/config.ts';
import { hasConsumerGroup } from './event-hubs-event-stream/group-subscription.ts';
import { openLeaseBlobs, type LeaseBlobs } from './event-hubs-event-stream/lease-blobs.ts';
import type { EventHubsPlace } from './event-hubs-place.ts';
import { OwnHub } from './own-hub.ts';

const TAIL_NOT_CHECKED: NotChecked = {
  name: 'the newest events of a hub are read',
  why: 'cases share one hub, and each would read those of others',
  byHand: 'once the platform runs, the chart of a machine goes on after a start',
};

/**
 * Opens what sends and what receives, and has leases of its own: nothing is sent, as a hub cannot be told whose event is meant for nobody. Who
 * reads without an owner level takes a partition from nobody.
 */
export async function verifyEventHubsEventStream(
  settings: EventHubsEventStreamConfig,
  { run, provision, get }: VerificationTools,
): Promise<Verification> {
  const own = provision ? new OwnHub(settings, run, () => get('checkpointStore')) : undefined;
  const { streams, tailConsumerGroup, checkpointContainer, checkpointPrefix } = settings;
  const client = await openEventHubs(settings);
  const blobs = await openLeaseBlobs(settings);
  const hubs = Object.values(streams);
  const checks = [
    ...hubs.flatMap((hub) => [
      readingCheck(client, hub, tailConsumerGroup),
      { name: `${hub} may be sent to, as much as the largest event at once`, run: () => checkSender(client, hub) },
    ]),
    leasesCheck(blobs, run),
    ...(own ? [own.check(client)] : []),
  ];
  return {
    makes: `a lease of a name of its own, ${VERIFICATION_MARK}/${run}, below ${checkpointPrefix} in container ${checkpointContainer}${own ? `; ${own.makes}` : ''}`,
    needs: `${needsOf(hubs, checkpointContainer, settings)}${own ? `; ${own.needs}` : ''}`,
    contracts: [
      deployedChecks('event-stream', checks, [
        {
          name: 'the hubs have a consumer group for each group of the services',
          why: 'the services say which, when they start',
          byHand: 'start the platform: it names the one that is missing, and does not start',
        },
        {
          name: 'the hubs keep events as long as the site reckons with',
          why: 'Event Hubs tells its retention to those alone who manage it',
          byHand: `\`az eventhubs eventhub show --query retentionDescription\`: ${settings.retentionMs / 3_600_000} h or more`,
        },
        ...(own ? [TAIL_NOT_CHECKED] : [DELIVERY_NOT_CHECKED]),
      ]),
      ...(own ? ownStreamContracts(() => own.forCase()) : []),
    ],
    sweep: (isOver) => sweepLeases(blobs, isOver),
    close: () => client.close(),
  };
}

/** What the role must be for reading and sending, and for leases. */
export function needsOf(hubs: readonly string[], container: string, { namespace }: EventHubsPlace): string {
  const where = namespace === undefined ? '' : ` of ${namespace}`;
  return `the roles Azure Event Hubs Data Sender and Data Receiver on ${hubs.join(', ')}${where}; Storage Blob Data Contributor on container ${container}`;
}

export function readingCheck(client: EventHubsClient, hub: string, consumerGroup: string): DeployedCheck {
  return {
    name: `${hub} is there, and is read by ${consumerGroup}`,
    run: async () => {
      await client.partitionCount(hub);
      if (!(await hasConsumerGroup(client, hub, consumerGroup, undefined)))
        throw new PortError('failed_precondition', `the hub ${hub} has no consumer group ${consumerGroup}`);
    },
  };
}

async function checkSender(client: EventHubsClient, hub: string): Promise<void> {
  const batch = await client.openBatch(hub, 0);
  if (!batch.tryAdd({ body: Buffer.alloc(LARGEST_EVENT_BYTES), properties: {} }))
    throw new PortError(
      'failed_precondition',
      `the hub ${hub} takes less than ${LARGEST_EVENT_BYTES} bytes at once: its namespace must be of the tier Standard or above`,
    );
}

export function leasesCheck(blobs: LeaseBlobs, run: string): DeployedCheck {
  return {
    name: 'a lease is taken by one, and lost where another changed it',
    run: async () => {
      const name = `${VERIFICATION_MARK}/${run}`;
      const taken = await blobs.put(name, { holder: 'one' }, { ifNoneMatch: '*' });
      assert.ok(taken !== undefined, 'a lease that nobody has is not taken');
      assert.equal(await blobs.put(name, { holder: 'another' }, { ifNoneMatch: '*' }), undefined, 'it is taken twice');
      const changed = await blobs.put(name, { holder: 'another' }, { ifMatch: taken });
      assert.ok(changed !== undefined, 'a lease is not renewed');
      assert.equal(await blobs.put(name, { holder: 'one' }, { ifMatch: taken }), undefined, 'it is not lost');
      const [listed] = await blobs.list(name);
      assert.deepEqual(listed?.metadata, { holder: 'another' });
      await blobs.delete(name);
      assert.deepEqual(await blobs.list(name), []);
    },
  };
}

export async function sweepLeases(blobs: LeaseBlobs, isOver: (run: string) => boolean): Promise<number> {
  const left = (await blobs.list(`${VERIFICATION_MARK}/`)).filter(({ name }) => wasLeft(name, isOver));
  for (const { name } of left) await blobs.delete(name);
  return left.length;
}
