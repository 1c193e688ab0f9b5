import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { rawObjects } from '#core/archive/raw-object.ts';
import { stampedEvent } from '#core/contracts/sample-event.ts';
import { GatewayPlatform, NORTH, pressOf, SOUTH } from '#test/support/gateway-platform.ts';

const compress = promisify(gzip) as (text: Uint8Array) => Promise<Buffer>;
const PAYLOAD = '{"ts":1.0,"metrics":{"a":1e0}}';
const T0 = Date.UTC(2026, 0, 15, 6);

let platform: GatewayPlatform;
beforeAll(async () => {
  platform = await GatewayPlatform.start();
  const events = [1, 2, 3].flatMap((seq) =>
    [NORTH, SOUTH].map((tenant) =>
      stampedEvent(seq, {
        ...{ eventId: `${tenant}-${seq}`, key: pressOf(tenant), acceptedAtMs: T0 + seq },
        payload: Buffer.from(PAYLOAD),
      }),
    ),
  );
  for (const { key, text } of rawObjects('metrics', events))
    await platform.dependencies.objects.put(key, await compress(text));
});
afterAll(() => platform[Symbol.asyncDispose]());

interface Page {
  readonly items: readonly { readonly eventId: string; readonly payload: string }[];
  readonly nextCursor?: string;
}

const read = async (query: string): Promise<Page> => {
  const { json } = await platform.call('engineer', 'GET', `/v1/raw?machine=press-7&${query}`);
  return json;
};

describe('messages as they were accepted', () => {
  it('come back of the caller’s tenant alone, byte for byte, by time and page by page', async () => {
    const range = `from=${T0}&to=${T0 + 100}`;
    const { items } = await read(range);
    expect(items.map(({ eventId }) => eventId)).toEqual(['north-1', 'north-2', 'north-3']);
    for (const { payload } of items) expect(payload).toBe(PAYLOAD);
    const first = await read(`${range}&limit=2`);
    const second = await read(`${range}&limit=2&cursor=${first.nextCursor}`);
    expect([...first.items, ...second.items]).toEqual(items);
    expect(second.nextCursor).toBeUndefined();
    expect((await read(`from=${T0 + 2}&to=${T0 + 3}`)).items.map(({ eventId }) => eventId)).toEqual(['north-2']);
  });

  it('are for engineers, of machines that there are', async () => {
    expect((await platform.call('operator', 'GET', '/v1/raw?machine=press-7')).status).toBe(403);
    expect((await platform.call('engineer', 'GET', '/v1/raw')).status).toBe(422);
    expect((await read('')).items).toEqual([]);
  });

  it.each([
    ['until the end of time', `from=${T0}&to=999999999999999`, 3],
    ['from its beginning', `from=-999999999999999&to=${T0 + 100}`, 3],
    ['before its beginning', 'from=-999999999999999&to=-999999999999999', 0],
    ['backwards', `from=${T0 + 100}&to=${T0}`, 0],
  ])('come back %s, too', async (_when, range, many) => {
    expect((await read(range)).items).toHaveLength(many);
  });
});
