import type { EventEmitter } from 'node:events';
import type * as Sdk from '@platformatic/kafka';
import type { Refusal } from '#core/delivery/partitioned-log.ts';
import { isRefusalToWrite, kafkaError } from '../kafka-errors.ts';
import type { OutgoingRecord } from './record-codec.ts';

/**
 * An idempotent producer of the SDK, which also tells whether the brokers surely have nothing of what it could not send. After whatever it could
 * not send the SDK has the brokers give it another id, and counts from 0 again: no sequence number of a refused batch is missing to what follows.
 *
 * It sends one thing at a time. What the SDK (2.12.1) has taken meanwhile, and waits to learn where to send, keeps the former id and counts from 0: a
 * broker that remembers a batch of that id with those numbers says that it has it, and writes nothing.
 */
export class RecordProducer {
  readonly #producer: Sdk.Producer;
  /** How many runs of attempts to write have ended so that the brokers may have what was sent. */
  #doubts = 0;
  #last: Promise<unknown> = Promise.resolve();

  constructor(producer: Sdk.Producer) {
    this.#producer = producer;
    // After a run that met another leader, or lost its sequence, the SDK (2.12.1) begins a second one, and what it throws tells of that alone.
    const events = producer as unknown as EventEmitter;
    events.on('client:performWithRetry:failed', (operation: string, _retries: number, errors: readonly unknown[]) => {
      if (operation === 'produce' && !errors.every(isRefusalToWrite)) this.#doubts++;
    });
  }

  /** Resolves once they are durable, or to a refusal. Rejects where nobody knows. */
  send(topic: string, partition: number, records: readonly OutgoingRecord[]): Promise<Refusal | undefined> {
    const sent = this.#last.then(() => this.#send(topic, partition, records));
    this.#last = sent.catch(() => undefined);
    return sent;
  }

  close(): Promise<void> {
    return this.#producer.close(true);
  }

  async #send(topic: string, partition: number, records: readonly OutgoingRecord[]): Promise<Refusal | undefined> {
    const doubtsBefore = this.#doubts;
    try {
      await this.#producer.send({ messages: records.map((record) => ({ ...record, topic, partition })) });
      return undefined;
    } catch (error) {
      const told = kafkaError(`publish to ${topic}`, error);
      if (isRefusalToWrite(error) && this.#doubts === doubtsBefore) return { refused: told };
      throw told;
    }
  }
}
