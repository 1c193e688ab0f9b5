import {
  deployedChecks,
  sweepEach,
  Unchecked,
  VERIFICATION_MARK,
  wasLeft,
  type DeployedCheck,
  type Verification,
  type VerificationTools,
} from '#core/contracts/verification.ts';
import { PortError } from '#core/errors.ts';
import { ownStreamContracts, ownTailContract } from '../own-stream.ts';
import { checkRetention, DELIVERY_NOT_CHECKED, LARGEST_EVENT_BYTES } from '../stream-verification.ts';
import { openKafka, type KafkaClient } from './kafka-event-stream/client.ts';
import type { KafkaEventStreamConfig } from './kafka-event-stream/config.ts';
import { OwnKafka } from './own-kafka.ts';

/**
 * Reads the topics to their ends, asks what this client may do, and has a group of its own keep positions: nothing is published, as a topic
 * cannot be told whose record is meant for nobody.
 */
export async function verifyKafkaEventStream(
  settings: KafkaEventStreamConfig,
  { run, provision, get }: VerificationTools,
): Promise<Verification> {
  const { prefix, streams, brokers } = settings;
  const client = await openKafka(settings);
  const own = provision ? new OwnKafka(client, settings, run, () => get('checkpointStore')) : undefined;
  const topics = streams.map((stream) => `${prefix}${stream}`);
  const group = `${prefix}${VERIFICATION_MARK}-${run}`;
  return {
    makes: `the positions of a group ${group}${own ? `; ${own.makes}` : ''}, on ${brokers.join(', ')}`,
    needs: `${own ? `${own.needs}; ` : ''}Read, Write, Describe and DescribeConfigs on topics ${prefix}*; Read, Describe and Delete on groups ${prefix}*; Describe on the cluster to list groups`,
    contracts: [
      deployedChecks(
        'event-stream',
        [
          ...topics.flatMap((topic) => topicChecks(client, topic, settings)),
          { name: 'a group keeps its positions, and is forgotten', run: () => checkGroup(client, group, topics[0]!) },
        ],
        [
          {
            name: 'what is published outlives a broker',
            why: 'only its replicas tell, of which a site on one broker has one',
            byHand: '`kafka-topics --describe`: three replicas, and min.insync.replicas 2',
          },
          ...(own ? [] : [DELIVERY_NOT_CHECKED]),
        ],
      ),
      ...(own ? [...ownStreamContracts(() => own.forCase()), ownTailContract(() => own.forCase())] : []),
    ],
    sweep: (isOver) =>
      sweepEach([
        async () => (await own?.sweep(isOver)) ?? 0,
        async () => {
          const left = (await client.groupIds()).filter((id) => id.startsWith(prefix) && wasLeft(id, isOver));
          for (const id of left) await client.deleteGroup(id);
          return left.length;
        },
      ]),
    close: () => client.close(),
  };
}

function topicChecks(client: KafkaClient, topic: string, { retentionMs }: KafkaEventStreamConfig): DeployedCheck[] {
  return [
    { name: `${topic} is there, and is read to its end`, run: () => readToEnd(client, topic) },
    { name: `${topic} may be published to`, run: () => checkMayPublish(client, topic) },
    {
      name: `${topic} takes the largest events, and keeps all as long as the site reckons with`,
      run: async () => checkSettings(topic, await client.settingsOf(topic), retentionMs),
    },
  ];
}

async function readToEnd(client: KafkaClient, topic: string): Promise<void> {
  const count = await client.partitionCount(topic);
  const end = await client.offsets(topic, 'end');
  const reader = client.openReader(topic);
  try {
    for (const [leader, partitions] of await reader.byLeader(Array(count).keys())) {
      const positions = new Map(partitions.map((partition) => [partition, end.get(partition)!]));
      await reader.fetch(leader, positions, { maxWaitMs: 0 });
    }
  } finally {
    await reader.close();
  }
}

async function checkMayPublish(client: KafkaClient, topic: string): Promise<void> {
  const may = await client.mayPublish(topic);
  if (may === undefined)
    throw new Unchecked(
      'the brokers do not say what this client may do',
      `\`kafka-acls --list --topic ${topic}\`, or the roles of the service: Write for this client`,
    );
  if (!may) throw new PortError('permission_denied', `this client may not publish to ${topic}`);
}

function checkSettings(topic: string, settings: ReadonlyMap<string, string>, retentionMs: number): void {
  const numberOf = (name: string) => Number(settings.get(name) ?? Number.NaN);
  if (settings.get('cleanup.policy')?.includes('compact'))
    throw new PortError(
      'failed_precondition',
      `${topic} keeps the last record of each key alone: set its cleanup.policy to delete`,
    );
  if (numberOf('max.message.bytes') < LARGEST_EVENT_BYTES)
    throw new PortError(
      'failed_precondition',
      `${topic} takes ${settings.get('max.message.bytes')} bytes at once: set its max.message.bytes to ${LARGEST_EVENT_BYTES} or more`,
    );
  // -1: for ever.
  const keptMs = numberOf('retention.ms');
  if (keptMs !== -1) checkRetention(topic, keptMs, retentionMs);
}

async function checkGroup(client: KafkaClient, group: string, topic: string): Promise<void> {
  const end = await client.offsets(topic, 'end');
  await client.commitIdle(group, topic, end);
  const kept = await client.committed(group, topic);
  await client.deleteGroup(group);
  const after = await client.committed(group, topic);
  const isKept = kept.size === end.size && [...end].every(([partition, offset]) => kept.get(partition) === offset);
  if (!isKept || after.size > 0)
    throw new PortError('data_loss', `the group ${group} does not keep its positions, or keeps them for ever`);
}
