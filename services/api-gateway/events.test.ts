import { request, type IncomingMessage } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { until } from '#core/contracts/until.ts';
import type { DeviceId, TenantId } from '#core/domain/ids.ts';
import { GatewayPlatform, NORTH, pressOf, SOUTH } from '#test/support/gateway-platform.ts';
import { SSE_EVENTS, type SseEventName } from './schemas/events.ts';

interface Received {
  readonly name: SseEventName;
  readonly id: string | undefined;
  readonly data: never;
}

/** A listener as EventSource is one: it reads events, and checks each against its schema. */
class Listener {
  readonly events: Received[] = [];
  heartbeats = 0;
  status = 0;
  text = '';
  ended = false;
  #response: IncomingMessage | undefined;
  #rest = '';

  static async open(tenant: TenantId, query = '', headers: Record<string, string> = {}): Promise<Listener> {
    const listener = new Listener();
    const token = await platform.token('viewer', tenant);
    const outgoing = request(`${platform.gateway.url}/v1/events${query}`, {
      agent: false,
      headers: { authorization: `Bearer ${token}`, ...headers },
    });
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      outgoing.on('response', resolve).on('error', reject).end();
    });
    listener.#response = response;
    listener.status = response.statusCode ?? 0;
    response.setEncoding('utf8');
    response.on('data', (text: string) => listener.#read(text));
    response.on('close', () => (listener.ended = true));
    response.on('error', () => undefined);
    opened.push(listener);
    return listener;
  }

  of(name: SseEventName): readonly Received[] {
    return this.events.filter((event) => event.name === name);
  }

  /** The next event of that name after the first `seen`. */
  async next(name: SseEventName, seen = 0): Promise<Received> {
    await until(() => this.of(name).length > seen);
    return this.of(name)[seen]!;
  }

  pause(): void {
    this.#response?.pause();
  }

  resume(): void {
    this.#response?.resume();
  }

  close(): void {
    this.#response?.destroy();
  }

  #read(text: string): void {
    this.text += text;
    const blocks = (this.#rest + text).split('\n\n');
    this.#rest = blocks.pop() ?? '';
    for (const block of blocks) {
      if (block.startsWith(':')) this.heartbeats++;
      else this.#take(block);
    }
  }

  #take(block: string): void {
    const field = (name: string) =>
      block
        .split('\n')
        .find((line) => line.startsWith(`${name}: `))
        ?.slice(name.length + 2);
    const name = field('event') as SseEventName;
    const data = SSE_EVENTS[name].parse(JSON.parse(field('data') ?? ''));
    this.events.push({ name, id: field('id'), data: data as never });
  }
}

let platform: GatewayPlatform;
const opened: Listener[] = [];
beforeAll(async () => {
  platform = await GatewayPlatform.start({
    events: { sampleEveryMs: 50, heartbeatMs: 100, ledgerEveryMs: 100, maxClientsPerTenant: 3, maxQueuedBytes: 20_000 },
  });
});
afterEach(async () => {
  for (const listener of opened.splice(0)) listener.close();
  await until(async () =>
    (await platform.call('nobody', 'GET', '/metrics')).text.includes('tribo_event_clients{service="test"} 0'),
  );
});
afterAll(async () => {
  await platform[Symbol.asyncDispose]();
});

const reading = (metrics: Record<string, number>) => ({ ts: Date.now(), metrics });

describe('GET /v1/events', () => {
  it('greets, beats, and is not to be cached or buffered', async () => {
    const listener = await Listener.open(NORTH);
    const hello = await listener.next('hello');
    expect(hello.data).toMatchObject({ heartbeatMs: 100, topics: ['readings', 'alarms', 'ledger', 'presence'] });
    await until(() => listener.heartbeats >= 2);
  });

  it('shows readings of the tenant and of no other', async () => {
    const [north, south] = await Promise.all([Listener.open(NORTH), Listener.open(SOUTH)]);
    await platform.send([reading({ velocity_rms: 2.31, temperature: 61 })]);
    expect((await north.next('readings')).data).toMatchObject({
      machines: [
        {
          site: 'akron',
          machine: 'press-7',
          metrics: { velocity_rms: 2.31, temperature: 61 },
          operatingState: 'running',
        },
      ],
    });
    await platform.raise('isolated-1');
    platform.live.presence({
      device: 'gw' as DeviceId,
      machines: [pressOf(NORTH)],
      by: 'connection',
      online: false,
      atMs: Date.now(),
    });
    await north.next('alarm');
    expect((await north.next('presence')).data).toMatchObject({
      device: 'gw',
      online: false,
      machines: [{ machine: 'press-7' }],
    });
    await sleep(200);
    expect(new Set(south.events.map(({ name }) => name))).toEqual(new Set(['hello', 'ledger']));
    expect(south.text).not.toContain('north');
  });

  it('sends only what was asked for', async () => {
    const listener = await Listener.open(NORTH, '?topics=readings&machine=press-7&metrics=temperature');
    await platform.send([reading({ velocity_rms: 2.5 })]);
    await platform.send([reading({ velocity_rms: 2.6, temperature: 62 })]);
    expect((await listener.next('readings')).data).toMatchObject({ machines: [{ metrics: { temperature: 62 } }] });
    expect(listener.text).not.toContain('velocity_rms');
    expect(listener.of('ledger')).toEqual([]);
  });

  it('shows every machine of a fleet that is larger than an event, in turns', async () => {
    await using own = await GatewayPlatform.start({ events: { sampleEveryMs: 50, maxMachinesPerEvent: 2 } });
    const ids = ['a', 'b', 'c', 'd', 'e'];
    for (const id of ids) {
      const body = { id, class: 'press' };
      const put = { body, headers: { 'if-none-match': '*' } };
      expect((await own.call('engineer', 'PUT', `/v1/machines/${id}?site=akron`, put)).status).toBe(200);
    }
    const ending = new AbortController();
    const seen = new Set<string>();
    const sizes: number[] = [];
    const headers = { authorization: `Bearer ${await own.token('viewer')}` };
    const all = await fetch(`${own.gateway.url}/v1/events?topics=readings`, { headers, signal: ending.signal });
    const reading = (async () => {
      let rest = '';
      for await (const text of all.body!.pipeThrough(new TextDecoderStream())) {
        const blocks = (rest + text).split('\n\n');
        rest = blocks.pop() ?? '';
        for (const block of blocks.filter((each) => each.includes('event: readings'))) {
          const data = /^data: (.*)$/m.exec(block)?.[1] ?? '{}';
          const { machines } = JSON.parse(data) as { machines: { machine: string }[] };
          sizes.push(machines.length);
          for (const { machine } of machines) seen.add(machine);
        }
      }
    })().catch(() => undefined);
    own.live.observe(
      ids.map((id) => ({
        eventId: `turn-${id}`,
        kind: 'telemetry' as const,
        key: pressOf(NORTH).replace('press-7', id) as ReturnType<typeof pressOf>,
        items: 1,
        acceptedAtMs: Date.now(),
        payload: Buffer.from(JSON.stringify({ ts: Date.now(), metrics: { rpm: 1480 } })),
      })),
    );
    await until(() => seen.size === ids.length);
    expect(Math.max(...sizes)).toBe(2);
    ending.abort();
    await reading;
  });

  it('tells each change of an alarm once, with the alarm as it is', async () => {
    const [one, other] = await Promise.all([Listener.open(NORTH), Listener.open(NORTH, '?topics=alarms')]);
    const id = await platform.raise('told-1');
    const raised = await one.next('alarm');
    expect(raised.data).toMatchObject({ change: 'raised', alarm: { id, state: 'unacknowledged' } });
    await platform.call('operator', 'POST', `/v1/alarms/${id}/acknowledge`, { body: { comment: 'seen' } });
    expect((await one.next('alarm', 1)).data).toMatchObject({
      change: 'acknowledged',
      alarm: { id, state: 'acknowledged', comment: 'seen' },
    });
    await other.next('alarm', 1);
    await sleep(200);
    expect(one.of('alarm')).toHaveLength(2);
    expect(other.of('alarm').map(({ id: eventId }) => eventId)).toEqual(
      one.of('alarm').map(({ id: eventId }) => eventId),
    );
  });

  it('goes on after the last event that a client has seen', async () => {
    const first = await Listener.open(NORTH, '?topics=alarms');
    await platform.raise('resume-1');
    const { id: lastEventId } = await first.next('alarm');
    first.close();
    await platform.raise('resume-2');
    await platform.raise('resume-3');
    const second = await Listener.open(NORTH, '?topics=alarms', { 'last-event-id': lastEventId! });
    await second.next('alarm', 1);
    expect(second.of('alarm').map(({ data }) => (data as { alarm: { id: string } }).alarm.id)).toEqual([
      'resume-2',
      'resume-3',
    ]);
    const third = await Listener.open(
      NORTH,
      `?topics=alarms&lastEventId=${encodeURIComponent(second.of('alarm')[0]!.id!)}`,
    );
    expect((await third.next('alarm')).data).toMatchObject({ alarm: { id: 'resume-3' } });
  });

  it.each(['nonsense', '1.unknown.1', '9999999999999.unknown.1'])(
    'asks a client that has seen %j to read the list anew',
    async (lastEventId) => {
      const listener = await Listener.open(NORTH, '?topics=alarms', { 'last-event-id': lastEventId });
      expect((await listener.next('resync')).data).toMatchObject({ topic: 'alarms' });
    },
  );

  it('does not resume into another tenant’s alarms', async () => {
    const north = await Listener.open(NORTH, '?topics=alarms');
    await platform.raise('private-1');
    const { id: lastEventId } = await north.next('alarm');
    await platform.raise('private-2');
    const south = await Listener.open(SOUTH, '?topics=alarms', { 'last-event-id': lastEventId! });
    await south.next('resync');
    expect(south.of('alarm')).toEqual([]);
  });

  it('sends the ledger', async () => {
    const listener = await Listener.open(NORTH, '?topics=ledger');
    expect((await listener.next('ledger', 1)).data).toMatchObject({ tenant: NORTH, exact: true });
  });

  it('refuses more listeners than a tenant may have', async () => {
    await Promise.all([Listener.open(NORTH), Listener.open(NORTH), Listener.open(NORTH)]);
    const answer = await platform.call('viewer', 'GET', '/v1/events');
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([429, '30']);
  });

  it('disconnects a client that does not read, says why, and does not keep the others waiting', async () => {
    const [slow, quick] = await Promise.all([Listener.open(NORTH), Listener.open(NORTH)]);
    await slow.next('hello');
    slow.pause();
    const metrics = Object.fromEntries(
      Array.from({ length: 900 }, (_unused, i) => [`${'metric_with_a_long_name_'.repeat(8)}${i}`, i]),
    );
    for (let i = 0; i < 400 && !(await isDropped()); i++) {
      platform.live.observe([
        {
          eventId: `slow-${i}`,
          kind: 'telemetry',
          key: pressOf(NORTH),
          items: 1,
          acceptedAtMs: Date.now() + i * 1000,
          payload: Buffer.from(JSON.stringify({ ts: Date.now() + i, metrics })),
        },
      ]);
      await sleep(50);
    }
    expect(await isDropped()).toBe(true);
    slow.resume();
    expect((await slow.next('goodbye')).data).toMatchObject({ reason: 'slow-client', reconnectAfterMs: 1000 });
    expect(quick.ended).toBe(false);
    expect(quick.of('readings').length).toBeGreaterThan(1);
  });

  async function isDropped(): Promise<boolean> {
    return (await platform.call('nobody', 'GET', '/metrics')).text.includes('reason="slow-client"');
  }

  it('ends for a token that is revoked', async () => {
    const made = await platform.call('admin', 'POST', '/v1/tokens', { body: { name: 'watcher', roles: ['viewer'] } });
    const { token, id } = made.json as { token: string; id: string };
    const listener = await Listener.open(NORTH, '', { authorization: `Bearer ${token}` });
    await listener.next('hello');
    await platform.call('admin', 'DELETE', `/v1/tokens/${id}`);
    expect((await listener.next('goodbye')).data).toMatchObject({ reason: 'session-ended' });
    await until(() => listener.ended);
  });

  it('says that it stops', async () => {
    const { createMetricsRegistry } = await import('../shared/observability/metrics.ts');
    const { startApiGateway } = await import('./api-gateway.ts');
    const metrics = createMetricsRegistry('second', { processMetrics: false });
    const second = await startApiGateway({ port: 0 }, { ...platform.dependencies, metrics });
    const response = await fetch(`${second.url}/v1/events`, {
      headers: { authorization: `Bearer ${await platform.token('viewer')}` },
    });
    const text = response.text();
    const startedMs = performance.now();
    await second.close();
    expect(await text).toContain('"reason":"shutting-down"');
    // After five seconds it would cut the connection.
    expect(performance.now() - startedMs).toBeLessThan(4500);
  });

  it.each([
    ['?topics=gossip', 'query:topics.0'],
    ['?machine=..', 'query:machine'],
    ['?metrics=', 'query:metrics'],
  ])('refuses %s', async (query, pointer) => {
    const answer = await platform.call('viewer', 'GET', `/v1/events${query}`);
    expect([answer.status, answer.json]).toEqual([422, expect.objectContaining({ pointer })]);
  });
});
