/**
 * The floors that the pipeline is compared with, as a process. `a`: the broker with nothing behind it. `b`: broker, parse, and a durable append
 * before each PUBACK, one transaction for all that arrived in a turn of the event loop. Prints `{"port":...}` when it listens.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Aedes } from 'aedes';
import { open } from 'lmdb';

const kind = process.argv[2];
const broker = await Aedes.createBroker({ concurrency: 1000 });
if (kind === 'b') {
  const folder = mkdtempSync(join(process.env['BENCH_DIR'] ?? tmpdir(), 'tribo-floor-'));
  const log = open<Buffer, number>({
    path: folder,
    encoding: 'binary',
    keyEncoding: 'uint32',
    overlappingSync: false,
    cache: false,
  });
  let position = 0;
  broker.authorizePublish = (_client, packet, callback) => {
    const payload = packet.payload as Buffer;
    JSON.parse(payload.toString('utf8'));
    log.put(position++, payload).then(
      () => callback(null),
      (error: unknown) => callback(error as Error),
    );
  };
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
}
const server = createServer(broker.handle);
server.listen(0, '127.0.0.1', () =>
  process.stdout.write(`${JSON.stringify({ port: (server.address() as AddressInfo).port })}\n`),
);
process.on('SIGTERM', () => process.exit(0));
process.on('disconnect', () => process.exit(0));
