import { describe, expect, it } from '@jest/globals';
import { DEFAULT_RULES } from '#core/alerting/default-rules.ts';
import { RuleEngine } from '#core/alerting/rule-engine.ts';
import { machineKey, type MachineId, type SiteId, type TenantId } from '#core/domain/ids.ts';
import { machineSchema, plantSchema } from '#core/domain/plant.ts';
import { decodeSamples } from '#core/domain/waveform.ts';
import { defectFrequenciesHz } from '#core/features/bearing.ts';
import { isoZoneBoundaries } from '#core/features/iso-20816.ts';
import type { WaveformMessage } from './messages.ts';
import { waveformJson, waveformJsonBytes } from './messages.ts';
import { DEMO_MACHINES, demoPlant } from './plant.ts';
import { PROFILES } from './profiles.ts';
import { SimulatedMachine } from './simulated-machine.ts';
import { amplitudes, envelope, rms } from './signal/spectrum-probe.ts';

const machine = (id: string, seed = 1): SimulatedMachine =>
  new SimulatedMachine(
    DEMO_MACHINES.find(({ description }) => description.id === id)!,
    {
      seed,
      runId: 'test',
      speed: 1,
      waveformPoints: PROFILES.demo.waveformPoints,
    },
  );

const ids = DEMO_MACHINES.map(({ description }) => description.id);

/** Ratio of the BPFO line to the median of its neighbourhood, in the envelope spectrum around the housing's resonance. */
function outerRaceRatio(waveform: WaveformMessage): number {
  const samples = decodeSamples(waveform.samples, waveform.encoding, waveform.scale ?? 1);
  const spectrum = amplitudes(envelope(samples, waveform.sampleRateHz, [2400, 4400]));
  const bearing = DEMO_MACHINES[0]!.vibration.bearing;
  const line = Math.round((defectFrequenciesHz(bearing, waveform.rpm!).bpfo * samples.length) / waveform.sampleRateHz);
  const neighbours = spectrum.slice(line - 20, line + 21).toSorted();
  return Math.max(...spectrum.subarray(line - 1, line + 2)) / neighbours[20]!;
}

describe('the demo plant', () => {
  it('is a plant as the platform takes it, at the tenant and site asked for', () => {
    expect(plantSchema.parse(demoPlant())).toMatchObject({ tenant: 'demo', site: 'plant-1' });
    expect(demoPlant({ tenant: 't', site: 's' })).toMatchObject({ tenant: 't', site: 's' });
  });

  it('is plain JSON', () => {
    expect(JSON.parse(JSON.stringify(demoPlant()))).toEqual(demoPlant());
  });

  it.each(ids)('%s sends only metrics of its catalogue, within their limits, for an hour', (id) => {
    const simulated = machine(id);
    const catalogue = new Map(simulated.spec.description.metrics?.map((metric) => [metric.name, metric]));
    for (let s = 0; s < 3600; s += 5) {
      for (const [name, value] of Object.entries(simulated.telemetry(s, s, 0).metrics)) {
        const { min = -Infinity, max = Infinity } = catalogue.get(name)!;
        expect(value).toBeGreaterThanOrEqual(min);
        expect(value).toBeLessThanOrEqual(max);
      }
    }
  });

  it.each(ids)(
    '%s raises no alarm of a missing metric in two hours of cycles and pauses, and one where a metric stops',
    (id) => {
      const simulated = machine(id);
      const parsed = machineSchema.parse(simulated.spec.description);
      const key = machineKey('demo' as TenantId, 'plant-1' as SiteId, id as MachineId);
      const raised: string[] = [];
      const engine = new RuleEngine({ latenessMs: 10_000 }, (each) => {
        if (each.type === 'activate') raised.push(each.part.metric ?? '');
      });
      const rule = DEFAULT_RULES.find((each) => each.id === 'metric-missing')!;
      engine.setRules([{ tenant: 'demo' as TenantId, rule, version: 1, updatedAtMs: 0, updatedBy: 'tribo' }]);
      engine.setMachines([{ key, machine: parsed, revision: 1 }]);
      const run = (fromS: number, toS: number, without?: string) => {
        for (let s = fromS; s < toS; s += 5) {
          const { [without ?? '']: _dead, ...metrics } = simulated.telemetry(s, s, 0).metrics as Record<string, number>;
          engine.observe({ key, acceptedAtMs: 1000 * s }, { ts: 1000 * s, metrics });
        }
      };
      run(0, 7200);
      expect(raised).toEqual([]);
      run(7200, 8400, 'temperature');
      expect(raised).toEqual(['temperature']);
    },
  );

  it.each(ids)('%s is in zone A or B of ISO 20816-3, and cool, while it is healthy', (id) => {
    const simulated = machine(id);
    const { bcMmPerS } = isoZoneBoundaries(2, simulated.spec.description.support!);
    for (let s = 0; s < 28; s++) {
      const { velocity_rms: velocity, temperature } = simulated.telemetry(s, s, 0).metrics;
      expect(velocity).toBeLessThan(0.8 * bcMmPerS);
      expect(temperature).toBeLessThan(75);
    }
  });

  it("shows the pump's outer race after 60 to 80 s and not in the first 30", () => {
    const pump = machine('pump-1');
    const ratioAt = (s: number): number => outerRaceRatio(pump.waveform(s, s, 0));
    const mean = (from: number, to: number): number => {
      const times = Array.from({ length: (to - from) / 3 }, (_, i) => from + 3 * i);
      return times.reduce((sum, s) => sum + ratioAt(s), 0) / times.length;
    };
    expect(mean(0, 30)).toBeLessThan(4);
    expect(mean(60, 81)).toBeGreaterThan(10);
    const strength = (s: number): number => {
      const { samples, encoding, scale } = pump.waveform(s, s, 0);
      return rms(decodeSamples(samples, encoding, scale ?? 1));
    };
    expect(strength(85)).toBeGreaterThan(3 * strength(10));
  });

  it.each(ids.filter((id) => id !== 'pump-1'))('%s shows no fault in the first five minutes', (id) => {
    for (const s of [0, 100, 200, 300]) expect(machine(id).life(s).severity).toBe(0);
  });

  it('stops the pump while its bearing is changed, and gives it back healthy', () => {
    const pump = machine('pump-1');
    const repairAtS = ((8 + 14 + 330) * 3600) / 1000;
    expect(pump.life(repairAtS - 1).phase).toBe('failed');
    expect(pump.telemetry(0, repairAtS + 5, 0).metrics['rpm']).toBe(0);
    expect(pump.life(repairAtS + 30).phase).toBe('healthy');
  });

  it('has a press whose cycle is seen in its metrics', () => {
    const press = machine('press-1');
    const metrics = Array.from({ length: 97 }, (_, s) => press.telemetry(s, s, 0).metrics);
    const values = (name: string): number[] => metrics.map((each) => each[name] as number);
    expect(Math.max(...values('pressure'))).toBeGreaterThan(150);
    expect(Math.min(...values('pressure'))).toBeLessThan(5);
    expect(values('cycle_count').at(-1)).toBe(2);
    expect(Math.max(...values('mould_temperature')) - Math.min(...values('mould_temperature'))).toBeGreaterThan(5);
  });

  it.each(Object.entries(PROFILES))(
    'has waveforms in profile %s that fit an MQTT message',
    (_name, { waveformPoints }) => {
      const pump = new SimulatedMachine(DEMO_MACHINES[0]!, { seed: 1, runId: 'test', speed: 1, waveformPoints });
      const bytes = Buffer.byteLength(waveformJson(pump.waveform(0, 0, 0)));
      expect(bytes).toBeLessThanOrEqual(waveformJsonBytes(waveformPoints, 'i16le'));
      expect(waveformJsonBytes(waveformPoints, 'i16le')).toBeLessThanOrEqual(128 * 1024);
    },
  );

  it('has a low-rate profile that sends at most a tenth of the messages and a thirtieth of the bytes', () => {
    const perMinute = ({
      telemetryPeriodMs,
      readingsPerWaveform,
      waveformPoints,
    }: (typeof PROFILES)[keyof typeof PROFILES]) => {
      const readings = 60_000 / telemetryPeriodMs;
      return { readings, bytes: readings * 150 + (readings / readingsPerWaveform) * waveformPoints * 2 };
    };
    expect(perMinute(PROFILES['low-rate']).readings).toBeLessThanOrEqual(perMinute(PROFILES.demo).readings / 10);
    expect(perMinute(PROFILES['low-rate']).bytes).toBeLessThanOrEqual(perMinute(PROFILES.demo).bytes / 30);
  });
});

describe('a simulated machine', () => {
  it('says the same for the same seed, and something else for another', () => {
    const said = (seed: number): unknown[] => {
      const simulated = machine('gearbox-1', seed);
      return [0, 1, 2].flatMap((i) => [simulated.telemetry(i, i, i), simulated.waveform(i, i, i)]);
    };
    expect(said(7)).toEqual(said(7));
    expect(said(7)).not.toEqual(said(8));
  });

  it('names its messages by run, machine and sequence', () => {
    expect(machine('fan-1').telemetry(17, 17, 0).id).toBe('test.fan-1.t17');
    expect(machine('fan-1').waveform(3, 9, 0).id).toBe('test.fan-1.w3');
  });
});
