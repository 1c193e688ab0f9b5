import { Construct } from 'constructs';
import { ProjectIamCustomRole } from '@cdktf/provider-google/lib/project-iam-custom-role/index.js';
import { ProjectIamMember } from '@cdktf/provider-google/lib/project-iam-member/index.js';
import { PubsubSubscription } from '@cdktf/provider-google/lib/pubsub-subscription/index.js';
import { PubsubTopicIamMember } from '@cdktf/provider-google/lib/pubsub-topic-iam-member/index.js';
import { PubsubTopic } from '@cdktf/provider-google/lib/pubsub-topic/index.js';
import { bytesPerS } from '../../core/decision/demand.ts';
import type { GcpStack } from './gcp-stack.ts';
import type { EventStreamSection } from './ports.ts';
import type { SecondKeys } from './second-keys.ts';

const HOUR_MS = 3_600_000;
const HOUR_S = 3600;
/** The adapter's own number of lanes, and what each takes. */
const FEWEST_LANES = 64;
const LANE_BYTES_A_S = 1e6;
/** A machine's share of a stream may be far above the mean. */
const LANES_HEADROOM = 4;
/** What was delivered too often is kept so long for somebody to look at. */
const DEAD_LETTERS_KEPT_S = 7 * 86_400;
const DEAD_LETTERS = 'dead-letters';

/**
 * The platform's streams as topics. Groups' subscriptions are made by the services when they first ask for them, as the groups are theirs. Events that
 * are delivered too often go to a topic of their own, which is read by whoever looks into them.
 */
export class PubsubEventStream extends Construct {
  /** By the platform's name of them. */
  readonly topics: ReadonlyMap<string, PubsubTopic>;
  /** The subscription that keeps what was delivered too often. */
  readonly deadLetters: PubsubSubscription;
  readonly section: EventStreamSection;

  constructor(
    scope: GcpStack,
    id: string,
    { keyName, second }: { readonly keyName: string; readonly second: SecondKeys | undefined },
  ) {
    super(scope, id);
    const { demand, environment, names, region, isProtected } = scope.site;
    const topicPrefix = `${names.base}-`;
    const { streamHours } = environment.retention;
    const topic = (name: string, keptS?: number) =>
      new PubsubTopic(this, name, {
        name: `${topicPrefix}${name}`,
        kmsKeyName: second?.continent.keyName ?? keyName,
        // What is published is kept where it came in: in the second region once publishers are there.
        messageStoragePolicy: { allowedPersistenceRegions: [region, ...(second ? [second.place.region] : [])] },
        // What a group has settled is kept, too: a database that went back in time is sent it again (docs/dr.md).
        ...(keptS !== undefined && { messageRetentionDuration: `${keptS}s` }),
        lifecycle: { preventDestroy: isProtected },
      });
    this.topics = new Map(demand.streams.map(({ stream }) => [stream, topic(stream, streamHours * HOUR_S)]));
    const deadLetterTopic = topic(DEAD_LETTERS);
    this.deadLetters = new PubsubSubscription(this, 'to-look-at', {
      name: `${deadLetterTopic.nameInput}.operators`,
      topic: deadLetterTopic.id,
      messageRetentionDuration: `${DEAD_LETTERS_KEPT_S}s`,
      ackDeadlineSeconds: 60,
      // Else one that nobody reads for a month is forgotten.
      expirationPolicy: { ttl: '' },
    });
    new PubsubTopicIamMember(this, 'dead-letters-writer', {
      topic: deadLetterTopic.name,
      role: 'roles/pubsub.publisher',
      member: scope.serviceAgent('pubsub'),
    });
    this.#letMove(scope);
    const peaks = demand.streams.map((flow) => bytesPerS(flow) * demand.peakFactor);
    this.section = {
      topicPrefix,
      retentionMs: streamHours * HOUR_MS,
      lanes: Math.max(FEWEST_LANES, Math.ceil((Math.max(...peaks) * LANES_HEADROOM) / LANE_BYTES_A_S)),
      deadLetterTopic: deadLetterTopic.name,
    };
  }

  /** What Pub/Sub moves to the dead letters it has to take off the groups' subscriptions, which are not there yet. */
  #letMove(scope: GcpStack): void {
    const { names } = scope.site;
    const role = new ProjectIamCustomRole(this, 'move', {
      roleId: names.underscored('dead-letters', 64),
      title: names.of('dead-letters', 100),
      description: 'Moves what was delivered too often',
      permissions: ['pubsub.subscriptions.consume'],
      stage: 'GA',
    });
    new ProjectIamMember(this, 'mover', {
      project: scope.project,
      role: role.name,
      member: scope.serviceAgent('pubsub'),
    });
  }
}
