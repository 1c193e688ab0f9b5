import { z } from 'zod';
import { awsPlaceShape } from '../aws-place.ts';

const streamName = z.string().regex(/^[A-Za-z0-9_.-]{1,128}$/);

/** Where devices connect to AWS IoT Core, whose topic rules put what they send into Kinesis. All of it is made with the site: nothing here creates a part. */
export const iotCoreDeviceGatewayConfigSchema = z.strictObject({
  ...awsPlaceShape,
  /** Where commands are published: `https://` and what `aws iot describe-endpoint --endpoint-type iot:Data-ATS` says. */
  dataEndpoint: z.url(),
  /** The Kinesis stream of the topic rules, for them alone. */
  deviceStream: streamName,
  /** The one that takes what a rule could not put into the first. */
  errorStream: streamName.optional(),
  /** The table of DynamoDB for leases, checkpoints and commands, with the keys `pk` and `sk`, both strings. */
  stateTable: z.string().min(3).max(255),
  /** At most so many messages are offered to intake at a time. */
  maxBatchEvents: z.int().min(1).max(10_000).default(500),
  /** A message that intake refused is offered again after this. */
  offerAgainMs: z.int().min(1).default(250),
  /** How often a shard is read that had nothing more: a shard takes five reads a second. */
  pollMs: z.int().min(10).max(60_000).default(250),
  /** A process that is not heard of for so long loses its shards. */
  leaseMs: z.int().min(300).max(300_000).default(10_000),
  /** How often a shard's progress is saved while it advances: what a crash may offer to intake again. */
  checkpointIntervalMs: z.int().min(10).max(60_000).default(1_000),
  /** A shard is not read further while more of it waits behind what intake refused. */
  maxHeldEvents: z.int().min(1).default(10_000),
  maxHeldBytes: z.int().min(1_048_576).default(16_777_216),
  maxQueuedCommandsPerMachine: z.int().min(1).max(10_000).default(1000),
  /** A command that was sent less than this before its device was lost is sent again: one and a half times the keep-alive of the devices. */
  commandDoubtMs: z.int().min(0).default(90_000),
  /** The same for a device that said goodbye. */
  commandSettleMs: z.int().min(0).default(1_000),
  /** How long close() waits for messages at intake. */
  drainMs: z.int().min(0).default(5000),
});

export type IotCoreDeviceGatewayConfig = z.infer<typeof iotCoreDeviceGatewayConfigSchema>;
