/* Kinesalite on loopback alone, which its own command does not offer: node kinesalite-server.ts <folder> <port> */
import type { Server } from 'node:http';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const [folder, port] = process.argv.slice(2) as [string, string];
const kinesalite = createRequire(join(folder, 'package.json'))('kinesalite') as (
  options: Readonly<Record<string, number>>,
) => Server;
const quick = { createStreamMs: 1, deleteStreamMs: 1, updateStreamMs: 1, shardLimit: 1000 };
kinesalite(quick).listen(Number(port), '127.0.0.1');
