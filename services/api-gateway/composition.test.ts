import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from '@jest/globals';
import { DuckDbTimeSeriesStore } from '#adapters/embedded/duckdb-time-series-store/duckdb-time-series-store.ts';
import type { TenantId } from '#core/domain/ids.ts';
import type { DeviceIntake, DeviceMessage } from '#core/ports/device-gateway.ts';
import { LiveState } from '#core/live/live-state.ts';
import { loadConfiguration } from '#services/shared/config/load.ts';
import { INTAKE_PORT, LIVE_PORT, servedIntake } from '#services/shared/rpc/intake-port.ts';
import { methodsOf, servePort } from '#services/shared/rpc/port-server.ts';
import { socketPath } from '#services/shared/rpc/socket-path.ts';
import { TIME_SERIES_PORT } from '#services/shared/rpc/time-series-port.ts';
import { composeApiGateway } from './composition.ts';

it('runs as a process of its own, with intake, live data and the store behind sockets', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'tribo-own-'));
  const store = await DuckDbTimeSeriesStore.open({ directory: join(dataDir, 'time-series') });
  const received: DeviceMessage[] = [];
  const intake: DeviceIntake = {
    accept: async (message) => {
      received.push(message);
      return { accepted: 1, duplicate: 0, rejected: [] };
    },
    isReady: () => true,
    whenReady: async () => undefined,
  };
  const servers = await Promise.all([
    servePort(socketPath(dataDir, TIME_SERIES_PORT), TIME_SERIES_PORT, {
      settled: () => store.settled(),
      lostEvents: () => store.lostEvents(),
      latest: (...given: Parameters<typeof store.latest>) => store.latest(...given),
      problem: () => undefined,
    }),
    servePort(
      socketPath(dataDir, LIVE_PORT),
      LIVE_PORT,
      methodsOf(new LiveState({ incarnation: randomUUID() }), ['changes']),
    ),
    servePort(
      socketPath(dataDir, INTAKE_PORT),
      INTAKE_PORT,
      servedIntake(intake, () => new Map([['demo' as TenantId, 3]]), { sendCommand: async () => undefined }),
    ),
  ]);
  const configuration = loadConfiguration({ env: {}, flags: { dataDir, httpPort: '0', logLevel: 'silent' } });
  const running = await composeApiGateway(configuration);
  const gateway = running.service;
  try {
    const code = new URL(await gateway.signInLink()).searchParams.get('code');
    const signIn = await fetch(`${gateway.url}/v1/session`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ code }),
    });
    const { csrfToken } = (await signIn.json()) as { csrfToken: string };
    const headers = { cookie: signIn.headers.get('set-cookie')!.split(';')[0]!, 'x-csrf-token': csrfToken };
    expect(await (await fetch(`${gateway.url}/health/ready`)).json()).toMatchObject({ status: 'ready' });
    expect(await (await fetch(`${gateway.url}/v1/ledger`, { headers })).json()).toMatchObject({
      tenant: 'demo',
      exact: true,
      refused: 3,
    });
    const sent = await fetch(`${gateway.url}/v1/telemetry`, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json' },
      body: JSON.stringify({ site: 'akron', machine: 'press-7', messages: [{ ts: 1, metrics: { a: 1 } }] }),
    });
    expect([sent.status, await sent.json()]).toEqual([202, expect.objectContaining({ accepted: 1 })]);
    const [message] = received;
    expect(message).toMatchObject({ tenant: 'demo', machine: 'demo/akron/press-7', sender: 'admin' });
    expect(Buffer.from((message!.content as { payload: Uint8Array }).payload).toString()).toBe(
      '[{"ts":1,"metrics":{"a":1}}]',
    );
  } finally {
    await running.close();
    for (const server of servers) await server.close();
    await store.close();
    rmSync(dataDir, { recursive: true });
  }
});
