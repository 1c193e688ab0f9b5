import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import type { AlarmView } from '#services/api-gateway/schemas/alarms.ts';
import { request, sendTelemetry, unreadiness } from '#test/support/edge-requests.ts';
import { startHttpReceiver } from '#test/support/http-receiver.ts';
import { LedgerWatch } from '#test/support/ledger-watch.ts';
import { acknowledgedIds, readingsSent, startLoad } from '#test/support/load-process.ts';
import { PlatformProcess, until } from '#test/support/platform-process.ts';
import { ShiftableClock } from '#test/support/shift-clock.ts';
import { RoomyFolder } from '#test/support/small-disk.ts';
import { compareWithStored, NOTHING_WRONG } from '#test/support/stored-events.ts';

const TIMEOUT_MS = 300_000;
const HOUR_MS = 3_600_000;
const MACHINES = Array.from({ length: 40 }, (_, machine) => `m-${machine}`);
const METRICS = ['velocity_rms', 'temperature', 'rpm'];
const LOAD_SECONDS = 30;
/** Longer than any pause of the load, and far shorter than the jumps. */
const SILENT_AFTER_MS = 60_000;
const ON_DELAY_MS = 1000;
/** A jump is 7,200 s: what waits for the clock to catch up is not done within this. */
const SOON_MS = 45_000;

interface Jump {
  readonly name: string;
  readonly shiftMs: number;
}

const jumps: readonly Jump[] = [
  { name: 'ahead', shiftMs: 2 * HOUR_MS },
  { name: 'right', shiftMs: 0 },
  { name: 'behind', shiftMs: -2 * HOUR_MS },
  { name: 'right-again', shiftMs: 0 },
];

describe('a clock that jumps forward by two hours, back, back by two more, and forward again, under load', () => {
  it(
    'loses nothing, keeps tokens, leases, alarms and notifications working, and raises no false alarm',
    async () => {
      await using room = new RoomyFolder();
      await using webhook = await startWebhook();
      const clock = new ShiftableClock(room.folder);
      await using platform = await PlatformProcess.start({
        env: {
          ...{ ...clock.env, TRIBO_LOG_LEVEL: 'silent' },
          ...{ TRIBO_WEBHOOK_URL: webhook.url, TRIBO_WEBHOOK_SECRET: 'a secret of thirty-two characters' },
          // What tells that a device came names its machines as well.
          TRIBO_WEBHOOK_EVENTS: 'alarm',
        },
      });
      const ackFile = join(room.folder, 'acknowledged');
      const probes = jumps.map(({ name }) => `hot-${name}`);
      const devices = await platform.addDevices([...MACHINES, ...probes], 22);
      await putRules(platform);
      const oldToken = await newToken(platform);
      await using load = startLoad({
        port: platform.mqttPort,
        connections: devices.slice(0, 20).map((device) => ({
          ...device,
          topics: device.topics.filter((topic) => MACHINES.some((machine) => topic.includes(`/${machine}/telemetry`))),
        })),
        metrics: METRICS,
        idPrefix: 'jump',
        maxInFlight: 50,
        ratePerS: 500,
        seconds: LOAD_SECONDS,
        drainSeconds: 30,
        reconnect: false,
        ackFile,
      });
      await load.begun(ackFile);
      await using watch = new LedgerWatch(platform);

      for (const { name, shiftMs } of jumps) {
        webhook.isAway = name === 'right';
        await clock.set(shiftMs);
        await soon(`the API takes the platform's own token, ${name}`, async () => (await statusWith(platform)) === 200);
        expect(await statusWith(platform, oldToken)).toBe(200);
        expect(await statusWith(platform, await newToken(platform))).toBe(200);
        await expectDelayedAlarm(platform, `hot-${name}`);
        if (name === 'right') await soon('the notification has failed', async () => webhook.refused > 0);
        // Noted for two seconds after the last failure, of a clock that is two hours ahead by now.
        else await soon(`the notification arrives, ${name}`, async () => webhook.received.has(`hot-${name}`));
        if (name === 'behind') {
          await soon('what failed before is notified', async () => webhook.received.has('hot-right'));
          process.kill(platform.runningPid('timeseries-service'), 'SIGKILL');
        }
        await soon(`what is sent is stored, ${name}`, async () => {
          // The store may be away for a moment, which the ledger says with an error.
          const pending = (await platform.ledger().catch(() => undefined))?.pending ?? Infinity;
          return pending < 1000 && Object.keys(await unreadiness(platform)).length === 0;
        });
      }

      const result = await load.result;
      const before = await platform.drainedLedger();
      const alarms = await platform.api.request<{ items: readonly AlarmView[] }>('GET', '/v1/alarms?limit=200');
      const seen = await watch.stop();

      // Accepted by a clock that was two hours behind; sent again once it was right, to a platform that has been started again.
      expect(await platform.stop()).toMatchObject({ code: 0 });
      await platform.startAgain();
      expect(
        await sendTelemetry(platform, 'hot-behind', [hot('hot-behind', 0, firstTs.get('hot-behind') ?? 0)]),
      ).toMatchObject({
        status: 202,
        body: { accepted: 0, duplicate: 1 },
      });
      const ledger = await platform.drainedLedger();
      expect(await platform.stop()).toMatchObject({ code: 0 });
      const comparison = await compareWithStored(platform.dataDir, {
        ...{ machines: MACHINES, acknowledged: acknowledgedIds(ackFile), ledger },
        readingsOf: readingsSent(METRICS, result),
      });
      console.info(
        `jumps of the clock: ${result.offered} offered, ${result.acknowledged} acknowledged, ${comparison.stored} stored; ` +
          `ledger read ${seen.readings} times, unreadable ${seen.unreadable} times, at most ${seen.peakPending} pending`,
      );
      expect(result).toMatchObject({ sent: result.acknowledged, unanswered: 0, reconnections: 0 });
      expect(before).toMatchObject({ exact: true, rejected: 0, duplicate: 0, deadLettered: 0, conflicts: 0 });
      expect(ledger).toMatchObject({ exact: true, rejected: 0, duplicate: 1, deadLettered: 0, stored: before.stored });
      expect(seen).toMatchObject({ wrong: [] });
      expect(alarms.items.map(({ machine }) => machine).sort()).toEqual([...probes].sort());
      const readings = result.acknowledged * METRICS.length;
      expect(comparison).toEqual({ ...NOTHING_WRONG, stored: result.acknowledged, readings });
    },
    TIMEOUT_MS,
  );
});

const firstTs = new Map<string, number>();

function hot(machine: string, at: number, ts: number): object {
  return { id: `${machine}-${at}`, ts, metrics: { heat: 99 } };
}

/** Readings above the limit for longer than the rule's delay, in event time. */
async function expectDelayedAlarm(platform: PlatformProcess, machine: string): Promise<void> {
  const ts = Date.now();
  firstTs.set(machine, ts);
  for (const at of [0, 1, 2]) {
    const reading = hot(machine, at, ts + at * ON_DELAY_MS);
    expect(await sendTelemetry(platform, machine, [reading])).toMatchObject({ status: 202, body: { accepted: 1 } });
  }
  await soon(`${machine} has its alarm`, async () => {
    const { items } = await platform.api.request<{ items: readonly AlarmView[] }>('GET', '/v1/alarms?limit=200');
    return items.some((alarm) => alarm.machine === machine && alarm.state === 'unacknowledged');
  });
}

async function putRules(platform: PlatformProcess): Promise<void> {
  const rules = [
    {
      kind: 'threshold',
      id: 'heat',
      text: 'Hot',
      metric: 'heat',
      direction: 'above',
      limit: 50,
      onDelayMs: ON_DELAY_MS,
    },
    { kind: 'missing-data', id: 'silent', text: 'Silent', afterMs: SILENT_AFTER_MS, appliesTo: { machines: ['m-*'] } },
  ];
  for (const rule of rules) {
    await platform.api.request('PUT', `/v1/rules/${rule.id}`, rule, { 'if-none-match': '*' });
  }
}

async function newToken(platform: PlatformProcess): Promise<string> {
  const body = { name: 'historian', roles: ['viewer'], lifetimeDays: 1 };
  return (await platform.api.request<{ token: string }>('POST', '/v1/tokens', body)).token;
}

async function statusWith(platform: PlatformProcess, token?: string): Promise<number> {
  return (
    await request(platform, '/v1/ledger', token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } })
  ).status;
}

function soon(what: string, holds: () => Promise<boolean>): Promise<void> {
  return until(what, holds, SOON_MS);
}

/** Takes notifications, or is away. */
async function startWebhook() {
  const webhook = { received: new Set<string>(), isAway: false, refused: 0 };
  const receiver = await startHttpReceiver((_request, response, body) => {
    if (webhook.isAway) webhook.refused += 1;
    else for (const [machine] of body.toString().matchAll(/hot-[a-z-]+/g)) webhook.received.add(machine);
    response.writeHead(webhook.isAway ? 503 : 204).end();
  });
  return Object.assign(webhook, receiver);
}
