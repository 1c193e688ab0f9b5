import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { tableFromIPC } from '@uwdata/flechette';
import type { AlarmFiguresView, AlarmView } from './schemas/alarms.ts';
import type { DeadLetterView, LedgerView } from './schemas/ledger.ts';
import type { Fleet, FleetMachine, MachineDetail, QuarantinedMachineView, Series } from './schemas/machines.ts';
import { until } from '#core/contracts/until.ts';
import type { StampedEvent } from '#core/domain/event.ts';
import { machineSchema } from '#core/domain/plant.ts';
import { PortError } from '#core/errors.ts';
import type { ReadinessReport } from '#services/shared/http/readiness.ts';
import { GatewayPlatform, NORTH, pressOf, SITE, SOUTH } from '#test/support/gateway-platform.ts';

let platform: GatewayPlatform;
beforeAll(async () => {
  platform = await GatewayPlatform.start();
});
afterAll(async () => {
  await platform[Symbol.asyncDispose]();
});

const get = (path: string, tenant = NORTH) => platform.call('viewer', 'GET', path, {}, tenant);
const machineOf = async (path: string, tenant = NORTH) => (await get(path, tenant)).json as MachineDetail;
/** All that a list has, its pages being as large as the query says. */
async function pagesOf<Item>(path: string, role: 'viewer' | 'admin' = 'viewer'): Promise<Item[]> {
  const items: Item[] = [];
  for (let cursor: string | undefined; ;) {
    const answer = await platform.call(role, 'GET', cursor === undefined ? path : `${path}&cursor=${cursor}`);
    expect(answer.status).toBe(200);
    const page = answer.json as { items: Item[]; nextCursor?: string };
    expect(page.items.length).toBeLessThanOrEqual(Number(/limit=(\d+)/.exec(path)?.[1]));
    items.push(...page.items);
    cursor = page.nextCursor;
    if (cursor === undefined) return items;
  }
}
const pump = (id: string, more = {}) => ({ id, class: 'pump', ...more });

describe('machines', () => {
  it('are made, changed under their ETag, and forgotten', async () => {
    const path = '/v1/machines/pump-2?site=akron';
    const made = await platform.call('engineer', 'PUT', path, {
      body: pump('pump-2'),
      headers: { 'if-none-match': '*' },
    });
    expect([made.status, made.headers.get('etag')]).toEqual([200, '"1"']);
    const again = await platform.call('engineer', 'PUT', path, {
      body: pump('pump-2'),
      headers: { 'if-none-match': '*' },
    });
    expect([again.status, again.json]).toEqual([
      412,
      expect.objectContaining({ title: 'It was changed in the meantime' }),
    ]);
    expect((await platform.call('engineer', 'PUT', path, { body: pump('pump-2') })).status).toBe(428);
    const named = pump('pump-2', { name: 'Feed pump' });
    const changed = await platform.call('engineer', 'PUT', path, { body: named, headers: { 'if-match': '"1"' } });
    expect([changed.status, changed.headers.get('etag')]).toEqual([200, '"2"']);
    expect((await platform.call('engineer', 'PUT', path, { body: named, headers: { 'if-match': '"1"' } })).status).toBe(
      412,
    );
    expect((await platform.call('engineer', 'PUT', path, { body: named, headers: { 'if-match': 'x' } })).status).toBe(
      412,
    );
    expect(await machineOf('/v1/machines/pump-2')).toMatchObject({
      name: 'Feed pump',
      revision: 2,
      health: { status: 'unknown' },
    });
    expect((await platform.call('engineer', 'DELETE', path)).status).toBe(428);
    expect((await platform.call('engineer', 'DELETE', path, { headers: { 'if-match': '"2"' } })).status).toBe(204);
    expect((await get('/v1/machines/pump-2')).status).toBe(404);
  });

  it.each([
    ['the audit trail', 1],
    ['the route itself', 2],
  ])('are not forgotten where somebody changes them once %s has read them', async (_who, reads) => {
    let meanwhile: (() => Promise<unknown>) | undefined;
    let read = 0;
    await using own = await GatewayPlatform.start({}, (dependencies) => {
      const { machines } = dependencies;
      const getMachine = machines.getMachine.bind(machines);
      machines.getMachine = async (key) => {
        const found = await getMachine(key);
        if (meanwhile && ++read === reads) await meanwhile();
        return found;
      };
      return dependencies;
    });
    meanwhile = () => own.dependencies.machines.putMachine(NORTH, SITE, machineSchema.parse(pump('press-7')));
    const deleted = await own.call('engineer', 'DELETE', '/v1/machines/press-7', { headers: { 'if-match': '"1"' } });
    meanwhile = undefined;
    expect(deleted.status).toBe(412);
    expect(await own.dependencies.machines.getMachine(pressOf(NORTH))).toMatchObject({ revision: 2 });
  });

  it.each([
    ['another id than the path names', pump('pump-4'), '/id'],
    ['an unknown class', { id: 'pump-3', class: 'toaster' }, '/class'],
    [
      'a bearing with two elements',
      { ...pump('pump-3'), bearings: [{ id: 'de', elements: 2, elementDiameterMm: 1, pitchDiameterMm: 3 }] },
      '/bearings/0/elements',
    ],
    [
      'a metric in an unknown unit',
      { ...pump('pump-3'), metrics: [{ name: 'v', unit: 'mm/s' }, { name: 't', unit: 'Celcius' }] }, // prettier-ignore
      '/metrics/1/unit',
      '"Celcius" is no unit that is known: did you mean Cel',
    ],
    [
      'a sensor in an unknown unit',
      { ...pump('pump-3'), sensors: [{ id: 'de', kind: 'acceleration', unit: 'mm/sec²' }] },
      '/sensors/0/unit',
      'did you mean mm/s2',
    ],
  ])('are refused with %s, which is pointed at', async (_what, body, pointer, detail = '') => {
    const answer = await platform.call('engineer', 'PUT', '/v1/machines/pump-3?site=akron', { body });
    const problem = { pointer, detail: expect.stringContaining(detail) as unknown };
    expect([answer.status, answer.json]).toEqual([422, expect.objectContaining(problem)]);
  });

  it('of the same name at two sites are told apart by site', async () => {
    await platform.call('engineer', 'PUT', '/v1/machines/fan-1?site=akron', { body: pump('fan-1') });
    expect((await machineOf('/v1/machines/fan-1')).site).toBe('akron');
    await platform.call('engineer', 'PUT', '/v1/machines/fan-1?site=brno', { body: pump('fan-1') });
    const ambiguous = await get('/v1/machines/fan-1');
    expect([ambiguous.status, ambiguous.json]).toEqual([409, expect.objectContaining({ pointer: 'query:site' })]);
    expect((await machineOf('/v1/machines/fan-1?site=brno')).site).toBe('brno');
  });

  it('come as a plant, of one’s own tenant alone', async () => {
    const plant = { site: 'cork', machines: Array.from({ length: 1500 }, (_unused, i) => pump(`p-${i}`)) };
    const answer = await platform.call('engineer', 'PUT', '/v1/plant', { body: plant });
    expect(answer.status).toBe(200);
    const fleet = (await get('/v1/machines?site=cork&limit=3')).json as Fleet;
    expect(fleet.totals.machines).toBe(1500);
    const foreign = await platform.call('engineer', 'PUT', '/v1/plant', { body: { ...plant, tenant: SOUTH } });
    expect([foreign.status, foreign.json]).toEqual([422, expect.objectContaining({ pointer: '/tenant' })]);
    expect(((await get('/v1/machines?site=cork', SOUTH)).json as Fleet).totals.machines).toBe(0);
  });

  it('are listed page by page, each once', async () => {
    const seen = (await pagesOf<FleetMachine>('/v1/machines?site=cork&limit=499')).map(({ machine }) => machine);
    expect(seen).toHaveLength(1500);
    expect(new Set(seen).size).toBe(1500);
    expect((await get('/v1/machines?cursor=nonsense')).status).toBe(400);
    expect((await get('/v1/machines?limit=100000')).status).toBe(422);
  });

  it('are found by part of a name', async () => {
    const found = (await get('/v1/machines?search=P-149')).json as Fleet;
    expect(found.items.map(({ machine }) => machine)).toEqual([
      'p-149',
      ...Array.from({ length: 10 }, (_unused, i) => `p-149${i}`),
    ]);
  });

  it('that were quarantined are adopted', async () => {
    await platform.send([{ ts: Date.now(), metrics: { rpm: 1 } }], NORTH, 'stray');
    expect((await platform.call('engineer', 'POST', '/v1/quarantine/akron/nobody/adopt', { body: {} })).status).toBe(
      404,
    );
    const adopted = await platform.call('engineer', 'POST', '/v1/quarantine/akron/stray/adopt', {
      body: { class: 'fan' },
    });
    expect([adopted.status, adopted.json]).toEqual([201, expect.objectContaining({ machine: 'stray' })]);
    await until(async () => {
      const answer = await platform.send([{ ts: Date.now(), metrics: { rpm: 1 } }], NORTH, 'stray');
      return (answer.json as { accepted: number }).accepted === 1;
    });
    expect((await get('/v1/quarantine')).json).toEqual({ items: [] });
  });

  it('that are quarantined are listed page by page, latest sighting first, each once', async () => {
    const strays = Array.from({ length: 7 }, (_unused, i) => `unknown-${i}`);
    for (const machine of strays) await platform.send([{ ts: Date.now(), metrics: { rpm: 1 } }], NORTH, machine);
    const seen = await pagesOf<QuarantinedMachineView>('/v1/quarantine?limit=3');
    expect(seen.map(({ machine }) => machine).sort()).toEqual(strays);
    const times = seen.map(({ lastMs }) => lastMs);
    expect(times).toEqual(times.toSorted((a, b) => b - a));
    expect((await get('/v1/quarantine?cursor=bm9uZQ')).status).toBe(400);
  });

  it('keep what was done to them', async () => {
    const path = '/v1/machines/press-7/events';
    const added = await platform.call('operator', 'POST', path, {
      body: { kind: 'bearing-change', text: '6205', atMs: 1000 },
    });
    expect([added.status, added.json]).toEqual([201, expect.objectContaining({ by: 'operator-client', atMs: 1000 })]);
    expect((await get(path)).json).toMatchObject({ items: [{ kind: 'bearing-change', text: '6205' }] });
    expect((await get(path, SOUTH)).json).toEqual({ items: [] });
  });
});

describe('what is being learned of a machine', () => {
  it('is told with its progress, as the process that judges says it', async () => {
    const learning = [{ by: 'rule', id: 'above', sensor: 'de', learnt: 12, needed: 50, sinceMs: 1000 }] as const;
    await using own = await GatewayPlatform.start({}, (dependencies) => {
      return { ...dependencies, alerting: { ...dependencies.alerting, learning: () => Promise.resolve(learning) } };
    });
    expect((await own.call('viewer', 'GET', '/v1/machines/press-7')).json).toMatchObject({ learning });
  });

  it.each([
    ['is away', () => Promise.reject(new PortError('unavailable', 'gone'))],
    ['does not answer', () => new Promise<never>(() => {})],
  ])('is left out where that process %s, and all else is told', async (_how, learning) => {
    await using own = await GatewayPlatform.start({}, (dependencies) => {
      return { ...dependencies, alerting: { ...dependencies.alerting, learning } };
    });
    const { status, json } = await own.call('viewer', 'GET', '/v1/machines/press-7');
    expect(status).toBe(200);
    expect(json).toMatchObject({ machine: 'press-7' });
    expect(json).not.toHaveProperty('learning');
  });
});

describe('maintenance', () => {
  const path = '/v1/machines/press-7/events';
  const note = async (kind: string, atMs?: number) =>
    (await platform.call('operator', 'POST', path, { body: { kind, text: 'new seal', ...(atMs && { atMs }) } })).json;

  it('is the machine’s state from its start to its end, and says since when, by whom, and when it ends by itself', async () => {
    const atMs = Date.now() - 60_000;
    await note('maintenance-start', atMs);
    await until(async () => (await machineOf('/v1/machines/press-7')).operatingState === 'maintenance');
    const expected = {
      fromMs: atMs,
      untilMs: atMs + 86_400_000,
      endNoted: false,
      by: 'operator-client',
      text: 'new seal',
    };
    expect(await machineOf('/v1/machines/press-7')).toMatchObject({ maintenance: expected });
    const { items } = (await get('/v1/machines?site=akron&search=press-7')).json as Fleet;
    expect(items[0]?.operatingState).toBe('maintenance');
    await note('maintenance-end');
    await until(async () => (await machineOf('/v1/machines/press-7')).operatingState !== 'maintenance');
    expect(await machineOf('/v1/machines/press-7')).not.toHaveProperty('maintenance');
  });

  it('keeps an end that has no start, and says that it changes nothing', async () => {
    const remark = expect.stringContaining('No maintenance was under way then');
    expect(await note('maintenance-end', 5000)).toMatchObject({ kind: 'maintenance-end', remark });
    const { items } = (await get(path)).json as { items: { atMs: number }[] };
    expect(items.find((each) => each.atMs === 5000)).toMatchObject({ remark });
  });
});

describe('a plant', () => {
  const put = (site: string, machines: unknown, headers = {}) =>
    platform.call('engineer', 'PUT', '/v1/plant', { body: { site, machines }, headers });
  const plantAt = async (site: string) => {
    const answer = await get(`/v1/plant?site=${site}`);
    return {
      ...(answer.json as { machines: { id: string; name?: string }[] }),
      etag: answer.headers.get('etag') ?? '',
    };
  };

  const revisionAt = async (site: string, id: string) => (await machineOf(`/v1/machines/${id}?site=${site}`)).revision;

  it('is read whole, and replaced under its ETag alone', async () => {
    expect(await plantAt('derby')).toEqual({ site: 'derby', machines: [], etag: '"0"' });
    const made = await put('derby', [pump('a'), pump('b')], { 'if-none-match': '*' });
    expect(made.status).toBe(200);
    const before = await plantAt('derby');
    expect(before).toMatchObject({ machines: [{ id: 'a' }, { id: 'b' }], etag: made.headers.get('etag') });

    const named = pump('a', { name: 'Feed pump' });
    expect((await put('derby', [named])).status).toBe(428);
    expect((await put('derby', [named], { 'if-none-match': '*' })).status).toBe(412);
    const revision = await revisionAt('derby', 'a');
    const changed = await put('derby', [named], { 'if-match': before.etag });
    expect([changed.status, changed.json]).toEqual([
      200,
      { site: 'derby', machines: [{ machine: 'a', revision: revision + 1 }] },
    ]);
    const overtaken = await put('derby', [pump('b', { name: 'Spare' })], { 'if-match': before.etag });
    expect([overtaken.status, overtaken.json]).toEqual([
      412,
      expect.objectContaining({ pointer: 'header:if-match', remedy: expect.stringContaining('Read it again') }),
    ]);
    expect(await plantAt('derby')).toMatchObject({
      machines: [{ id: 'a', name: 'Feed pump' }, { id: 'b' }],
      etag: changed.headers.get('etag'),
    });
  });

  it('is not changed, and needs no ETag, where its machines are so already or new', async () => {
    const b = { machine: 'b', revision: await revisionAt('derby', 'b') };
    const again = await put('derby', [pump('b'), pump('c')]);
    const c = { machine: 'c', revision: await revisionAt('derby', 'c') };
    expect([again.status, again.json]).toEqual([200, { site: 'derby', machines: [b, c] }]);
    const { etag } = await plantAt('derby');
    expect((await put('derby', [pump('b'), pump('c')])).headers.get('etag')).toBe(etag);
  });

  it('has another ETag once a machine of it was deleted and made anew', async () => {
    const { etag } = await plantAt('derby');
    const path = '/v1/machines/c?site=derby';
    const revision = await revisionAt('derby', 'c');
    await platform.call('engineer', 'DELETE', path, { headers: { 'if-match': `"${revision}"` } });
    await platform.call('engineer', 'PUT', path, { body: pump('c', { name: 'Another' }) });
    expect((await put('derby', [pump('c')], { 'if-match': etag })).status).toBe(412);
  });

  it('is left as it was where somebody changes one of its machines meanwhile, be it the last', async () => {
    let meanwhile: (() => Promise<unknown>) | undefined;
    await using own = await GatewayPlatform.start({}, (dependencies) => {
      const { machines } = dependencies;
      const list = machines.listMachines.bind(machines);
      machines.listMachines = async (query) => {
        const found = await list(query);
        await meanwhile?.();
        return found;
      };
      return dependencies;
    });
    const { machines } = own.dependencies;
    const { headers } = await own.call('viewer', 'GET', `/v1/plant?site=${SITE}`);
    meanwhile = async () => {
      meanwhile = undefined;
      await machines.putMachine(NORTH, SITE, machineSchema.parse(pump('press-7')));
    };
    const answer = await own.call('engineer', 'PUT', '/v1/plant', {
      body: { site: SITE, machines: [pump('new-1'), pump('press-7', { name: 'mine' })] },
      headers: { 'if-match': headers.get('etag') ?? '' },
    });
    expect(answer.status).toBe(412);
    const now = await machines.listMachines({ tenant: NORTH, limit: 10 });
    expect(now.map(({ machine, revision }) => [machine.id, machine.name, revision])).toEqual([
      ['press-7', undefined, 2],
    ]);
  });
});

describe('the fleet', () => {
  it('shows a machine that sends as well, running by its own metric, and a machine with an alarm before it', async () => {
    const body = {
      id: 'motor-1',
      class: 'motor',
      operatingState: { from: 'threshold', metric: 'rpm', runningAbove: 100 },
    };
    await platform.call('engineer', 'PUT', '/v1/machines/motor-1?site=akron', { body });
    await until(async () => {
      const answer = await platform.send([{ ts: Date.now(), metrics: { rpm: 1480 } }], NORTH, 'motor-1');
      return (answer.json as { accepted: number }).accepted === 1;
    });
    await until(async () => (await machineOf('/v1/machines/motor-1')).operatingState === 'running');
    expect(await machineOf('/v1/machines/motor-1')).toMatchObject({
      health: { status: 'ok', reasons: [] },
      stale: false,
    });

    const id = await platform.raise('fleet-1');
    await until(async () => (await machineOf('/v1/machines/press-7')).openAlarms.total === 1);
    const { items } = (await get('/v1/machines?site=akron')).json as Fleet;
    expect(items[0]).toMatchObject({
      machine: 'press-7',
      health: {
        status: 'critical',
        reasons: ['Velocity too high'],
        sinceMs: expect.any(Number),
        action: expect.any(String),
      },
      openAlarms: { total: 1, unacknowledged: 1, highestPriority: 'high' },
    });
    expect(items.at(-1)?.health.status).toBe('ok');
    expect(((await get('/v1/machines', SOUTH)).json as Fleet).items[0]).toMatchObject({ openAlarms: { total: 0 } });
    await platform.call('operator', 'POST', `/v1/alarms/${id}/acknowledge`, { body: { comment: 'seen' } });
    await until(async () => (await machineOf('/v1/machines/press-7')).openAlarms.unacknowledged === 0);
  });
});

describe('series', () => {
  const start = Date.now() - 3_600_000;
  const path = (more: string) =>
    `/v1/machines/press-7/series?metric=velocity_rms&from=${start}&to=${start + 600_000}${more}`;
  beforeAll(async () => {
    const messages = Array.from({ length: 10 }, (_unused, i) => ({
      ts: start + i * 60_000,
      metrics: { velocity_rms: i + 0.5 },
    }));
    await platform.send(messages);
  });

  it('are raw points or buckets', async () => {
    const points = (await get(path(''))).json as Series;
    expect(points).toMatchObject({ stepMs: 0, source: 'raw', truncated: false });
    expect(points.columns['value']).toEqual([0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5, 8.5, 9.5]);
    const buckets = (await get(path('&step=1h&aggregate=max,count'))).json as Series;
    expect(buckets.stepMs).toBe(3_600_000);
    expect(Object.keys(buckets.columns).sort()).toEqual(['count', 'max']);
    expect(buckets.columns['count']!.reduce((sum, count) => sum + count, 0)).toBe(10);
  });

  it('are in the declared unit or in the one asked for, whatever they were sent in, and name what does not convert', async () => {
    const put = (metrics: object[], headers = {}) =>
      platform.call('engineer', 'PUT', '/v1/machines/mixer-1?site=akron', {
        body: { id: 'mixer-1', class: 'other', metrics },
        headers,
      });
    const { headers } = await put([]);
    const sent = [{ value: 1, unit: 'in/s' }, 5];
    await platform.send(sent.map((v, i) => ({ ts: start + i, metrics: { v } })), NORTH, 'mixer-1'); // prettier-ignore
    await put([{ name: 'v', unit: 'mm/s' }], { 'if-match': headers.get('etag') ?? '' });
    const mixer = `/v1/machines/mixer-1/series?metric=v&from=${start}&to=${start + 10}`;
    const declared = (await get(mixer)).json as Series;
    expect(declared).toMatchObject({ unit: 'mm/s', leftOut: [null], columns: { value: [25.4] } });
    expect((await get(`${mixer}&unit=cm/s`)).json).toMatchObject({ unit: 'cm/s', columns: { value: [2.54] } });
    const csv = await platform.call('viewer', 'GET', mixer, { headers: { accept: 'text/csv' } });
    expect(csv.headers.get('x-tribo-left-out')).toBe('%5Bnull%5D');
    const described = (await get('/openapi.json')).text;
    for (const name of csv.headers.keys()) if (name.startsWith('x-tribo-')) expect(described).toContain(name);
  });

  it('come as CSV and as Arrow by Accept, with what else there is to say in headers', async () => {
    const csv = await platform.call('viewer', 'GET', path('&limit=2'), { headers: { accept: 'text/csv' } });
    expect(csv.text.split('\r\n')).toEqual([
      'ts,value',
      `${new Date(start).toISOString()},0.5`,
      `${new Date(start + 60_000).toISOString()},1.5`,
      '',
    ]);
    expect(csv.headers.get('x-tribo-truncated')).toBe('true');
    const response = await fetch(`${platform.gateway.url}${path('')}`, {
      headers: {
        authorization: `Bearer ${await platform.token('viewer')}`,
        accept: 'application/vnd.apache.arrow.stream',
      },
    });
    const table = tableFromIPC(new Uint8Array(await response.arrayBuffer()));
    expect(Array.from(table.getChild('value') as Iterable<number>)).toEqual([
      0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5, 8.5, 9.5,
    ]);
    expect(Array.from(table.getChild('ts') as Iterable<number>)[0]).toBe(start);
  });

  it.each([
    ['a range that ends before it begins', '/v1/machines/press-7/series?metric=a&from=2&to=1', 422, 'query:to'],
    ['a time that is none', '/v1/machines/press-7/series?metric=a&from=soon&to=1', 422, 'query:from'],
    [
      'an unknown aggregate',
      '/v1/machines/press-7/series?metric=a&from=1&to=2&aggregate=median',
      422,
      'query:aggregate.0',
    ],
    ['a step of ten years', '/v1/machines/press-7/series?metric=a&from=1&to=2&step=3650d', 422, 'query:step'],
    ['no metric', '/v1/machines/press-7/series?from=1&to=2', 422, 'query:metric'],
    ['the same parameter twice', '/v1/machines/press-7/series?metric=a&metric=b&from=1&to=2', 422, 'query:metric'],
  ])('refuse %s', async (_what, query, status, pointer) => {
    const answer = await get(query);
    expect([answer.status, answer.json]).toEqual([status, expect.objectContaining({ pointer })]);
  });

  it('say so where none of their forms is accepted', async () => {
    expect((await platform.call('viewer', 'GET', path(''), { headers: { accept: 'image/png' } })).status).toBe(406);
  });

  it('of another tenant are not there', async () => {
    const other = (await get(path(''), SOUTH)).json as Series;
    expect(other.ts).toEqual([]);
    expect((await get('/v1/machines/motor-1/series?metric=rpm&from=1&to=2', SOUTH)).status).toBe(404);
  });
});

describe('alarms', () => {
  const act = (id: string, action: string, options = {}, role: 'operator' | 'engineer' = 'operator') =>
    platform.call(role, 'POST', `/v1/alarms/${id}/${action}`, options);

  it('say why they were raised, and take an acknowledgement with who and why', async () => {
    const id = await platform.raise('why-1', { waveformId: 'w-1' });
    const one = (await get(`/v1/alarms/${id}`)).json as AlarmView;
    expect(one).toMatchObject({
      site: 'akron',
      machine: 'press-7',
      state: 'unacknowledged',
      acknowledged: false,
      parts: [{ source: { kind: 'rule', id: 'high', version: 1 }, value: 7.4, limit: 7.1, waveformId: 'w-1' }],
    });
    for (const options of [{ body: {} }, { body: { comment: ' ' } }]) {
      const refused = await act(id, 'acknowledge', options);
      expect([refused.status, refused.json]).toEqual([
        422,
        expect.objectContaining({ pointer: '/comment', detail: expect.stringContaining('say what you saw') }),
      ]);
    }
    const answer = await act(id, 'acknowledge', { body: { comment: 'seen, greased' } });
    expect([answer.status, answer.headers.get('etag')]).toEqual([200, '"2"']);
    expect(answer.json).toMatchObject({
      state: 'acknowledged',
      acknowledgedBy: 'operator-client',
      comment: 'seen, greased',
    });
    expect((await get(`/v1/alarms/${id}/journal`)).json).toEqual({
      items: [
        expect.objectContaining({
          sequence: 1,
          action: 'raised',
          by: 'rule high version 1',
          stateAfter: 'unacknowledged',
        }),
        expect.objectContaining({
          sequence: 2,
          action: 'acknowledged',
          by: 'operator-client',
          comment: 'seen, greased',
        }),
      ],
    });
    const first = (await get(`/v1/alarms/${id}/journal?limit=1`)).json as { items: unknown[]; nextCursor: string };
    expect((await get(`/v1/alarms/${id}/journal?limit=1&cursor=${first.nextCursor}`)).json).toMatchObject({
      items: [{ sequence: 2 }],
    });
  });

  it('take a repeated request once, and refuse what their state does not allow', async () => {
    const id = await platform.raise('twice-1');
    const headers = { 'idempotency-key': 'ack-1' };
    const body = { comment: 'seen' };
    const first = await act(id, 'acknowledge', { headers, body });
    const second = await act(id, 'acknowledge', { headers, body });
    expect([first.status, second.status, second.headers.get('idempotency-replayed')]).toEqual([200, 200, 'true']);
    expect(second.json).toEqual(first.json);
    expect((await act(id, 'acknowledge', { headers, body: { comment: 'other' } })).status).toBe(422);
    const illegal = await act(id, 'acknowledge', { body });
    expect([illegal.status, illegal.json]).toEqual([
      409,
      expect.objectContaining({ type: 'urn:tribo:problem:conflict' }),
    ]);
    expect((await act(id, 'shelve', { body: { forMinutes: 60 }, headers: { 'if-match': '"1"' } })).status).toBe(412);
    const shelved = await act(id, 'shelve', { body: { forMinutes: 60 }, headers: { 'if-match': '"2"' } });
    expect(shelved.json).toMatchObject({ state: 'shelved', shelvedUntilMs: expect.any(Number) });
    expect((await act(id, 'unshelve')).json).toMatchObject({ state: 'acknowledged' });
    expect((await act(id, 'suppress')).status).toBe(403);
    expect((await act(id, 'suppress', {}, 'engineer')).json).toMatchObject({ state: 'suppressed-by-design' });
  });

  it('are listed newest first, by state and time, page by page', async () => {
    const raisedAt = Date.now() + 10_000;
    const ids = [];
    for (let i = 0; i < 3; i++) ids.push(await platform.raise(`page-${i}`, {}, NORTH, raisedAt + i));
    const query = `from=${raisedAt}&to=${raisedAt + 3}&machine=press-7&site=akron`;
    const page = (await get(`/v1/alarms?${query}&limit=2`)).json as { items: AlarmView[]; nextCursor: string };
    const rest = (await get(`/v1/alarms?${query}&limit=2&cursor=${page.nextCursor}`)).json as { items: AlarmView[] };
    expect([...page.items, ...rest.items].map(({ id }) => id)).toEqual(ids.toReversed());
    expect(rest).not.toHaveProperty('nextCursor');
    expect((await get(`/v1/alarms?${query}&state=acknowledged`)).json).toEqual({ items: [] });
    expect((await get('/v1/alarms?state=broken')).status).toBe(422);
  });

  it('of another tenant are not there, whatever is tried', async () => {
    const id = await platform.raise('mine-1');
    for (const [method, path, options] of [
      ['GET', `/v1/alarms/${id}`, {}],
      ['GET', `/v1/alarms/${id}/journal`, {}],
      ['POST', `/v1/alarms/${id}/acknowledge`, { body: { comment: 'seen' } }],
      ['POST', `/v1/alarms/${id}/shelve`, {}],
    ] as const) {
      expect((await platform.call('admin', method, path, options, SOUTH)).status).toBe(404);
    }
    expect((await get('/v1/alarms', SOUTH)).json).toEqual({ items: [] });
    expect((await get(`/v1/alarms/${id}`)).json).toMatchObject({ state: 'unacknowledged' });
  });
});

describe('descriptions of machines', () => {
  const put = (machines: unknown) =>
    platform.call('engineer', 'PUT', '/v1/plant', { body: { site: 'akron', machines } });

  it.each([
    ['a field that is not there', [pump('refused-1', { powrKw: 3 })], '/machines/0/powrKw'],
    ['a class that is none', [{ id: 'refused-1', class: 'pmup' }], '/machines/0/class'],
    ['a machine twice', [pump('refused-1'), pump('refused-1')], '/machines/1/id'],
    [
      'a sensor at a bearing that is not there',
      [pump('refused-1', { sensors: [{ id: 'acc', kind: 'acceleration', unit: 'g', bearing: 'de' }] })],
      '/machines/0/sensors/0/bearing',
    ],
    [
      'a bearing whose balls are larger than it',
      [pump('refused-1', { bearings: [{ id: 'de', elements: 9, elementDiameterMm: 40, pitchDiameterMm: 39 }] })],
      '/machines/0/bearings/0/elementDiameterMm',
    ],
    [
      'a bearing that bears along its shaft alone',
      [
        pump('refused-1', {
          bearings: [{ id: 'de', elements: 9, elementDiameterMm: 8, pitchDiameterMm: 39, contactAngleDeg: 90 }],
        }),
      ],
      '/machines/0/bearings/0/contactAngleDeg',
    ],
    [
      'a metric with its limits the wrong way round',
      [pump('refused-1', { metrics: [{ name: 'rpm', unit: '/min', min: 10, max: 1 }] })],
      '/machines/0/metrics/0/max',
    ],
  ])('are refused with %s, which is pointed at, and nothing is taken', async (_what, machines, pointer) => {
    const answer = await put(machines);
    expect([answer.status, answer.json]).toEqual([422, expect.objectContaining({ pointer })]);
    expect((await get('/v1/machines/refused-1')).status).toBe(404);
  });
});

describe('alarm figures', () => {
  const figures = async (query: string, tenant = NORTH) => (await get(`/v1/alarms/figures?${query}`, tenant)).json;

  it('count the calls of the tenant in the period, by default the last day', async () => {
    const before = (await figures('')) as AlarmFiguresView;
    await platform.raise('figured-1', { priority: 'critical' });
    expect(await figures('')).toMatchObject({ calls: before.calls + 1, stale: 0, chattering: [] });
    expect(await figures('site=akron')).toMatchObject({ calls: before.calls + 1 });
    expect(await figures('site=brno')).toMatchObject({ calls: 0 });
    expect(await figures(`from=${Date.now() + 60_000}&to=${Date.now() + 120_000}`)).toMatchObject({ calls: 0 });
    expect(await figures('', SOUTH)).toMatchObject({ calls: 0 });
  });

  it.each([
    ['an empty period', 'from=2026-11-21T01:00:00Z&to=2026-11-21T01:00:00Z', 'query:to'],
    ['a year ago', `from=${Date.now() - 366 * 86_400_000}`, 'query:from'],
    ['a time that is none', 'from=lately', 'query:from'],
    ['an unknown parameter', 'since=1', 'query:since'],
  ])('refuse %s', async (_what, query, pointer) => {
    expect(await figures(query)).toMatchObject({ status: 422, pointer, remedy: expect.any(String) });
  });
});

describe('rules', () => {
  const rule = (more = {}) => ({
    kind: 'threshold',
    id: 'hot',
    text: 'Too hot',
    metric: 'temperature',
    direction: 'above',
    limit: 80,
    ...more,
  });
  const put = (body: unknown, headers = {}) => platform.call('engineer', 'PUT', '/v1/rules/hot', { body, headers });

  it('are versioned, changed under their ETag, and kept in their history', async () => {
    expect((await put(rule(), { 'if-none-match': '*' })).headers.get('etag')).toBe('"1"');
    expect((await put(rule({ limit: 90 }))).status).toBe(428);
    expect((await put(rule({ limit: 90 }), { 'if-match': '"1"' })).json).toMatchObject({
      version: 2,
      updatedBy: 'engineer-client',
    });
    expect((await put(rule({ limit: 95 }), { 'if-match': '"1"' })).status).toBe(412);
    expect((await get('/v1/rules/hot')).json).toMatchObject({
      id: 'hot',
      version: 2,
      rule: { limit: 90, priority: 'medium' },
    });
    expect((await get('/v1/rules')).json).toMatchObject({ items: [{ id: 'hot' }] });
    expect((await get('/v1/rules', SOUTH)).json).toEqual({ items: [] });
    expect((await get('/v1/rules/hot', SOUTH)).status).toBe(404);
    expect(
      (await platform.call('engineer', 'DELETE', '/v1/rules/hot', { headers: { 'if-match': '"2"' } }, SOUTH)).status,
    ).toBe(404);
    expect((await platform.call('engineer', 'DELETE', '/v1/rules/hot')).status).toBe(428);
    expect(
      (await platform.call('engineer', 'DELETE', '/v1/rules/hot', { headers: { 'if-match': '"2"' } })).status,
    ).toBe(204);
    expect((await get('/v1/rules/hot')).status).toBe(404);
    const { items } = (await get('/v1/rules/hot/history')).json as { items: { version: number; rule?: unknown }[] };
    expect(items.map(({ version, rule: kept }) => [version, kept !== undefined])).toEqual([
      [3, false],
      [2, true],
      [1, true],
    ]);
    const paged = await pagesOf<{ version: number }>('/v1/rules/hot/history?limit=2');
    expect(paged.map(({ version }) => version)).toEqual([3, 2, 1]);
    expect((await get('/v1/rules/unheard-of/history')).status).toBe(404);
  });

  it.each([
    ['an unknown kind', { kind: 'guess' }, '/kind'],
    ['a limit that is no number', { limit: 'high' }, '/limit'],
    ['a field that is not there', { limt: 80 }, '/limt'],
    ['another id', { id: 'cold' }, '/id'],
  ])('are refused with %s, which is pointed at', async (_what, more, pointer) => {
    const answer = await put(rule(more));
    expect([answer.status, answer.json]).toEqual([422, expect.objectContaining({ pointer })]);
  });
});

describe('devices', () => {
  it('of another tenant are not there', async () => {
    const body = { id: 'theirs', machines: [{ site: SITE, machine: 'press-7' }] };
    expect((await platform.call('engineer', 'POST', '/v1/devices', { body }, SOUTH)).status).toBe(201);
    for (const [method, path, more] of [
      ['GET', '/v1/devices/theirs', {}],
      ['PUT', '/v1/devices/theirs/machines', { body: { machines: body.machines } }],
      ['POST', '/v1/devices/theirs/disable', {}],
      ['POST', '/v1/devices/theirs/enable', {}],
      ['POST', '/v1/devices/theirs/secret', {}],
      ['DELETE', '/v1/devices/theirs', {}],
    ] as const) {
      expect((await platform.call('admin', method, path, more)).status).toBe(404);
    }
    expect((await get('/v1/devices')).json).toEqual({ items: [] });
    expect((await platform.call('viewer', 'GET', '/v1/devices/theirs', {}, SOUTH)).json).toMatchObject({
      enabled: true,
    });
  });

  it('are bound anew, show whether they are there, and are forgotten', async () => {
    const machines = [{ site: SITE, machine: 'press-7' }];
    const added = await platform.call('engineer', 'POST', '/v1/devices', { body: { id: 'gw', machines } });
    expect(added.json).toMatchObject({
      device: { id: 'gw', machines, enabled: true },
      secret: expect.stringMatching(/^.{43}$/),
    });
    expect((await platform.call('engineer', 'POST', '/v1/devices', { body: { id: 'gw', machines } })).status).toBe(409);
    const press = { device: 'gw' as never, machines: [pressOf(NORTH)], atMs: 1 };
    platform.live.presence({ ...press, by: 'connection', online: true });
    platform.live.presence({ ...press, by: 'status', online: false });
    await until(async () => ((await get('/v1/devices/gw')).json as { online?: boolean }).online === true);
    const devices = async () => (await machineOf('/v1/machines/press-7')).devices;
    expect(await devices()).toEqual([{ id: 'gw', online: false, sinceMs: 1, by: 'status' }]);
    platform.live.presence({ ...press, atMs: 2, by: 'connection', online: true });
    await until(async () => (await devices())[0]?.online === true);
    expect(await devices()).toEqual([{ id: 'gw', online: true, sinceMs: 2, by: 'connection' }]);
    const more = [...machines, { site: SITE, machine: 'pump-9' }];
    expect(
      (await platform.call('engineer', 'PUT', '/v1/devices/gw/machines', { body: { machines: more } })).json,
    ).toMatchObject({ machines: more });
    expect((await platform.call('engineer', 'DELETE', '/v1/devices/gw')).status).toBe(204);
    expect((await get('/v1/devices/gw')).status).toBe(404);
    expect(await devices()).toEqual([]);
  });
});

describe('lists', () => {
  async function paged(path: string): Promise<readonly { id: string }[]> {
    const found: { id: string }[] = [];
    for (let cursor = ''; ;) {
      const page = (await get(`${path}limit=2${cursor}`, SOUTH)).json as {
        items: { id: string }[];
        nextCursor?: string;
      };
      expect(page.items.length).toBeLessThanOrEqual(2);
      found.push(...page.items);
      if (page.nextCursor === undefined) return found;
      cursor = `&cursor=${page.nextCursor}`;
    }
  }

  it('of devices and of a machine’s events are read page by page', async () => {
    const events: string[] = [];
    for (const n of [1, 2, 3]) {
      const device = { id: `paged-${n}`, machines: [{ site: SITE, machine: 'press-7' }] };
      await platform.call('engineer', 'POST', '/v1/devices', { body: device }, SOUTH);
      const body = { kind: 'note', text: `note ${n}`, atMs: 5 };
      const noted = await platform.call('operator', 'POST', '/v1/machines/press-7/events', { body }, SOUTH);
      events.push((noted.json as { id: string }).id);
    }
    const devices = (await paged('/v1/devices?')).map(({ id }) => id).filter((id) => id.startsWith('paged-'));
    expect(devices).toEqual(['paged-1', 'paged-2', 'paged-3']);
    expect((await paged('/v1/machines/press-7/events?')).map(({ id }) => id)).toEqual(events.sort());
    expect((await get('/v1/devices?cursor=nonsense', SOUTH)).status).toBe(400);
  });
});

describe('the ledger', () => {
  const ledger = async (tenant = NORTH) => (await get('/v1/ledger', tenant)).json as LedgerView;

  it('is exact for each tenant, with dead letters that are inspected and replayed', async () => {
    const before = await ledger();
    platform.settleAs('dead-1', (outcome) => ({
      type: 'deadLettered',
      event: outcome.event,
      code: 'undecodable_payload',
      detail: 'on purpose',
    }));
    await platform.send([
      { id: 'dead-1', ts: Date.now(), metrics: { a: 1, b: 2 } },
      { ts: 'never', metrics: { a: 1 } },
    ]);
    const after = await ledger();
    expect(after.exact).toBe(true);
    expect(after.accepted - before.accepted).toBe(3);
    expect([after.deadLettered - before.deadLettered, after.rejected - before.rejected]).toEqual([2, 1]);
    const { items } = (await get('/v1/dead-letters')).json as { items: DeadLetterView[] };
    expect(items).toEqual([
      expect.objectContaining({ eventId: 'dead-1', machine: 'press-7', items: 2, code: 'undecodable_payload' }),
    ]);
    const path = `/v1/dead-letters/${encodeURIComponent(items[0]!.id)}`;
    expect((await platform.call('engineer', 'GET', path)).json).toMatchObject({
      payload: expect.stringContaining('"a":1'),
    });
    expect((await platform.call('engineer', 'GET', path, {}, SOUTH)).status).toBe(404);
    expect((await platform.call('engineer', 'POST', `${path}/replay`, {}, SOUTH)).status).toBe(404);
    expect((await platform.call('engineer', 'POST', `${path}/replay`)).json).toMatchObject({ outcome: 'stored' });
    expect((await platform.call('engineer', 'POST', `${path}/replay`)).status).toBe(404);
    await until(async () => (await ledger()).stored === after.stored + 2);
    expect(await ledger()).toMatchObject({ exact: true, accepted: after.accepted, deadLettered: before.deadLettered });
    expect((await get('/v1/rejections?limit=1')).json).toMatchObject({
      items: [{ machine: 'press-7', pointer: '/1/ts' }],
    });
    expect((await ledger(SOUTH)).deadLettered).toBe(0);
  });

  it('is not exact once events are missing between settled ones, and the platform goes on and says so', async () => {
    await using other = await GatewayPlatform.start();
    const sumOf = async (tenant: string) => (await other.call('viewer', 'GET', '/v1/ledger', {}, tenant as never)).json;
    await other.send([{ id: 'before', ts: Date.now(), metrics: { a: 1 } }]);
    expect(await sumOf(NORTH)).toMatchObject({ exact: true, lost: 0 });
    const [known] = await other.store.progress('metrics', 'store');
    const event: StampedEvent = {
      ...{ eventId: 'after', kind: 'duplicate', key: `${NORTH}/${SITE}/press-7` as never, items: 0, acceptedAtMs: 1 },
      ...{ payload: new Uint8Array(), cumulativeItems: 1, ...known!, seq: known!.seq + 4 },
    };
    await other.store.settle({
      ...{ stream: 'metrics', group: 'store', fence: 1 },
      outcomes: [{ type: 'duplicate', event }],
    });
    expect(await sumOf(NORTH)).toMatchObject({ exact: false, lost: 3 });
    expect(await sumOf(SOUTH)).toMatchObject({ exact: false, lost: 3 });
    await until(async () => {
      const { status, json } = await other.call('viewer', 'GET', '/health/ready');
      const { checks } = json as ReadinessReport;
      const said = checks.find(({ name }) => name === 'ledger');
      return status === 200 && said?.ok === true && (said.reason ?? '').includes('3 of metrics');
    });
  });
});

describe('a machine whose rules cannot be read', () => {
  it.each<[string, () => Promise<never>]>([
    ['fails', () => Promise.reject(new PortError('unavailable', 'the rule store is away'))],
    ['does not answer', () => new Promise(() => {})],
  ])('is shown all the same where their store %s, without what they say of it', async (_what, list) => {
    await using own = await GatewayPlatform.start({}, (dependencies) => {
      const rules = Object.create(dependencies.rules, {
        list: { value: withSignal(list) },
      }) as typeof dependencies.rules;
      return { ...dependencies, rules };
    });
    const { status, json } = await own.call('viewer', 'GET', '/v1/machines/press-7');
    expect([status, json]).toEqual([200, expect.objectContaining({ machine: 'press-7', latest: [] })]);
    expect(json).not.toHaveProperty('unjudged');
  });

  /** As every port: it ends when it is told to. */
  function withSignal(list: () => Promise<never>) {
    return (_query: object, { signal }: { signal: AbortSignal }) =>
      Promise.race([
        list(),
        new Promise<never>((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(new PortError('cancelled', 'aborted')));
        }),
      ]);
  }
});

describe('operation', () => {
  it('is open to monitors', async () => {
    const open = (path: string) => platform.call('nobody', 'GET', path);
    expect((await open('/health/live')).json).toEqual({ status: 'alive' });
    expect((await open('/health/ready')).json).toMatchObject({ status: 'ready' });
    const metrics = await open('/metrics');
    expect(metrics.text).toContain('http_server_request_duration_seconds_bucket');
    expect((await open('/openapi.json')).json).toMatchObject({ openapi: '3.1.0' });
    expect((await open('/asyncapi.json')).json).toMatchObject({ asyncapi: '3.0.0' });
    expect((await open('/.well-known/jwks.json')).json).toMatchObject({ keys: [{ alg: 'ES256' }] });
  });

  it('is ready while something calls for attention, and tells only who is signed in what', async () => {
    const reason = 'readings are refused: /srv/streams is full';
    await using own = await GatewayPlatform.start({}, (dependencies) => ({
      ...dependencies,
      attention: { 'back-pressure': () => reason },
    }));
    const said = async (role: 'nobody' | 'viewer') => {
      const { status, json } = await own.call(role, 'GET', '/health/ready');
      return [status, (json as ReadinessReport).checks.find(({ name }) => name === 'back-pressure')];
    };
    const hidden = 'calls for attention; who is signed in is told why';
    expect(await said('nobody')).toEqual([200, { name: 'back-pressure', ok: true, reason: hidden }]);
    expect(await said('viewer')).toEqual([200, { name: 'back-pressure', ok: true, reason }]);
  });

  it('tells monitors which part is not ready, and only who is signed in why', async () => {
    const reason = 'EACCES /srv/plant/press-7.db';
    await using own = await GatewayPlatform.start({}, (dependencies) => ({
      ...dependencies,
      checks: { disk: () => reason },
    }));
    const bad = { headers: { authorization: 'Bearer x' } };
    for (const answer of [
      await own.call('nobody', 'GET', '/health/ready'),
      await own.call('nobody', 'GET', '/health/ready', bad),
    ]) {
      expect(answer.status).toBe(503);
      expect(answer.json).toMatchObject({
        status: 'not-ready',
        checks: expect.arrayContaining([{ name: 'disk', ok: false, reason: expect.any(String) }]),
      });
      expect(answer.text).not.toContain('EACCES');
    }
    const told = await own.call('viewer', 'GET', '/health/ready');
    expect(told.status).toBe(503);
    expect(told.json).toMatchObject({ checks: expect.arrayContaining([{ name: 'disk', ok: false, reason }]) });
  });

  it.each([
    ['GET', '/v1/nothing', 404],
    ['DELETE', '/v1/machines', 405],
    ['PATCH', '/v1/machines', 405],
    ['GET', '/v1/machines/%ff', 422],
    ['GET', '/v1/machines/..%2f..%2fetc', 422],
    ['GET', '/V1/machines', 404],
  ])('answers %s %s with %d as problem details', async (method, path, status) => {
    const answer = await platform.call('viewer', method, path);
    expect(answer.status).toBe(status);
    expect(answer.headers.get('content-type')).toContain('application/problem+json');
    expect(answer.json).toMatchObject({ status, remedy: expect.any(String) });
    if (status === 405) expect(answer.headers.get('allow')).toBe('GET, HEAD');
  });

  it('sends headers that keep a browser from running anything foreign', async () => {
    const { headers } = await platform.call('nobody', 'GET', '/health/live');
    expect(headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(headers.get('content-security-policy')).not.toContain('unsafe');
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('x-powered-by')).toBeNull();
  });
});
