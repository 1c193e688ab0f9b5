import type { Clock } from '#core/clock.ts';
import { BackgroundWork } from '#core/delivery/background-work.ts';
import { deliverWindow } from '#core/delivery/deliver-window.ts';
import { DeliveryWindow, type DeliveryLimits } from '#core/delivery/delivery-window.ts';
import { SettledBefore } from '#core/delivery/settled-before.ts';
import { PortError } from '#core/errors.ts';
import type { BatchHandler, Progress, Subscription } from '#core/ports/event-stream.ts';
import type { Generation, GroupMember, KafkaClient, PartitionReader } from './client.ts';
import { kafkaError } from '../kafka-errors.ts';
import { PartitionBuffers } from './partition-buffers.ts';
import { ProgressCommitter } from './progress-committer.ts';

/** A member that is silent for its session loses its partitions: it stops waiting for a handler when so much of that is over. */
const REVOCATION_SHARE = 0.7;
/** A group has been divided anew after one session, when those who do not answer are out of it: a member that hears nothing for so many joins again. */
const ASSIGNED_WITHIN_SESSIONS = 3;

export interface GroupSubscriptionOptions {
  readonly client: KafkaClient;
  readonly clock: Clock;
  readonly topic: string;
  readonly groupId: string;
  readonly handler: BatchHandler;
  readonly limits: DeliveryLimits;
  readonly resumeAfter: readonly Progress[] | undefined;
  readonly sessionTimeoutMs: number;
  readonly commitIntervalMs: number;
  /** Told of what failed in the background and is tried again. */
  readonly onFailure: (error: unknown) => void;
}

/**
 * Delivers a topic to one member of a group. When the group changes, the member finishes the batch that is out and commits before it
 * answers, so that whoever gets a partition goes on behind it. A handler that takes too long for that is told to stop, and what it then
 * acknowledges is no longer committed: its events are somebody else's.
 */
export class GroupSubscription implements Subscription {
  readonly #options: GroupSubscriptionOptions;
  readonly #work: BackgroundWork;
  #tenure: Tenure | undefined;
  /** Why the membership is over, where it ended by itself. */
  #failure: Failure | undefined;

  constructor(options: GroupSubscriptionOptions) {
    this.#options = options;
    this.#work = new BackgroundWork(() => this.#runMembership(), options.onFailure);
  }

  close(): Promise<void> {
    return this.#work.close();
  }

  async #runMembership(): Promise<void> {
    const { client, groupId, topic } = this.#options;
    this.#failure = undefined;
    const failed = (): Failure | undefined => this.#failure;
    const member = await client.joinGroup(groupId, topic, {
      beforeRejoin: () => this.#giveBack(),
      assigned: (generation) => {
        this.#tenure = new Tenure(generation);
        this.#work.sleeper.wake();
      },
      lost: (error) => {
        this.#failure = { error: kafkaError(`membership of ${groupId}`, error) };
        this.#tenure?.end();
        this.#work.sleeper.wake();
      },
    });
    try {
      while (!this.#work.isClosing && !failed()) {
        const tenure = this.#tenure;
        if (tenure && !tenure.isOver) await this.#deliverAll(tenure, member);
        else await this.#untilAssigned(failed);
      }
    } finally {
      this.#tenure = undefined;
      await member.close();
    }
    const failure = failed();
    if (failure) throw failure.error;
  }

  /** @throws PortError unavailable where that takes longer than a group can: the client has lost its way, and told nobody. */
  async #untilAssigned(failed: () => Failure | undefined): Promise<void> {
    const { clock, groupId, sessionTimeoutMs } = this.#options;
    const limitMs = sessionTimeoutMs * ASSIGNED_WITHIN_SESSIONS;
    const untilMs = clock.monotonicMs() + limitMs;
    const before = this.#tenure;
    while (this.#tenure === before && !this.#work.isClosing && !failed()) {
      const leftMs = untilMs - clock.monotonicMs();
      if (leftMs <= 0) {
        throw new PortError(
          'unavailable',
          `${groupId}: no partitions were assigned to this member for ${limitMs} ms; it joins again`,
        );
      }
      await this.#work.sleeper.sleep(leftMs);
    }
  }

  /** Resolves when nothing of the member's partitions is being worked on, or there is no more time to wait for it. */
  async #giveBack(): Promise<void> {
    const tenure = this.#tenure;
    if (!tenure) return;
    tenure.end();
    this.#work.sleeper.wake();
    let timer: NodeJS.Timeout | undefined;
    const outOfTime = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, this.#options.sessionTimeoutMs * REVOCATION_SHARE);
    });
    await Promise.race([tenure.finished, outOfTime]);
    clearTimeout(timer);
    tenure.fence();
  }

  async #deliverAll(tenure: Tenure, member: GroupMember): Promise<void> {
    const { client, topic } = this.#options;
    const reader = client.openReader(topic);
    const committer = new ProgressCommitter({
      intervalMs: this.#options.commitIntervalMs,
      commit: (positions) => member.commit(tenure.generation, positions),
      onFailure: (error) => tenure.isOver || this.#options.onFailure(error),
    });
    try {
      await this.#deliverFrom(tenure, reader, committer);
    } finally {
      tenure.end();
      await committer.close({ commits: !tenure.isFenced });
      tenure.finish();
      await reader.close();
    }
  }

  async #deliverFrom(tenure: Tenure, reader: PartitionReader, committer: ProgressCommitter): Promise<void> {
    const { clock, handler, limits, resumeAfter, onFailure } = this.#options;
    const { sleeper } = this.#work;
    const window = new DeliveryWindow(limits);
    const starts = await this.#startsOf(tenure.generation);
    const isOver = (): boolean => this.#work.isClosing || tenure.isOver;
    const buffers = new PartitionBuffers({
      ...{ reader, window, starts },
      onFailure: (error) => isOver() || onFailure(error),
      settled: new SettledBefore(resumeAfter),
      wake: () => sleeper.wake(),
    });
    await deliverWindow({
      ...{ window, handler, clock, isOver, sleeper },
      signal: AbortSignal.any([this.#work.signal, tenure.signal]),
      readAhead: () => {
        const batch = buffers.readAhead();
        buffers.refill();
        return batch;
      },
      hasMore: () => buffers.hasSome,
      onProgress: () => {
        if (!tenure.isFenced) committer.advance(buffers.checkpoints());
      },
    });
  }

  /** Where the group goes on: its committed positions, as far as the log still has them; of a partition that is new to it, the beginning. */
  async #startsOf({ partitions }: Generation): Promise<ReadonlyMap<number, bigint>> {
    const { client, topic, groupId, onFailure } = this.#options;
    const [committed, begin, end] = await Promise.all([
      client.committed(groupId, topic),
      client.offsets(topic, 'begin'),
      client.offsets(topic, 'end'),
    ]);
    return new Map(
      partitions.map((partition) => {
        const first = begin.get(partition) ?? 0n;
        const position = committed.get(partition) ?? first;
        if (position >= first && position <= (end.get(partition) ?? position)) return [partition, position];
        onFailure(
          new PortError(
            'data_loss',
            `${topic}: partition ${partition} no longer has what ${groupId} had still to read from ${position}; it goes on at ${first}. Give the topic a longer retention.`,
          ),
        );
        return [partition, first];
      }),
    );
  }
}

interface Failure {
  readonly error: Error;
}

/** The time for which partitions are this member's. */
class Tenure {
  readonly generation: Generation;
  readonly finished: Promise<void>;
  readonly finish: () => void;
  readonly #fence = new AbortController();
  #isOver = false;

  constructor(generation: Generation) {
    this.generation = generation;
    const { promise, resolve } = Promise.withResolvers<undefined>();
    this.finished = promise;
    this.finish = () => resolve(undefined);
  }

  /** No further batch is to go out. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** What is acknowledged from now on must not be committed. */
  get isFenced(): boolean {
    return this.#fence.signal.aborted;
  }

  get signal(): AbortSignal {
    return this.#fence.signal;
  }

  end(): void {
    this.#isOver = true;
  }

  fence(): void {
    this.#isOver = true;
    this.#fence.abort();
  }
}
