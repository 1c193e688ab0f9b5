import { STREAMS } from '#core/domain/event.ts';
import { makeTable } from '../moto-table.ts';
import { Moto } from '../moto.ts';
import { Mosquitto } from '../mosquitto.ts';
import { Postgres } from '../postgres.ts';
import { BUCKET_REGION as REGION, makeBucket } from './moto-bucket.ts';
import { mosquittoGateway } from './mosquitto-gateway.ts';
import { siteOn, type Site } from './site.ts';

const STATE_TABLE = 'tribo-streams';

/** What `provider: aws` selects: Kinesis with a table of DynamoDB, S3, Secrets Manager, PostgreSQL. */
export function awsSite(): Promise<Site> {
  return siteOn([Moto.start(), Postgres.start(), Mosquitto.start()], async ([moto, postgres, broker]) => {
    await makeTable(moto, REGION, STATE_TABLE);
    await makeStreams(moto);
    return {
      gateway: mosquittoGateway(broker),
      ports: {
        provider: 'aws',
        deviceGateway: { adapter: 'mqtt', ...broker.gatewaySettings('tribo-gateway-1') },
        aws: { region: REGION, endpoint: moto.endpoint, prefix: 'akron/' },
        postgres: postgres.freshConnection(),
        objectStore: await makeBucket(moto),
        eventStream: {
          streams: Object.fromEntries(STREAMS.map((stream) => [stream, streamName(stream)])),
          ...{ stateTable: STATE_TABLE, lanes: 4 },
          // The peer answers all requests by one process, and has the limit that was Kinesis's until 2025.
          ...{ pollMs: 500, leaseMs: 6000, maxRequestBytes: 5_242_880 },
        },
      },
    };
  });
}

function streamName(stream: string): string {
  return `akron-${stream}`;
}

async function makeStreams({ endpoint }: Moto): Promise<void> {
  const { Kinesis } = await import('@aws-sdk/client-kinesis');
  const { NodeHttpHandler } = await import('@smithy/node-http-handler');
  const kinesis = new Kinesis({ region: REGION, endpoint, requestHandler: new NodeHttpHandler() });
  for (const stream of STREAMS) await kinesis.createStream({ StreamName: streamName(stream), ShardCount: 1 });
  kinesis.destroy();
}
