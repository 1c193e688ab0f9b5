import { z } from 'zod';
import { judgedOnceRead } from '#adapters/judged-once-read.ts';
import { isLoopback } from '#adapters/loopback.ts';
import { STREAMS } from '#core/domain/event.ts';

const WEEK_MS = 604_800_000;

/** How the client shows who it is. A secret is named by its environment variable or file, never given here. */
const saslSchema = z.discriminatedUnion('mechanism', [
  /** User and password; Event Hubs' Kafka endpoint: the user `$ConnectionString`, with the connection string as the password. */
  z.strictObject({
    mechanism: z.enum(['plain', 'scram-sha-256', 'scram-sha-512']),
    username: z.string().min(1),
    passwordVariable: z.string().regex(/^[A-Z_][A-Z0-9_]*$/),
  }),
  /** A token, read again from the file at each connection and renewal: what a workload identity or an agent beside the service keeps fresh. */
  z.strictObject({ mechanism: z.literal('oauthbearer'), tokenFile: z.string().min(1) }),
  /** MSK's IAM: a token signed with the credentials of the AWS SDK's default chain. */
  z.strictObject({ mechanism: z.literal('aws-msk-iam'), region: z.string().min(1) }),
  /** Google's Managed Service for Apache Kafka: an access token of the service account of Application Default Credentials. */
  z.strictObject({ mechanism: z.literal('gcp-managed-kafka') }),
  /** Event Hubs' Kafka endpoint: a token of DefaultAzureCredential, which is for this namespace alone: `plant-1.servicebus.windows.net`. */
  z.strictObject({
    mechanism: z.literal('azure-event-hubs'),
    namespace: z.string().regex(/^[A-Za-z0-9-]+(\.[a-z0-9-]+)+$/, 'must be a host, without https:// and port'),
  }),
]);

const ownCertificateShape = { certificateFile: z.string().optional(), keyFile: z.string().optional() };

/** By which brokers a stream is reached, and how. */
const reachShape = {
  brokers: z.array(z.string().regex(/^[^\s:,]+:\d{1,5}$/, 'must be host:port')).min(1),
  /**
   * `false`: with brokers on this host alone. `off-in-private-network`: whoever writes it knows that nobody else hears that network. Files: where the
   * brokers' certificates are not of a public authority, or want one of the client.
   */
  tls: z
    .union([
      z.boolean(),
      z.literal('off-in-private-network'),
      z
        .strictObject({ caFile: z.string().optional(), ...ownCertificateShape })
        .refine(({ certificateFile, keyFile }) => (certificateFile === undefined) === (keyFile === undefined), {
          error: 'a certificate needs its key, and a key its certificate: give both files',
          path: ['keyFile'],
          ...judgedOnceRead(ownCertificateShape),
        }),
    ])
    .default(true),
};

/** Where a stream is a topic of Kafka or of a service that speaks its protocol: MSK, Event Hubs' Kafka endpoint, Managed Service for Apache Kafka. */
export const kafkaEventStreamConfigSchema = z
  .strictObject({
    brokers: reachShape.brokers,
    /** Name of this publisher in the events' envelope. */
    source: z
      .string()
      .regex(/^[A-Za-z0-9_.-]{1,64}$/)
      .default('kafka'),
    /** The topic of the stream `metrics` is this and `metrics`; so begin the names of consumer groups, too. */
    prefix: z
      .string()
      .regex(/^[A-Za-z0-9_.-]{1,64}$/)
      .default('tribo.'),
    /** The streams that exist. Their topics are made with the site, unless `topics` says otherwise. */
    streams: z
      .array(z.enum(STREAMS))
      .min(1)
      .default([...STREAMS]),
    /** What is missing of them is made as the stream opens, for brokers whose topics nothing else makes, as MSK's; one that is there is left as it is. */
    topics: z
      .strictObject({
        /** By stream; of one that is not named here nothing is made. */
        partitions: z.partialRecord(z.enum(STREAMS), z.int().min(1).max(1000)),
        /** Of each partition; all but one of them have to have what is published. */
        replicas: z.int().min(1).max(15).default(3),
      })
      .optional(),
    /** The topics' `retention.ms`, by which a group's lag is judged. */
    retentionMs: z.int().min(60_000).max(WEEK_MS).default(WEEK_MS),
    tls: reachShape.tls,
    sasl: saslSchema.optional(),
    /** How long one call may take. */
    timeoutMs: z.int().min(100).max(300_000).default(30_000),
    /** A consumer that is not heard of for so long loses its partitions: within the broker's `group.min.session.timeout.ms` and its maximum. */
    sessionTimeoutMs: z.int().min(500).max(300_000).default(45_000),
    /** How often a group's progress is committed while it advances: what a crash may deliver again. */
    commitIntervalMs: z.int().min(10).max(60_000).default(500),
    /** How often a publisher says what it made durable: what one that is killed leaves unsaid. */
    accountEveryMs: z.int().min(10).max(60_000).default(1_000),
    /** Payload bytes handed over by `publish` but not yet durable, a stream; beyond it publish is refused. */
    maxPendingBytes: z.int().min(1_048_576).default(33_554_432),
    /** A subscription stops reading ahead when more waits behind failed events. */
    maxHeldEvents: z.int().min(1).default(10_000),
    maxHeldBytes: z.int().min(1_048_576).default(16_777_216),
  })
  .refine(({ brokers, tls }) => tls !== false || brokers.every((broker) => isLoopback(hostOf(broker))), {
    error:
      'false goes to brokers on this host alone: leave it out, or say off-in-private-network where nobody else hears the network between',
    path: ['tls'],
    ...judgedOnceRead(reachShape),
  });

export type KafkaEventStreamConfig = z.infer<typeof kafkaEventStreamConfigSchema>;

/** Of `host:port`. */
function hostOf(broker: string): string {
  return broker.slice(0, broker.lastIndexOf(':'));
}
