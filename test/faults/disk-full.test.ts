import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from '@jest/globals';
import type { AlarmView } from '#services/api-gateway/schemas/alarms.ts';
import { attention, request, sendTelemetry, unreadiness, type HttpAnswer } from '#test/support/edge-requests.ts';
import { LedgerWatch } from '#test/support/ledger-watch.ts';
import { acknowledgedIds, readingsSent, startLoad } from '#test/support/load-process.ts';
import { MqttDevice } from '#test/support/mqtt-device.ts';
import { PlatformProcess, SITE, until, type PlatformOptions } from '#test/support/platform-process.ts';
import { describeOnSmallDisk, RoomyFolder, SmallDisk } from '#test/support/small-disk.ts';
import { compareWithStored, NOTHING_WRONG } from '#test/support/stored-events.ts';

const TIMEOUT_MS = 300_000;
const PROBE = 'probe';
const HOT_MACHINES = 300;
const MACHINES = Array.from({ length: 20 }, (_, machine) => `m-${machine}`);
const HOT = Array.from({ length: HOT_MACHINES }, (_, machine) => `hot-${machine}`);
const METRICS = ['velocity_rms', 'temperature'];
const LOAD_SECONDS = 20;
const RATE_PER_S = 500;
/** Behind by so much, the store is not merely busy. */
const STALLED_S = 4;
const WATCHED_MS = 2000;
const QUIET_MS = 500;
const REFUSED = [429, 503, 507];

interface Situation {
  readonly platform: PlatformProcess;
  readonly ackFile: string;
  readonly disk: SmallDisk;
  /** A device of the machine {@link PROBE}, besides the load. */
  readonly device: MqttDevice;
  readonly topic: string;
}

interface Place {
  readonly what: string;
  readonly sizeMiB: number;
  readonly options: (disk: SmallDisk, room: RoomyFolder) => PlatformOptions;
  readonly before?: (situation: Situation) => Promise<void>;
  /** Checks what holds while the disk is full; resolves with what holds once there is space again. */
  readonly whileFull: (situation: Situation) => Promise<() => Promise<void>>;
}

const places: readonly Place[] = [
  {
    // The log refuses below its reserve, so the disk never is entirely full; the ballast takes the rest.
    what: 'the event log stops the intake, which says why, acknowledges nothing',
    sizeMiB: 192,
    options: linked('streams'),
    whileFull: async (situation) => {
      const { platform, ackFile, device, topic } = situation;
      const answer = await untilRefused('telemetry by HTTP is refused', () => probeByHttp(platform));
      expect(answer).toMatchObject({ status: 429, problem: { type: 'urn:tribo:problem:overloaded' } });
      expect(answer.retryAfterS).toBeGreaterThan(0);
      await until('the refusal names the disk', async () =>
        /file system|disk/.test((await probeByHttp(platform)).problem?.detail ?? ''),
      );
      // No waveform came yet, so that intake is ready for those.
      await until('what calls for attention names the disk', async () =>
        /file system|disk/.test((await attention(platform))['back-pressure'] ?? ''),
      );
      let isAcknowledged = false;
      const waiting = device.publishTo(topic, probe('waits-for-space')).then(() => (isAcknowledged = true));
      const before = await settledCount(ackFile);
      await sleep(WATCHED_MS);
      expect(isAcknowledged).toBe(false);
      expect(acknowledgedIds(ackFile)).toHaveLength(before);
      return async () => {
        await waiting;
      };
    },
  },
  {
    what: 'the time-series store is waited for, which readiness says,',
    sizeMiB: 192,
    options: linked('time-series'),
    whileFull: async ({ platform }) => {
      await until('the store has fallen behind by seconds', async () => {
        const ledger = await platform.ledger().catch(() => undefined);
        return (ledger?.pending ?? 0) > STALLED_S * RATE_PER_S * METRICS.length;
      });
      expect(await probeByHttp(platform)).toMatchObject({ status: 202 });
      expect((await unreadiness(platform))['timeseries-service']).toMatch(/full|space|disk/i);
      return async () => undefined;
    },
  },
  {
    what: 'the objects refuses waveforms alone, with the reason,',
    sizeMiB: 16,
    options: linked('objects'),
    whileFull: async ({ platform, device, topic, ackFile }) => {
      const answer = await untilRefused('a waveform is refused', () => sendWaveform(platform, 'by-http'));
      expect(answer.problem?.detail).toMatch(/full|space/i);
      let isAcknowledged = false;
      const samples = Buffer.alloc(8192, 1).toString('base64');
      const waveform = { id: 'by-mqtt', ts: Date.now(), sampleRateHz: 4096, unit: 'g', encoding: 'f32le', samples };
      const waiting = device
        .publishTo(topic.replace(/telemetry$/, 'waveform/de'), JSON.stringify(waveform))
        .then(() => (isAcknowledged = true));
      const before = acknowledgedIds(ackFile).length;
      await sleep(WATCHED_MS);
      expect(isAcknowledged).toBe(false);
      expect(acknowledgedIds(ackFile).length).toBeGreaterThan(before + (WATCHED_MS / 1000) * (RATE_PER_S / 2));
      return async () => {
        await waiting;
        expect(await sendWaveform(platform, 'by-http')).toMatchObject({ status: 202 });
        await until('both waveforms can be read', async () => {
          const { body } = await request(platform, `/v1/machines/${PROBE}/waveforms?site=${SITE}`);
          return (body as { readonly items?: readonly unknown[] }).items?.length === 2;
        });
      };
    },
  },
  {
    what: 'registries, alarm journal, checkpoints and models stops no reading, delays alarms and loses none,',
    sizeMiB: 64,
    options: (disk, room) => ({
      parentFolder: disk.folder,
      prepare: (dataDir) => {
        for (const folder of ['streams', 'time-series', 'objects']) {
          mkdirSync(join(room.folder, folder));
          symlinkSync(join(room.folder, folder), join(dataDir, folder));
        }
      },
    }),
    before: async ({ platform }) => {
      const rule = { kind: 'threshold', id: 'heat-high', text: 'Hot', metric: 'heat', direction: 'above', limit: 50 };
      await platform.api.request('PUT', '/v1/rules/heat-high', rule, { 'if-none-match': '*' });
      await platform.api.request('PUT', '/v1/plant', plantOf(HOT));
    },
    whileFull: async ({ platform, ackFile }) => {
      const before = acknowledgedIds(ackFile).length;
      for (const machine of HOT) {
        const reading = { id: `${machine}-alarm`, ts: Date.now(), metrics: { heat: 99 } };
        expect(await sendTelemetry(platform, machine, [reading])).toMatchObject({ status: 202 });
      }
      // Whatever still fits into pages that the journal has, it does not have room for all of them.
      await until('readiness says that alarms cannot be recorded', async () =>
        /full|space/i.test((await unreadiness(platform))['alert-engine'] ?? ''),
      );
      const answer = await untilRefused('a new plant is refused', () => putPlant(platform));
      expect(answer.problem?.detail).toMatch(/full|space/i);
      expect(acknowledgedIds(ackFile).length).toBeGreaterThan(before);
      expect((await raisedAlarms(platform)).length).toBeLessThan(HOT_MACHINES);
      return async () => {
        await until('every alarm is raised', async () => (await raisedAlarms(platform)).length >= HOT_MACHINES);
        const machines = (await raisedAlarms(platform)).map(({ machine }) => machine);
        expect(machines.sort()).toEqual([...HOT].sort());
        expect(await putPlant(platform)).toMatchObject({ status: 200 });
      };
    },
  },
];

describeOnSmallDisk.each(places)('a full disk under $what', ({ what, sizeMiB, options, before, whileFull }) => {
  it(
    'loses nothing, and all goes on by itself when there is space again',
    async () => {
      await using room = new RoomyFolder();
      await using disk = new SmallDisk(sizeMiB);
      await using platform = await PlatformProcess.start({
        env: { TRIBO_LOG_LEVEL: 'silent' },
        ...options(disk, room),
      });
      const ackFile = join(room.folder, 'acknowledged');
      const devices = await platform.addDevices([...MACHINES, PROBE], MACHINES.length + 1);
      const { device: id, secret, topics } = devices[MACHINES.length]!;
      const device = await MqttDevice.connect(platform.mqttPort, { clientId: id, username: id, password: secret });
      const situation = { platform, ackFile, disk, device, topic: topics.find((each) => each.endsWith('telemetry'))! };
      await before?.(situation);
      await using load = startLoad({
        port: platform.mqttPort,
        connections: devices.slice(0, MACHINES.length),
        metrics: METRICS,
        idPrefix: 'full',
        maxInFlight: 20,
        ratePerS: RATE_PER_S,
        seconds: LOAD_SECONDS,
        drainSeconds: 60,
        reconnect: true,
        ackFile,
      });
      await load.begun(ackFile);
      await using watch = new LedgerWatch(platform);
      disk.fill();
      const onceThereIsSpace = await whileFull(situation);
      disk.free();
      await until('the intake takes data again', async () => (await probeByHttp(platform)).status === 202);
      await onceThereIsSpace();

      const result = await load.result;
      const ledger = await platform.drainedLedger();
      await until('it is ready again', async () => Object.keys(await unreadiness(platform)).length === 0);
      const seen = await watch.stop();
      await device.disconnect();
      expect(await platform.stop()).toMatchObject({ code: 0 });
      const acknowledged = acknowledgedIds(ackFile);
      const comparison = await compareWithStored(platform.dataDir, {
        ...{ machines: MACHINES, acknowledged, ledger },
        readingsOf: readingsSent(METRICS, result),
      });
      console.info(
        `a full disk under ${what}: ${result.offered} offered, ${acknowledged.length} acknowledged, ${comparison.stored} stored; ` +
          `ledger read ${seen.readings} times, unreadable ${seen.unreadable} times, at most ${seen.peakPending} pending`,
      );
      expect(ledger).toMatchObject({ exact: true, pending: 0, rejected: 0, deadLettered: 0 });
      // The ledger is told throughout: no part of it needs space.
      expect(seen).toMatchObject({ wrong: [], unreadable: 0, whyUnreadable: undefined });
      expect(acknowledged).toHaveLength(result.acknowledged);
      expect(comparison).toMatchObject(NOTHING_WRONG);
      expect(comparison.readings).toBe(comparison.stored * METRICS.length);
    },
    TIMEOUT_MS,
  );
});

/** The folder is on the small disk, and the rest of the data is not. */
function linked(folder: string): Place['options'] {
  return (disk) => ({ prepare: (dataDir) => symlinkSync(disk.folder, join(dataDir, folder)) });
}

async function untilRefused(what: string, send: () => Promise<HttpAnswer>): Promise<HttpAnswer> {
  let answer: HttpAnswer | undefined;
  await until(what, async () => {
    answer = await send();
    return answer.status >= 400;
  });
  expect(REFUSED).toContain(answer?.status);
  return answer!;
}

function probe(id: string): string {
  return JSON.stringify({ id, ts: Date.now(), metrics: { probe: 1 } });
}

function probeByHttp(platform: PlatformProcess): Promise<HttpAnswer> {
  return sendTelemetry(platform, PROBE, [{ ts: Date.now(), metrics: { probe: 1 } }]);
}

function sendWaveform(platform: PlatformProcess, id: string): Promise<HttpAnswer> {
  const query = new URLSearchParams({
    ...{ site: SITE, machine: PROBE, sensor: 'de', id, ts: String(Date.now()) },
    ...{ sampleRateHz: '4096', unit: 'g', encoding: 'f32le' },
  });
  return request(platform, `/v1/waveforms?${query.toString()}`, {
    method: 'POST',
    headers: { 'content-type': 'application/octet-stream' },
    body: Buffer.alloc(16_384),
  });
}

/** How many were acknowledged once no more come: the last that still had room are written down a moment after they are acknowledged. */
async function settledCount(ackFile: string): Promise<number> {
  let count = -1;
  await until('nothing is acknowledged any more', async () => {
    const before = count;
    await sleep(QUIET_MS);
    count = acknowledgedIds(ackFile).length;
    return count === before;
  });
  return count;
}

function plantOf(machines: readonly string[]) {
  return { tenant: 'demo', site: SITE, machines: machines.map((id) => ({ id, class: 'other' })) };
}

let newMachines = 0;

/** More than fits into whatever room the registry's own pages have left; other machines each time, for what is so already is not written. */
function putPlant(platform: PlatformProcess): Promise<HttpAnswer> {
  return request(platform, '/v1/plant', {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(plantOf(Array.from({ length: 2000 }, () => `new-${newMachines++}`))),
  });
}

async function raisedAlarms(platform: PlatformProcess): Promise<readonly AlarmView[]> {
  const alarms: AlarmView[] = [];
  for (let cursor: string | undefined; ;) {
    const query = new URLSearchParams({ limit: '200', ...(cursor !== undefined && { cursor }) });
    const page = await platform.api.request<{ items: AlarmView[]; nextCursor?: string }>(
      'GET',
      `/v1/alarms?${query.toString()}`,
    );
    alarms.push(...page.items);
    if (page.nextCursor === undefined) return alarms;
    cursor = page.nextCursor;
  }
}
