import { STREAMS } from '#core/domain/event.ts';
import { IotCoreSite } from '../iot-core-site.ts';
import { makeTable } from '../moto-table.ts';
import { Moto } from '../moto.ts';
import { Postgres } from '../postgres.ts';
import { iotCoreGateway } from './iot-core-gateway.ts';
import { BUCKET_REGION as REGION, makeBucket } from './moto-bucket.ts';
import { siteOn, type Site } from './site.ts';

export const STATE_TABLE = 'tribo-streams';
/** The peer answers all requests by one process. */
const UNHURRIED = { leaseMs: 6000 };

/** What `provider: aws` selects (Kinesis with a table of DynamoDB, S3, Secrets Manager, PostgreSQL), and IoT Core for devices. */
export function awsSite(): Promise<Site> {
  const moto = Moto.start();
  const devices = moto.then((started) => IotCoreSite.make(started, REGION));
  return siteOn([moto, Postgres.start(), devices], async ([moto, postgres, { core, registry, gateway }]) => ({
    gateway: iotCoreGateway(core),
    // All that devices send passes twice through the one process of the peer.
    pace: { atOnce: 5, everyMs: 1000 },
    ports: {
      ...(await awsPorts(moto)),
      deviceGateway: { adapter: 'iot-core-device-gateway', ...gateway, ...UNHURRIED, pollMs: 500 },
      deviceRegistry: { adapter: 'iot-core-device-registry', ...registry },
      postgres: postgres.freshConnection(),
    },
  }));
}

/** Makes on a peer what a site on AWS has; returns its settings but those of devices and of PostgreSQL. */
export async function awsPorts(moto: Moto) {
  await makeTable(moto, REGION, STATE_TABLE);
  await makeStreams(moto);
  return {
    provider: 'aws',
    aws: { region: REGION, endpoint: moto.endpoint, prefix: 'akron/' },
    objectStore: await makeBucket(moto),
    eventStream: {
      streams: Object.fromEntries(STREAMS.map((stream) => [stream, streamName(stream)])),
      // It has the limit that was Kinesis's until 2025.
      ...{ stateTable: STATE_TABLE, lanes: 4, ...UNHURRIED, maxRequestBytes: 5_242_880 },
    },
  };
}

export function streamName(stream: string): string {
  return `akron-${stream}`;
}

async function makeStreams({ endpoint }: Moto): Promise<void> {
  const { Kinesis } = await import('@aws-sdk/client-kinesis');
  const { NodeHttpHandler } = await import('@smithy/node-http-handler');
  const kinesis = new Kinesis({ region: REGION, endpoint, requestHandler: new NodeHttpHandler() });
  for (const stream of STREAMS) await kinesis.createStream({ StreamName: streamName(stream), ShardCount: 1 });
  kinesis.destroy();
}
