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
    await kafka.createTopics(
      STREAMS.map((stream) => `tribo.${stream}`),
      { partitions: PARTITIONS },
    );
    return {
      ports: {
        kafka: { brokers: [kafka.broker], tls: false, sessionTimeoutMs: 3000 },
        postgres: postgres.freshConnection(),
        eventStream: 'kafka',
        objectStore: { adapter: 'aws', ...(await makeBucket(moto)) },
        ...inPostgres(),
      },
    };
  });
}
