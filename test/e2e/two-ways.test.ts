import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { AddedDevice } from '#services/api-gateway/schemas/devices.ts';
import type { Series } from '#services/api-gateway/schemas/machines.ts';
import type { WaveformList } from '#services/api-gateway/schemas/waveforms.ts';
import { demoPlant, DEMO_MACHINES } from '#services/edge-simulator/plant.ts';
import { PROFILES } from '#services/edge-simulator/profiles.ts';
import { SimulatedMachine } from '#services/edge-simulator/simulated-machine.ts';
import { HttpUplink } from '#services/edge-simulator/transport/http-uplink.ts';
import { MqttUplink } from '#services/edge-simulator/transport/mqtt-uplink.ts';
import { encodeTelemetry } from '#services/edge-simulator/transport/uplink.ts';
import { PlatformProcess, TENANT } from '#test/support/platform-process.ts';

const TIMEOUT_MS = 240_000;
const READINGS = 20;
const WAYS = { http: 'by-http', mqtt: 'by-mqtt' } as const;
/** Of the first reading; the others follow a second apart. */
const beginMs = Date.now() - 60_000;

/** What one simulated machine has to say: some readings, and a waveform. */
const recordings = DEMO_MACHINES.map((spec) => {
  const { waveformPoints } = PROFILES['low-rate'];
  const machine = new SimulatedMachine(spec, { seed: 7, runId: 'same', speed: 1, waveformPoints });
  return {
    machine: machine.id,
    sensor: spec.sensor,
    readings: Array.from({ length: READINGS }, (_, i) => machine.telemetry(i, 60 + i, beginMs + i * 1000)),
    waveform: machine.waveform(0, 60, beginMs),
  };
});
const ids = recordings.map(({ machine }) => machine);

describe('the simulator’s two ways in', () => {
  let platform: PlatformProcess;
  beforeAll(async () => {
    platform = await PlatformProcess.start();
    for (const site of Object.values(WAYS)) {
      const { machines } = demoPlant();
      await platform.api.request('PUT', '/v1/plant', { site, machines });
    }
  }, TIMEOUT_MS);
  afterAll(async () => {
    await platform[Symbol.asyncDispose]();
  });

  it(
    'lead to the same stored readings and waveforms, which are those that were sent: values, times, samples and all',
    async () => {
      await sendByBoth(platform);
      const items = recordings
        .flatMap(({ readings }) => readings)
        .reduce((sum, { metrics }) => sum + Object.keys(metrics).length, ids.length);
      expect(await platform.drainedLedger()).toMatchObject({
        exact: true,
        stored: 2 * items,
        rejected: 0,
        duplicate: 0,
      });
      for (const recording of recordings) {
        const metrics = Object.keys(recording.readings[0]!.metrics);
        const sent = Object.fromEntries(
          metrics.map((metric) => [metric, recording.readings.map(({ ts, metrics: of }) => [ts, of[metric]])]),
        );
        for (const site of Object.values(WAYS)) {
          expect([site, await storedReadings(platform, site, recording.machine, metrics)]).toEqual([site, sent]);
          expect([site, await storedWaveforms(platform, site, recording.machine)]).toEqual([
            site,
            [describedWaveform(recording)],
          ]);
        }
      }
    },
    TIMEOUT_MS,
  );
});

async function sendByBoth(platform: PlatformProcess): Promise<void> {
  const { secret } = await platform.api.request<AddedDevice>('POST', '/v1/devices', {
    id: 'gateway-1',
    machines: ids.map((machine) => ({ site: WAYS.mqtt, machine })),
  });
  const uplinks = [
    new HttpUplink({ url: platform.url, site: WAYS.http, token: platform.api.token }),
    new MqttUplink({
      ...{ url: `mqtt://127.0.0.1:${platform.mqttPort}`, tenant: TENANT, site: WAYS.mqtt },
      device: { id: 'gateway-1', secret, machines: ids },
    }),
  ];
  for (const uplink of uplinks) {
    for (const { machine, sensor, readings, waveform } of recordings) {
      await uplink.send({ kind: 'telemetry', machine, messages: readings.map(encodeTelemetry) });
      await uplink.send({ kind: 'waveform', machine, sensor, message: waveform });
    }
    await uplink.close();
  }
}

async function storedReadings(platform: PlatformProcess, site: string, machine: string, metrics: readonly string[]) {
  const range = { from: String(beginMs), to: String(beginMs + READINGS * 1000) };
  const stored = metrics.map(async (metric) => {
    const query = new URLSearchParams({ site, metric, ...range });
    const { ts, columns } = await platform.api.request<Series>(
      'GET',
      `/v1/machines/${machine}/series?${query.toString()}`,
    );
    return [metric, ts.map((at, i) => [at, columns['value']?.[i]])];
  });
  return Object.fromEntries(await Promise.all(stored)) as object;
}

async function storedWaveforms(platform: PlatformProcess, site: string, machine: string) {
  const { items } = await platform.api.request<WaveformList>('GET', `/v1/machines/${machine}/waveforms?site=${site}`);
  return items.map(({ id: _, site: __, durationMs: ___, ...waveform }) => waveform);
}

function describedWaveform({ machine, sensor, waveform }: (typeof recordings)[number]) {
  const { id: _, ts, samples, ...described } = waveform;
  const sha256 = createHash('sha256').update(samples).digest('hex');
  return { ...described, machine, sensor, tsMs: ts, sampleCount: samples.length / 2, sha256 };
}
