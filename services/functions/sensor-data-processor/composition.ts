import { createHash } from 'node:crypto';
import { z } from 'zod';
import { awsCall } from '#adapters/aws/aws-errors.ts';
import { messageRecord } from '#adapters/aws/iot-core-device-gateway/device-record.ts';
import { openKinesis } from '#adapters/aws/kinesis-event-stream/client.ts';
import { KINESIS_CODES } from '#adapters/aws/kinesis-event-stream/kinesis-codes.ts';
import { systemClock } from '#core/clock.ts';
import { machineKey, type MachineId, type SiteId, type TenantId } from '#core/domain/ids.ts';
import { PortError } from '#core/errors.ts';
import { RelayedMessages } from '#core/ingestion/relayed-message.ts';
import { placeShape, settingsOf } from './function-settings.ts';
import { sensorDataProcessor, type Relay } from './sensor-data-processor.ts';

const environmentSchema = z.object({
  /** Lambda sets it. */
  AWS_REGION: z.string().min(1),
  TRIBO_DEVICE_STREAM: z.string().regex(/^[A-Za-z0-9_.-]{1,128}$/, 'must be the name of a stream of Kinesis'),
  ...placeShape,
});

/** Shorter than a run of the function may last, so that what failed is told. */
const CALL_TIMEOUT_MS = 10_000;

/** The function at AWS: what it reads goes to the stream behind IoT Core, as that one's rule would put it there. */
export async function composeSensorDataProcessor(env: Readonly<Record<string, string | undefined>>) {
  const settings = settingsOf(environmentSchema, env);
  const { AWS_REGION: region, TRIBO_DEVICE_STREAM: stream, TRIBO_TENANT: tenant, TRIBO_SITE: site } = settings;
  const messages = new RelayedMessages({ tenant, site });
  return sensorDataProcessor(messages, await relayTo(stream, region), () => systemClock.nowMs());
}

async function relayTo(stream: string, region: string): Promise<Relay> {
  const kinesis = await openKinesis({ region });
  const what = `put readings into ${stream}`;
  return async (messages) => {
    const records = messages.map((message) => ({ data: messageRecord(message), ...placeOf(message.topic) }));
    const results = await awsCall({ what, timeoutMs: CALL_TIMEOUT_MS, codes: KINESIS_CODES }, (stopped) =>
      kinesis.put(stream, records, stopped),
    );
    const failed = results.filter(({ errorCode }) => errorCode !== undefined);
    if (failed.length > 0)
      throw new PortError(
        'unavailable',
        `${what}: ${failed.length} of ${records.length} were not taken (${failed[0]!.errorCode})`,
      );
  };
}

/** Where the rule puts a machine's messages, by Kinesis' own hash of the key: so they stay in one shard, in order. */
function placeOf(topic: string) {
  const [, , tenant, site, machine] = topic.split('/');
  const partitionKey = machineKey(tenant as TenantId, site as SiteId, machine as MachineId);
  const hashKey = BigInt(`0x${createHash('md5').update(partitionKey).digest('hex')}`).toString();
  return { partitionKey, hashKey };
}
