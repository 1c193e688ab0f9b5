import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { afterAll, beforeAll } from '@jest/globals';
import {
  eventStreamContract,
  measuredStreamContract,
  readableTailContract,
} from '#core/contracts/event-stream.contract.ts';
import { PortError } from '#core/errors.ts';
import { Kafka } from '#test/peers/kafka.ts';
import { checkpointsInFolder } from '#test/support/checkpoints-in-folder.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import { ownStreamHarness } from '../../own-stream.ts';
import type { KafkaClient } from './client.ts';
import { kafkaEventStreamConfigSchema } from './config.ts';
import { KafkaEventStream } from './kafka-event-stream.ts';

const PARTITIONS = 4;
let kafka: Kafka;

beforeAll(async () => {
  kafka = await Kafka.start();
}, 300_000);

afterAll(() => kafka[Symbol.asyncDispose]());

async function makeHarness() {
  const config = kafkaEventStreamConfigSchema.parse({
    ...{ brokers: [kafka.broker], tls: false, prefix: `t${randomUUID().slice(0, 8)}.`, streams: ['metrics'] },
    ...{ sessionTimeoutMs: 3000, commitIntervalMs: 50, accountEveryMs: 100 },
  });
  await kafka.createTopics([`${config.prefix}metrics`], { partitions: PARTITIONS });
  const checkpoints = await checkpointsInFolder();
  const faults = new ProduceFaults();
  const open = () =>
    KafkaEventStream.open(config, { checkpoints: checkpoints.store, client: (client) => faults.around(client) });
  const first = await open();
  return ownStreamHarness(
    {
      ...{ settings: config, processes: join(import.meta.dirname, 'processes') },
      suffix: faults.suffixWhereSomeFail(),
      open,
      remove: async () => {
        await first.close();
        await checkpoints[Symbol.asyncDispose]();
      },
    },
    { patienceMs: 60_000, failNextPublish: (indexes) => faults.failNext(indexes) },
  );
}

describeContract(eventStreamContract, 'Kafka (Apache 4.1, KRaft)', makeHarness);
describeContract(measuredStreamContract, 'Kafka (Apache 4.1, KRaft)', makeHarness);
describeContract(readableTailContract, 'Kafka (Apache 4.1, KRaft)', makeHarness);

/** Lets a broker refuse some partitions once. Kafka refuses by partition, so the contract's machines that fail need partitions without the others. */
class ProduceFaults {
  #client: KafkaClient | undefined;
  #suffix = '';
  readonly #failing = new Set<number>();

  around(client: KafkaClient): KafkaClient {
    this.#client ??= client;
    return new Proxy(client, {
      get: (target, name: keyof KafkaClient) => {
        if (name !== 'produce') return target[name].bind(target);
        const produce: KafkaClient['produce'] = (topic, partition, records) =>
          this.#failing.delete(partition)
            ? Promise.reject(new PortError('unavailable', `partition ${partition} has no leader`))
            : target.produce(topic, partition, records);
        return produce;
      },
    });
  }

  /** A suffix with which the machines m2 and m7 of the contract share their partitions with none of m0 to m9. */
  suffixWhereSomeFail(): string {
    for (;;) {
      this.#suffix = randomUUID().slice(0, 8);
      const places = Array.from({ length: 10 }, (_, machine) => this.#partitionOf(machine));
      const isAlone = (machine: number): boolean =>
        places.every((place, other) => other === machine || other === 2 || other === 7 || place !== places[machine]);
      if (isAlone(2) && isAlone(7)) return this.#suffix;
    }
  }

  failNext(machines: readonly number[]): void {
    for (const machine of machines) this.#failing.add(this.#partitionOf(machine));
  }

  #partitionOf(machine: number): number {
    return this.#client!.partitionOf(Buffer.from(`north-${this.#suffix}/akron/m${machine}`), PARTITIONS);
  }
}
