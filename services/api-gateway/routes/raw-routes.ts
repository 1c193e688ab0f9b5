import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { readRaw } from '#core/archive/raw-reader.ts';
import { decodeCursor, encodeCursor } from '../http/cursor.ts';
import { route, type Route } from '../http/route.ts';
import { rawListQuerySchema, rawListSchema } from '../schemas/raw.ts';
import { machineKeyOf } from './machine-access.ts';

const DAY_MS = 86_400_000;
/** An object holds less; what was put in its place may hold anything. */
const MAX_OBJECT_BYTES = 64 * 2 ** 20;

const inflate = promisify(gunzip) as (bytes: Uint8Array, options: object) => Promise<Buffer>;
const decompress = (bytes: Uint8Array) => inflate(bytes, { maxOutputLength: MAX_OBJECT_BYTES });

export function rawRoutes(): readonly Route[] {
  return [
    route({
      method: 'GET',
      path: '/v1/raw',
      tag: 'Telemetry',
      summary: 'Accepted messages of a machine, from the raw archive where that is switched on.',
      access: 'engineer',
      query: rawListQuerySchema,
      response: { status: 200, description: 'About in the order of acceptance', schema: rawListSchema },
      handle: async ({ query, principal: { tenant }, signal }, services) => {
        const { site, machine, to: toMs = services.clock.nowMs() + 1, limit, cursor } = query;
        const fromMs = query.from ?? toMs - DAY_MS;
        const [key, offset] = cursor === undefined ? [] : decodeCursor('raw', cursor, ['string', 'number']);
        const after = key === undefined || offset === undefined ? {} : { after: { key, offset } };
        const { messages, next } = await readRaw(
          { machine: machineKeyOf({ tenant, site, machine }, services), fromMs, toMs, limit, ...after },
          { objects: services.objects, decompress },
          { signal },
        );
        return { json: { items: messages, ...(next && { nextCursor: encodeCursor('raw', [next.key, next.offset]) }) } };
      },
    }),
  ];
}
