import { STREAMS } from '#core/domain/event.ts';
import { Kafka } from '../kafka.ts';
import { Moto } from '../moto.ts';
import { Postgres } from '../postgres.ts';
import { inPostgres } from './in-postgres.ts';
import { makeBucket } from './moto-bucket.ts';
import { siteOn, type Site } from './site.ts';

const PARTITIONS = 4;

/** What every cloud can run: Kafka, PostgreSQL, and a store that speaks S3's protocol. */
export function kafkaSite(): Promise<Site> {
  return siteOn([Kafka.start(), Postgres.start(), Moto.start()], async ([kafka, postgres, moto]) => {
    await makeTopics(kafka);
    return { ports: { ...kafkaPorts(kafka.broker, await makeBucket(moto)), postgres: postgres.freshConnection() } };
  });
}

/** Those of the platform's streams. */
export function makeTopics(kafka: Kafka): Promise<void> {
  const topics = STREAMS.map((stream) => `tribo.${stream}`);
  return kafka.createTopics(topics, { partitions: PARTITIONS });
}

/** Settings of the site but those of PostgreSQL. */
export function kafkaPorts(broker: string, bucket: object) {
  return {
    kafka: kafkaSettings(broker),
    eventStream: 'kafka',
    objectStore: { adapter: 'aws', ...bucket },
    ...inPostgres(),
  };
}

/** How a site's services find the broker. */
export function kafkaSettings(broker: string) {
  return { brokers: [broker], tls: false, sessionTimeoutMs: 3000 };
}
