import type { Clock } from '#core/clock.ts';
import type { MachineKey } from '#core/domain/ids.ts';
import type { BatchHandler, Subscription } from '#core/ports/event-stream.ts';
import type { DeviceLogEvent } from '../../device-log-intake.ts';
import { awsCall } from '../aws-errors.ts';
import type { DynamoTable } from '../dynamo-table.ts';
import type { IncomingRecord, KinesisCalls } from '../kinesis-event-stream/client.ts';
import { subscribeToShards } from '../kinesis-event-stream/group-subscription.ts';
import { KINESIS_CODES } from '../kinesis-event-stream/kinesis-codes.ts';
import { LeaseTable } from '../kinesis-event-stream/lease-table.ts';
import type { IotCoreDeviceGatewayConfig } from './config.ts';
import { parseDeviceRecord, type DeviceRecord } from './device-record.ts';

/** Holds back those of its topic or client while it is refused. */
type RecordEvent = DeviceLogEvent<DeviceRecord>;

export interface RecordSourceParts {
  readonly config: IotCoreDeviceGatewayConfig;
  readonly kinesis: KinesisCalls;
  readonly table: DynamoTable;
  readonly clock: Clock;
  /** Its batches are of {@link DeviceLogEvent}. */
  readonly handler: BatchHandler;
  readonly onProblem: (what: string, error: unknown) => void;
}

const GROUP = 'intake';

/** Reads a stream of the topic rules from its oldest record on, shared with the other gateways of the site; goes on where it was settled. */
export async function readRecords(
  stream: string,
  parts: RecordSourceParts,
  signal?: AbortSignal,
): Promise<Subscription> {
  const { config, kinesis, table, clock, handler, onProblem } = parts;
  const leases = new LeaseTable(table, stream, config.timeoutMs);
  const call = <Result>(what: string, made: (stopped: AbortSignal) => Promise<Result>, caller?: AbortSignal) =>
    awsCall({ what, timeoutMs: config.timeoutMs, signal: caller, codes: CODES }, made);
  const shards = (caller?: AbortSignal) =>
    call(`list the shards of ${stream}`, (stopped) => kinesis.shards(stream, stopped), caller);
  // Also where the group is declared: a stream that is not there is told by the start.
  const listed = await shards(signal);
  if (!(await leases.isDeclared(GROUP, signal))) {
    const ids = new Set(listed.map(({ id }) => id));
    for (const { id: shard, parents } of listed) {
      const lease = { shard, position: undefined, parents: parents.filter((parent) => ids.has(parent)) };
      await leases.create(GROUP, lease, signal);
    }
    await leases.declare(GROUP, signal);
  }
  const { maxBatchEvents, maxHeldEvents, maxHeldBytes, pollMs, leaseMs, checkpointIntervalMs } = config;
  return subscribeToShards({
    ...{ group: GROUP, leases, clock, handler, pollMs, leaseMs, checkpointIntervalMs, resumeAfter: undefined },
    limits: { maxBatchEvents, maxBatchBytes: MAX_BATCH_BYTES, maxHeldEvents, maxHeldBytes },
    shards: () => shards(),
    iterator: (shard, start, stopped) =>
      call(`find the place in ${shard} of ${stream}`, (each) => kinesis.iterator(stream, shard, start, each), stopped),
    read: (iterator, stopped) => call(`read ${stream}`, (each) => kinesis.read(iterator, each), stopped),
    decode: (incoming) => {
      const event = eventOf(incoming);
      if (!event)
        onProblem(`reading ${stream}`, new Error(`record ${incoming.sequenceNumber} is none of a topic rule`));
      return event ? [event] : [];
    },
    onFailure: (error) => onProblem(`reading ${stream}`, error),
  });
}

/** The stream is made with the site. */
const CODES = { ...KINESIS_CODES, ResourceNotFoundException: 'failed_precondition' } as const;
const MAX_BATCH_BYTES = 4 * 2 ** 20;

function eventOf({ sequenceNumber, data }: IncomingRecord): RecordEvent | undefined {
  const record = parseDeviceRecord(data);
  if (!record) return undefined;
  const isMessage = record.kind === 'message';
  return {
    record,
    key: (isMessage ? record.topic : `client ${record.device}`) as MachineKey,
    payload: isMessage ? record.payload : new Uint8Array(),
    acceptedAtMs: record.atMs ?? 0,
    ...{ eventId: sequenceNumber, kind: 'telemetry', items: 0 },
    ...{ source: 'iot-core', epoch: 0, seq: 0, cumulativeItems: 0 },
  };
}
