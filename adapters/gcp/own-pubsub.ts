import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { VERIFICATION_MARK, wasLeft } from '#core/contracts/verification.ts';
import type { MachineKey } from '#core/domain/ids.ts';
import type { CheckpointStore } from '#core/ports/checkpoint-store.ts';
import type { MeasuredStream } from '#core/ports/event-stream.ts';
import { cloudCall } from '../cloud-call.ts';
import type { OwnStream } from '../own-stream.ts';
import { loadSdk } from '../sdk.ts';
import { unless } from '../unless.ts';
import { waitFor } from '../wait-for.ts';
import { codeOfGcpError } from './gcp-errors.ts';
import type { PubsubEventStreamConfig } from './pubsub-event-stream/config.ts';
import { laneOf } from './pubsub-event-stream/lane.ts';
import { PubsubEventStream } from './pubsub-event-stream/pubsub-event-stream.ts';

const LANES = 4096;
/** The shortest that there is. */
const ACK_DEADLINE_S = 10;
/** The machines of a case. */
const MACHINES = ['poisoned', 'large', ...Array.from({ length: 20 }, (_, index) => `m${index}`)];

/** Each one attempt; what they throw is a PortError. */
interface OwnCalls {
  readonly makeTopic: (name: string) => Promise<unknown>;
  readonly deleteTopic: (name: string) => Promise<unknown>;
  readonly deleteSubscription: (name: string) => Promise<unknown>;
  readonly topics: () => Promise<readonly string[]>;
  readonly subscriptions: () => Promise<readonly string[]>;
  readonly close: () => Promise<void>;
}

/** A topic for each case, with its subscriptions. */
export class OwnPubsub {
  readonly #place: PubsubEventStreamConfig;
  readonly #run: string;
  readonly #calls: OwnCalls;
  readonly #checkpoints: () => Promise<CheckpointStore>;
  #cases = 0;
  #clients = 0;

  static async open(
    place: PubsubEventStreamConfig,
    run: string,
    checkpoints: () => Promise<CheckpointStore>,
  ): Promise<OwnPubsub> {
    return new OwnPubsub(place, run, await openCalls(place), checkpoints);
  }

  private constructor(
    place: PubsubEventStreamConfig,
    run: string,
    calls: OwnCalls,
    checkpoints: () => Promise<CheckpointStore>,
  ) {
    this.#place = place;
    this.#run = run;
    this.#calls = calls;
    this.#checkpoints = checkpoints;
  }

  get makes(): string {
    return `a topic ${VERIFICATION_MARK}-${this.#run}-* with its subscriptions at a time`;
  }

  async forCase(): Promise<OwnStream<MeasuredStream>> {
    const topicPrefix = `${VERIFICATION_MARK}-${this.#run}-${++this.#cases}-`;
    const { deadLetterTopic: _, ...place } = this.#place;
    const settings = { ...place, topicPrefix, lanes: LANES, ackDeadlineSeconds: ACK_DEADLINE_S };
    const checkpoints = await this.#checkpoints();
    await this.#calls.makeTopic(`${topicPrefix}metrics`);
    return {
      settings: { ...settings, source: 'killed' },
      processes: join(import.meta.dirname, 'pubsub-event-stream/processes'),
      suffix: suffixOfOwnLanes(),
      open: () => PubsubEventStream.open({ ...settings, source: `client-${++this.#clients}` }, { checkpoints }),
      remove: () => this.sweep((run) => run === this.#run),
    };
  }

  /** A subscription outlives its topic. */
  async sweep(isOver: (run: string) => boolean): Promise<number> {
    const { topics, deleteTopic, subscriptions, deleteSubscription } = this.#calls;
    const isLeft = (name: string) => name.startsWith(VERIFICATION_MARK) && wasLeft(name, isOver);
    const ofSubscriptions = (await subscriptions()).filter(isLeft);
    for (const name of ofSubscriptions) await unless('not_found', deleteSubscription(name));
    const ofTopics = (await topics()).filter(isLeft);
    for (const name of ofTopics) await unless('not_found', deleteTopic(name));
    return ofSubscriptions.length + ofTopics.length;
  }

  close(): Promise<void> {
    return this.#calls.close();
  }
}

/** With it none of a case's machines is in the lane of another: they would wait for, and fail with, each other. */
export function suffixOfOwnLanes(): string {
  for (;;) {
    const suffix = randomUUID().slice(0, 8);
    const lanes = MACHINES.map((machine) => laneOf(`north-${suffix}/akron/${machine}` as MachineKey, LANES));
    if (new Set(lanes).size === MACHINES.length) return suffix;
  }
}

async function openCalls({ projectId, emulatorEndpoint, timeoutMs }: PubsubEventStreamConfig): Promise<OwnCalls> {
  const { PubSub } = await loadSdk('Google Cloud', () => import('@google-cloud/pubsub'));
  const pubsub = new PubSub({
    projectId,
    ...(emulatorEndpoint !== undefined && { apiEndpoint: emulatorEndpoint, emulatorMode: true }),
  });
  const call = <Result>(what: string, make: () => Promise<Result>) =>
    cloudCall({ what: `${what} of project ${projectId}`, timeoutMs }, codeOfGcpError, (signal) =>
      waitFor(make(), signal),
    );
  const namesOf = (found: readonly { readonly name: string }[]) =>
    found.map(({ name }) => name.slice(name.lastIndexOf('/') + 1));
  return {
    makeTopic: (name) => call(`make topic ${name}`, () => pubsub.createTopic(name)),
    deleteTopic: (name) => call(`delete topic ${name}`, () => pubsub.topic(name).delete()),
    deleteSubscription: (name) => call(`delete subscription ${name}`, () => pubsub.subscription(name).delete()),
    topics: () => call('list topics', async () => namesOf((await pubsub.getTopics())[0])),
    subscriptions: () => call('list subscriptions', async () => namesOf((await pubsub.getSubscriptions())[0])),
    close: () => pubsub.close(),
  };
}
