import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from '@jest/globals';
import { STREAMS } from '#core/domain/event.ts';
import { killAndCount } from '#test/support/kill-and-count.ts';
import { makeTable } from '../moto-table.ts';
import { Moto } from '../moto.ts';
import { Postgres } from '../postgres.ts';

const REGION = 'eu-central-1';
const TABLE = 'tribo-streams';
const nameOf = (stream: string) => `akron-${stream}`;

it('a platform on Kinesis, with its time series in PostgreSQL, has an exact ledger after a kill -9 of its store and of all of it', async () => {
  await using moto = await Moto.start();
  await using postgres = await Postgres.start();
  await makeTable(moto, REGION, TABLE);
  const { Kinesis } = await import('@aws-sdk/client-kinesis');
  const { NodeHttpHandler } = await import('@smithy/node-http-handler');
  const kinesis = new Kinesis({ region: REGION, endpoint: moto.endpoint, requestHandler: new NodeHttpHandler() });
  for (const stream of STREAMS) await kinesis.createStream({ StreamName: nameOf(stream), ShardCount: 1 });
  kinesis.destroy();
  const connection = postgres.freshConnection();
  const ports = {
    eventStream: {
      ...{ adapter: 'kinesis-event-stream', region: REGION, endpoint: moto.endpoint, stateTable: TABLE, lanes: 4 },
      streams: Object.fromEntries(STREAMS.map((stream) => [stream, nameOf(stream)])),
      // The peer answers all requests by one process.
      ...{ pollMs: 1000, leaseMs: 6000, maxRequestBytes: 5_242_880 },
    },
    timeSeriesStore: { adapter: 'postgres-time-series-store', ...connection },
  };
  const folder = mkdtempSync(join(tmpdir(), 'tribo-ports-'));
  try {
    const portsFile = join(folder, 'ports.json');
    writeFileSync(portsFile, JSON.stringify(ports));
    await killAndCount(portsFile, connection, 200);
  } finally {
    rmSync(folder, { recursive: true });
  }
}, 600_000);
