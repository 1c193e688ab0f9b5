import { describe, expect, it } from '@jest/globals';
import { kafkaEventStreamConfigSchema } from './config.ts';

describe('the connections to the brokers', () => {
  it.each([
    ['TLS, unless told otherwise', { brokers: ['b-1.akron.example:9094'] }],
    ['in clear on loopback', { brokers: ['127.0.0.1:9092', 'localhost:9093'], tls: false }],
    [
      'in clear in a network that is said to be heard by nobody else',
      { brokers: ['kafka:9092'], tls: 'off-in-private-network' },
    ],
  ])('may be %s', (_what, given) => {
    expect(kafkaEventStreamConfigSchema.safeParse(given).error).toBeUndefined();
  });

  it.each([[['b-1.akron.example:9094']], [['10.0.0.1:9092']], [['127.0.0.1:9092', 'kafka:9092']]])(
    'are refused in clear to %j',
    (brokers) => {
      expect(kafkaEventStreamConfigSchema.safeParse({ brokers, tls: false }).error?.issues).toMatchObject([
        { path: ['tls'], message: expect.stringContaining('off-in-private-network') },
      ]);
    },
  );
});
