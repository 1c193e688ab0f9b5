import type { Clock } from '#core/clock.ts';
import { SettledBefore } from '#core/delivery/settled-before.ts';
import type { MachineKey } from '#core/domain/ids.ts';
import { PortError } from '#core/errors.ts';
import type { BatchHandler, Subscription } from '#core/ports/event-stream.ts';
import type { DeviceLogEvent } from '../../device-log-intake.ts';
import type { EventHubsClient, IncomingEvent } from '../event-hubs-event-stream/client.ts';
import { hasConsumerGroup, subscribeToPartitions } from '../event-hubs-event-stream/group-subscription.ts';
import type { LeaseBlobs } from '../event-hubs-event-stream/lease-blobs.ts';
import { PartitionLeases } from '../event-hubs-event-stream/partition-leases.ts';
import type { IotHubDeviceGatewayConfig } from './config.ts';
import { parseDeviceRecord, type DeviceRecord } from './device-record.ts';

/** Holds back those of its device, machine and kind while it is refused. */
type RecordEvent = DeviceLogEvent<DeviceRecord>;

export interface RecordSourceParts {
  readonly config: IotHubDeviceGatewayConfig;
  readonly hubs: EventHubsClient;
  readonly blobs: LeaseBlobs;
  readonly clock: Clock;
  /** Its batches are of {@link DeviceLogEvent}. */
  readonly handler: BatchHandler;
  readonly onFailure: (error: unknown) => void;
}

const GROUP = 'intake';
const MAX_BATCH_BYTES = 4 * 2 ** 20;

/**
 * Reads the event hub of the routes from its oldest event on, shared with the other gateways of the site; goes on where it was settled.
 * @throws PortError failed_precondition where there is no such hub or consumer group.
 */
export async function readRecords(parts: RecordSourceParts, signal?: AbortSignal): Promise<Subscription> {
  const { config, hubs, blobs, clock, handler, onFailure } = parts;
  const { eventHub: hub, consumerGroup, leaseMs, checkpointIntervalMs, receiveWaitMs } = config;
  const partitions = await partitionsOf(parts, signal);
  const leases = new PartitionLeases(blobs, hub, GROUP);
  const known = new Set((await leases.list(signal))?.map(({ partition }) => partition));
  for (let partition = 0; partition < partitions; partition++)
    if (!known.has(partition)) await leases.create(partition, -1, signal);
  await leases.declare(signal);
  const { maxBatchEvents, maxHeldEvents, maxHeldBytes } = config;
  const limits = { maxBatchEvents, maxBatchBytes: MAX_BATCH_BYTES, maxHeldEvents, maxHeldBytes };
  const consumer = hubs.openConsumer(hub, consumerGroup);
  const settled = new SettledBefore();
  const delivery = { clock, hub, consumer, limits, settled, decode, handler, receiveWaitMs, onFailure };
  return subscribeToPartitions(delivery, { leases, leaseMs, checkpointIntervalMs });
}

async function partitionsOf({ config, hubs }: RecordSourceParts, signal?: AbortSignal): Promise<number> {
  const { eventHub, consumerGroup } = config;
  const lacking = (what: string, cause?: unknown) =>
    new PortError('failed_precondition', `${what}: it is made with the site`, { cause });
  try {
    const partitions = await hubs.partitionCount(eventHub, signal);
    if (await hasConsumerGroup(hubs, eventHub, consumerGroup, signal)) return partitions;
  } catch (error) {
    if (!(error instanceof PortError) || error.code !== 'not_found') throw error;
    throw lacking(`there is no event hub ${eventHub}`, error);
  }
  throw lacking(`the event hub ${eventHub} has no consumer group ${consumerGroup}`);
}

/** @throws PortError data_loss where no route of messages or connections put it there. */
function decode(incoming: IncomingEvent, where: string): RecordEvent {
  const record = parseDeviceRecord(incoming);
  const { sequenceNumber } = incoming;
  if (!record)
    throw new PortError(
      'data_loss',
      `event ${sequenceNumber} of ${where} is neither a device's message nor its connection's: it is passed over; route the rest elsewhere`,
    );
  const isMessage = record.kind === 'message';
  const { kind, machine } = isMessage ? record.properties : {};
  return {
    record,
    key: (isMessage ? `${record.device} ${String(kind)} ${String(machine)}` : `device ${record.device}`) as MachineKey,
    payload: isMessage ? record.payload : new Uint8Array(),
    acceptedAtMs: record.atMs,
    ...{ eventId: String(sequenceNumber), kind: 'telemetry', items: 0 },
    ...{ source: 'iot-hub', epoch: 0, seq: 0, cumulativeItems: 0 },
  };
}
