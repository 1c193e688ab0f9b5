import { describe, expect, it } from '@jest/globals';
import { plantSchema } from '#core/domain/plant.ts';
import { MetricCatalogue } from '#core/ingestion/metric-catalogue.ts';
import { readTelemetry } from '#core/ingestion/telemetry.ts';
import { readWaveformJson } from '#core/ingestion/waveform.ts';
import { waveformJson } from './messages.ts';
import { DEMO_MACHINES, demoPlant } from './plant.ts';
import { SimulatedMachine } from './simulated-machine.ts';

const NOW_MS = Date.parse('2026-11-21T01:00:00Z');
const RULES = { nowMs: NOW_MS, maxAheadMs: 300_000, acceptAgeMs: 7 * 86_400_000, imported: false };

describe('what the demo plant says', () => {
  const plant = plantSchema.parse(demoPlant());

  it.each(plant.machines.map(({ id, metrics }) => ({ id, metrics })))(
    'of $id is admitted by the platform’s intake without a rejection, running, failing and standing still',
    ({ id, metrics }) => {
      const catalogue = new MetricCatalogue(metrics);
      const spec = DEMO_MACHINES.find(({ description }) => description.id === id)!;
      const machine = new SimulatedMachine(spec, { seed: 1, runId: 's1-abc', speed: 1, waveformPoints: 1024 });
      // The last two: while the fan pauses, and while the pump's bearing is changed.
      for (const [sequence, elapsedS] of [0, 30, 80, 880, 1275].entries()) {
        const message = machine.telemetry(sequence, elapsedS, NOW_MS);
        const reading = readTelemetry(Buffer.from(JSON.stringify(message)), catalogue, RULES);
        expect(reading.rejections).toEqual([]);
        expect(reading.admitted).toMatchObject([
          { id: message.id, items: Object.keys(message.metrics).length, rejections: [] },
        ]);
        const waveform = readWaveformJson(
          Buffer.from(waveformJson(machine.waveform(sequence, elapsedS, NOW_MS))),
          RULES,
        );
        expect(waveform).not.toHaveProperty('code');
      }
    },
  );
});
