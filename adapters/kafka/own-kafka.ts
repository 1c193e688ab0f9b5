import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { VERIFICATION_MARK, wasLeft } from '#core/contracts/verification.ts';
import type { CheckpointStore } from '#core/ports/checkpoint-store.ts';
import type { MeasuredStream, ReadableTail } from '#core/ports/event-stream.ts';
import type { OwnStream } from '../own-stream.ts';
import type { KafkaClient } from './kafka-event-stream/client.ts';
import type { KafkaEventStreamConfig } from './kafka-event-stream/config.ts';
import { KafkaEventStream } from './kafka-event-stream/kafka-event-stream.ts';

const PARTITIONS = 4;
/** The shortest that brokers take unless they are told otherwise is 6 s. */
const SESSION_MS = 10_000;

/** A topic for each case, with the groups that read it. */
export class OwnKafka {
  readonly #client: KafkaClient;
  readonly #place: KafkaEventStreamConfig;
  readonly #run: string;
  readonly #checkpoints: () => Promise<CheckpointStore>;
  #cases = 0;

  constructor(
    client: KafkaClient,
    place: KafkaEventStreamConfig,
    run: string,
    checkpoints: () => Promise<CheckpointStore>,
  ) {
    this.#client = client;
    this.#place = place;
    this.#run = run;
    this.#checkpoints = checkpoints;
  }

  get makes(): string {
    return `a topic ${this.#prefixOf('*')}metrics of ${PARTITIONS} partitions and its groups at a time, with the brokers' own settings`;
  }

  get needs(): string {
    return `Create and Delete on topics ${this.#place.prefix}${VERIFICATION_MARK}*`;
  }

  async forCase(): Promise<OwnStream<MeasuredStream & ReadableTail>> {
    const prefix = this.#prefixOf(String(++this.#cases));
    const { topics: _, ...place } = this.#place;
    const settings: KafkaEventStreamConfig = {
      ...place,
      ...{ prefix, streams: ['metrics'] },
      sessionTimeoutMs: Math.min(place.sessionTimeoutMs, SESSION_MS),
    };
    const checkpoints = await this.#checkpoints();
    await this.#client.makeTopic({ topic: `${prefix}metrics`, partitions: PARTITIONS, settings: {} });
    return {
      settings,
      processes: join(import.meta.dirname, 'kafka-event-stream/processes'),
      suffix: randomUUID().slice(0, 8),
      open: () => KafkaEventStream.open(settings, { checkpoints }),
      remove: () => this.sweep((run) => run === this.#run),
    };
  }

  /** Topics; groups are the verification's. */
  async sweep(isOver: (run: string) => boolean): Promise<number> {
    const left = (await this.#client.topicNames()).filter(
      (name) => name.startsWith(this.#place.prefix) && wasLeft(name, isOver),
    );
    for (const name of left) await this.#client.deleteTopic(name);
    return left.length;
  }

  #prefixOf(name: string): string {
    return `${this.#place.prefix}${VERIFICATION_MARK}-${this.#run}-${name}.`;
  }
}
