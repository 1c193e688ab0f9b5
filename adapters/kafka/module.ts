import { provide, type Offer } from '../provider-module.ts';
import { kafkaEventStreamConfigSchema } from './kafka-event-stream/config.ts';
import { KafkaEventStream } from './kafka-event-stream/kafka-event-stream.ts';

/** What a site may have of Kafka, and of what speaks its protocol. */
export const kafkaOffers: readonly Offer[] = [
  provide(
    'eventStream',
    'kafka-event-stream',
    kafkaEventStreamConfigSchema,
    async (settings, { closing, get }) =>
      closing(await KafkaEventStream.open(settings, { checkpoints: await get('checkpointStore') })),
    async (settings, tools) => (await import('./verifications.ts')).verifyKafkaEventStream(settings, tools),
  ),
];
