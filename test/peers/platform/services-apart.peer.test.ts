import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { until } from '#core/contracts/until.ts';
import type { TenantId } from '#core/domain/ids.ts';
import type { CreatedToken, Session, SignInLink, TokenView } from '#services/api-gateway/schemas/access.ts';
import type { AlarmView } from '#services/api-gateway/schemas/alarms.ts';
import type { LedgerView } from '#services/api-gateway/schemas/ledger.ts';
import { openRuntime } from '#services/shared/composition.ts';
import { loadConfiguration } from '#services/shared/config/load.ts';
import type { ReadinessReport } from '#services/shared/http/readiness.ts';
import { readAddress } from '#services/shared/process/service-address.ts';
import { LoneService } from '#test/support/lone-service.ts';
import { Kafka } from '../kafka.ts';
import { Moto } from '../moto.ts';
import { freePort } from '../peer-process.ts';
import { Postgres } from '../postgres.ts';
import { Pstest } from '../pubsub.ts';
import { makeTopics as makePubSubTopics, streamSettings } from './google-site.ts';
import { inPostgres } from './in-postgres.ts';
import { kafkaSettings, makeTopics as makeKafkaTopics } from './kafka-site.ts';
import { BUCKET_REGION, makeBucket } from './moto-bucket.ts';

const INSTALLS_WITHIN_MS = 900_000;
const TIMEOUT_MS = 240_000;
const TENANT = 'demo';
const SITE = 'plant-1';
const OVEN = 'oven';
const KEY = 'the key that all services of this site have';
/** How many copies there are of each; of those that keep something for themselves one. */
const COPIES = {
  'timeseries-service': 2,
  'alert-engine': 2,
  'ml-service': 1,
  'feature-service': 1,
  'ingestion-service': 2,
  'api-gateway': 2,
} as const;
type Name = keyof typeof COPIES;
const NAMES = Object.keys(COPIES) as readonly Name[];

/** A copy of a service, as a container has it: with a data folder of its own that nobody else sees. */
interface Copy {
  readonly service: Name;
  readonly name: string;
  readonly dataDir: string;
  readonly env: Readonly<Record<string, string>>;
  running: LoneService;
}

/** Streams that services without a common folder may have, each with what its copies find it by. */
const PUB_SUB = {
  name: 'Pub/Sub',
  start: async () => {
    const pubsub = await Pstest.start();
    await makePubSubTopics(pubsub);
    return { peer: pubsub, ports: { eventStream: { adapter: 'gcp', ...streamSettings(pubsub) } } };
  },
};
const KAFKA = {
  name: 'Kafka',
  start: async () => {
    const kafka = await Kafka.start();
    await makeKafkaTopics(kafka);
    return { peer: kafka, ports: { kafka: kafkaSettings(kafka.broker), eventStream: { adapter: 'kafka' } } };
  },
};
/** What differs between streams is in their contracts, so one is enough where time is short. */
const ON = process.env['TRIBO_LONG'] === '1' ? [PUB_SUB, KAFKA] : [PUB_SUB];

describe.each(ON)('services that share no folder, on $name', ({ start }) => {
  const opened = new AsyncDisposableStack();
  let folder: string;
  let copies: readonly Copy[];
  let token: string;
  let sent = 0;

  const of = (service: Name) => copies.filter((copy) => copy.service === service);
  const gatewayUrl = (at: number): string => readAddress(of('api-gateway')[at]!.dataDir, 'api-gateway')!.url!;
  const call = async (at: number, method: string, path: string, body?: unknown, bearer = token) => {
    const response = await fetch(new URL(path, gatewayUrl(at)), {
      method,
      headers: {
        authorization: `Bearer ${bearer}`,
        'content-type': 'application/json',
        ...(method === 'PUT' && path.startsWith('/v1/rules') && { 'if-none-match': '*' }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(30_000),
    });
    const text = await response.text();
    return { status: response.status, text, body: (text === '' ? {} : JSON.parse(text)) as never };
  };
  const words = (): string => copies.map(({ name, running }) => `${name}: ${running.words}`).join('\n');
  const eventually = (what: string, holds: () => Promise<boolean>) =>
    until(holds, what, 120_000).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${words()}`, { cause: error });
    });
  /** Each under an id of its own, by one gateway or the other; sent again until it is acknowledged. */
  const send = async (count: number): Promise<void> => {
    for (let each = 0; each < count; each++) {
      const id = `reading-${++sent}`;
      const messages = [{ id, ts: Date.now(), metrics: { heat: 250 + (sent % 10) } }];
      await eventually(`${id} is acknowledged`, async () => {
        const answer = await call(sent % 2, 'POST', '/v1/telemetry', { site: SITE, machine: OVEN, messages }).catch(
          () => undefined,
        );
        return answer?.status === 202;
      });
    }
  };
  const reasons = async (at: number): Promise<Readonly<Record<string, string>>> => {
    const { checks }: ReadinessReport = (await call(at, 'GET', '/health/ready')).body;
    return Object.fromEntries(checks.map(({ name, ok, reason }) => [name, ok ? '' : (reason ?? 'not ready')]));
  };
  const isReady = async (at: number) => Object.values(await reasons(at)).every((reason) => reason === '');
  const drained = async (): Promise<LedgerView> => {
    let ledger: LedgerView | undefined;
    await eventually('nothing is pending', async () => {
      const answer = await call(0, 'GET', '/v1/ledger');
      const found: LedgerView = answer.body;
      ledger = found;
      return answer.status === 200 && found.pending === 0 && found.stored >= sent;
    });
    return ledger!;
  };
  const expectExact = async (): Promise<void> => {
    const ledger = await drained();
    const each = { exact: true, stored: sent, rejected: 0, deadLettered: 0, lost: 0 };
    expect(ledger).toEqual(expect.objectContaining(each));
  };
  const alarms = async (at: number): Promise<readonly AlarmView[]> => {
    const answer = await call(at, 'GET', `/v1/alarms?machine=${OVEN}&site=${SITE}`);
    return (answer.body as { readonly items: readonly AlarmView[] }).items;
  };
  const step = (what: string, run: () => Promise<void>) => it(what, run, TIMEOUT_MS);

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'tribo-apart-'));
    opened.defer(() => rmSync(folder, { recursive: true, force: true }));
    const [stream, postgres, moto] = await Promise.all([start(), Postgres.start(), Moto.start()]);
    for (const peer of [stream.peer, postgres, moto]) opened.use(peer);
    const bucket = await makeBucket(moto);
    const connection = postgres.freshConnection();
    const aws = { region: BUCKET_REGION, endpoint: moto.endpoint };
    const portsOf = (copy: string) => ({
      ...inPostgres(),
      ...stream.ports,
      eventStream: { ...stream.ports.eventStream, source: copy },
      objectStore: { adapter: 'aws', ...bucket },
      secretStore: { adapter: 'secrets-manager-secret-store', ...aws, prefix: 'akron/' },
      postgres: connection,
    });
    const places = new Map<string, number>();
    for (const service of NAMES)
      for (let copy = 0; copy < COPIES[service]; copy++) places.set(`${service}-${copy}`, await freePort());
    const addresses = [...places].map(([copy, port]) => `${copy.replace(/-\d$/, '')}=127.0.0.1:${port}`).join(',');
    const made = [...places].map(([name, port]): Omit<Copy, 'running'> => {
      const dataDir = join(folder, name);
      mkdirSync(dataDir);
      const portsFile = join(dataDir, 'ports.json');
      writeFileSync(portsFile, JSON.stringify(portsOf(name)));
      const env = {
        TRIBO_PORTS_FILE: portsFile,
        TRIBO_LINK_PORT: String(port),
        TRIBO_LINK_ADDRESSES: addresses,
        TRIBO_LINK_KEY: KEY,
        TRIBO_HTTP_PORT: '0',
        TRIBO_DEMO: 'false',
        TRIBO_LOG_LEVEL: 'warn',
      };
      return { service: name.replace(/-\d$/, '') as Name, name, dataDir, env };
    });
    token = await administratorsToken(made[0]!.env['TRIBO_PORTS_FILE']!, folder);
    const starting = await Promise.allSettled(
      made.map(async (copy): Promise<Copy> => {
        const running = await LoneService.started(copy.service, copy.dataDir, copy.env);
        return { ...copy, running };
      }),
    );
    copies = starting.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
    opened.defer(async () => {
      for (const { running } of copies) await running.kill();
    });
    for (const each of starting) if (each.status === 'rejected') throw each.reason;
  }, INSTALLS_WITHIN_MS);

  afterAll(() => opened.disposeAsync());

  step('are all ready, as each gateway says of each', async () => {
    for (const at of [0, 1]) {
      await eventually(`gateway ${at} is ready`, () => isReady(at));
      expect(Object.keys(await reasons(at))).toEqual(
        expect.arrayContaining(NAMES.filter((name) => name !== 'api-gateway')),
      );
    }
  });

  step('take in by either gateway what is stored once, with an exact ledger', async () => {
    const machines = [{ id: OVEN, class: 'other' }];
    expect((await call(0, 'PUT', '/v1/plant', { tenant: TENANT, site: SITE, machines })).status).toBe(200);
    const rule = { kind: 'threshold', id: 'hot', text: 'Too hot', metric: 'heat', direction: 'above', limit: 200 };
    expect((await call(1, 'PUT', '/v1/rules/hot', rule)).status).toBe(200);
    await send(20);
    await expectExact();
  });

  step('show at either gateway what is live at any copy of intake', async () => {
    for (const at of [0, 1]) {
      const ending = new AbortController();
      const response = await fetch(new URL('/v1/events?topics=readings', gatewayUrl(at)), {
        headers: { authorization: `Bearer ${token}` },
        signal: ending.signal,
      });
      const reader = response.body!.getReader();
      const decoder = new TextDecoder();
      let text = '';
      await eventually(`gateway ${at} shows readings`, async () => {
        await send(1);
        const { value } = (await reader.read()) as { readonly value?: Uint8Array };
        text += decoder.decode(value, { stream: true });
        return text.includes('"heat"');
      });
      ending.abort();
    }
  });

  step('raise an alarm once, which is acknowledged at one gateway and so at the other', async () => {
    await eventually('the alarm is listed', async () => (await alarms(0)).length > 0);
    const [alarm, ...more] = await alarms(1);
    expect(more).toEqual([]);
    const comment = { comment: 'seen' };
    expect((await call(1, 'POST', `/v1/alarms/${alarm!.id}/acknowledge`, comment)).status).toBe(200);
    expect(await alarms(0)).toMatchObject([{ id: alarm!.id, state: 'acknowledged' }]);
  });

  step('take at one gateway a token that was made at the other, and refuse it once it was revoked there', async () => {
    const asked = { name: 'historian', roles: ['viewer'], lifetimeDays: 1 };
    const made = await call(0, 'POST', '/v1/tokens', asked);
    expect([made.status, made.text]).toEqual([201, expect.stringContaining('"token"')]);
    const { id, token: issued }: CreatedToken = made.body;
    const statuses = () =>
      Promise.all([0, 1].map(async (at) => (await call(at, 'GET', '/v1/machines', undefined, issued)).status));
    expect(await statuses()).toEqual([200, 200]);
    expect((await call(0, 'DELETE', `/v1/tokens/${id}`)).status).toBe(204);
    await eventually('the token is refused at both', async () => (await statuses()).every((status) => status === 401));
    const { items }: { readonly items: readonly TokenView[] } = (await call(1, 'GET', '/v1/tokens')).body;
    expect(items).toContainEqual(expect.objectContaining({ id, name: 'historian', revoked: true }));
  });

  step('let in by a sign-in link at any gateway, once, and out at all', async () => {
    const { url }: SignInLink = (await call(0, 'POST', '/v1/sign-in-links', { subject: 'maria', roles: ['viewer'] }))
      .body;
    const code = new URL(url).searchParams.get('code');
    const session = (at: number, method: string, headers: Readonly<Record<string, string>>, body?: object) =>
      fetch(new URL('/v1/session', gatewayUrl(at)), {
        ...{ method, signal: AbortSignal.timeout(30_000) },
        headers: { 'content-type': 'application/json', ...headers },
        ...(body && { body: JSON.stringify(body) }),
      });
    const begun = await session(1, 'POST', {}, { code });
    expect(begun.status).toBe(201);
    for (const at of [0, 1]) expect((await session(at, 'POST', {}, { code })).status).toBe(401);
    const { csrfToken } = (await begun.json()) as Session;
    const signedIn = { cookie: begun.headers.get('set-cookie')!.split(';', 1)[0]!, 'x-csrf-token': csrfToken };
    const statuses = () => Promise.all([0, 1].map(async (at) => (await session(at, 'GET', signedIn)).status));
    expect(await statuses()).toEqual([200, 200]);
    expect((await session(0, 'DELETE', signedIn)).status).toBe(200);
    await eventually('the session is over at both', async () => (await statuses()).every((status) => status === 401));
  });

  it.each(['ingestion-service', 'api-gateway'] as const)(
    'go on after kill -9 of a copy of %s',
    async (service) => {
      const copy = of(service)[0]!;
      await copy.running.kill();
      if (service !== 'api-gateway') await send(5);
      copy.running = await LoneService.started(service, copy.dataDir, copy.env);
      await send(5);
      for (const at of [0, 1]) await eventually(`gateway ${at} is ready`, () => isReady(at));
      await expectExact();
      expect(await alarms(1)).toHaveLength(1);
    },
    TIMEOUT_MS,
  );

  it.each(['timeseries-service', 'alert-engine'] as const)(
    'go on with the stand-by of %s alone, after kill -9 of whichever copy had the lease',
    async (service) => {
      // Once the first is away the second has it, and then the first must take over from it.
      for (const copy of of(service)) {
        await copy.running.kill();
        await send(5);
        for (const at of [0, 1]) await eventually(`gateway ${at} is ready without ${copy.name}`, () => isReady(at));
        await expectExact();
        copy.running = await LoneService.started(service, copy.dataDir, copy.env);
      }
      await send(5);
      await expectExact();
      expect(await alarms(1)).toHaveLength(1);
    },
    TIMEOUT_MS,
  );

  step('let in no service that has another key, and both say so', async () => {
    const dataDir = join(folder, 'stranger');
    mkdirSync(dataDir);
    const [ml] = of('ml-service');
    const env = { ...ml!.env, TRIBO_LINK_PORT: String(await freePort()), TRIBO_LINK_KEY: KEY.toUpperCase() };
    await using stranger = new LoneService('ml-service', dataDir, env);
    const anotherKey = 'it has another key: TRIBO_LINK_KEY';
    await eventually('the stranger says so', async () => stranger.words.includes(anotherKey));
    await eventually('the services say so', async () =>
      of('timeseries-service').some(({ running }) => running.words.includes(anotherKey)),
    );
    expect(readAddress(dataDir, 'ml-service')).toBeUndefined();
  });
});

/** Of the site's own issuer, whose keys are in the secret store that all copies have. */
async function administratorsToken(portsFile: string, folder: string): Promise<string> {
  const flags = { dataDir: join(folder, 'operator'), portsFile, logLevel: 'silent' };
  const runtime = openRuntime(loadConfiguration({ env: {}, flags }), 'operator');
  try {
    const issuer = await runtime.port('tokenIssuer');
    const asked = { tenant: TENANT as TenantId, subject: 'operator', roles: ['admin'], lifetimeMs: 3_600_000 } as const;
    return (await issuer.issue(asked)).token;
  } finally {
    await runtime.close();
  }
}
