import { STREAMS } from '#core/domain/event.ts';
import { IotCoreSite } from '../iot-core-site.ts';
import { makeTable } from '../moto-table.ts';
import { Moto } from '../moto.ts';
import { Postgres } from '../postgres.ts';
import { iotCoreGateway } from './iot-core-gateway.ts';
import { BUCKET_REGION as REGION, makeBucket } from './moto-bucket.ts';
import { siteOn, type Site } from './site.ts';

const STATE_TABLE = 'tribo-streams';
/** The peer answers all requests by one process. */
const UNHURRIED = { pollMs: 500, leaseMs: 6000 };

/** What `provider: aws` selects (Kinesis with a table of DynamoDB, S3, Secrets Manager, PostgreSQL), and IoT Core for devices. */
export function awsSite(): Promise<Site> {
  const moto = Moto.start();
  const devices = moto.then((started) => IotCoreSite.make(started, REGION));
  return siteOn([moto, Postgres.start(), devices], async ([moto, postgres, { core, kinesis, registry, gateway }]) => {
    await makeTable(moto, REGION, STATE_TABLE);
    for (const stream of STREAMS) await kinesis.createStream({ StreamName: streamName(stream), ShardCount: 1 });
    return {
      gateway: iotCoreGateway(core),
      // All that devices send passes twice through the one process of the peer.
      pace: { atOnce: 5, everyMs: 1000 },
      ports: {
        provider: 'aws',
        deviceGateway: { adapter: 'iot-core-device-gateway', ...gateway, ...UNHURRIED },
        deviceRegistry: { adapter: 'iot-core-device-registry', ...registry },
        aws: { region: REGION, endpoint: moto.endpoint, prefix: 'akron/' },
        postgres: postgres.freshConnection(),
        objectStore: await makeBucket(moto),
        eventStream: {
          streams: Object.fromEntries(STREAMS.map((stream) => [stream, streamName(stream)])),
          // It has the limit that was Kinesis's until 2025.
          ...{ stateTable: STATE_TABLE, lanes: 4, ...UNHURRIED, maxRequestBytes: 5_242_880 },
        },
      },
    };
  });
}

function streamName(stream: string): string {
  return `akron-${stream}`;
}
