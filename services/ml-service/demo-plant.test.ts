import { createHash } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import type { MachineEvent, StampedEvent } from '#core/domain/event.ts';
import { machineKey, type MachineId, type SiteId, type TenantId } from '#core/domain/ids.ts';
import { machineSchema } from '#core/domain/plant.ts';
import type { WaveformReference } from '#core/domain/waveform.ts';
import type { PredictionBody } from '#core/inference/prediction.ts';
import type { DerivedDocument } from '#core/ports/time-series-store.ts';
import { DEMO_MACHINES } from '#services/edge-simulator/plant.ts';
import { SimulatedMachine } from '#services/edge-simulator/simulated-machine.ts';
import { featureServiceConfigSchema } from '#services/feature-service/config.ts';
import { startFeatureService } from '#services/feature-service/feature-service.ts';
import { openEmbeddedPorts, type EmbeddedPorts } from '#test/support/embedded-ports.ts';
import { mlServiceConfigSchema } from './config.ts';
import { startMlService } from './ml-service.ts';

const TENANT = 'demo' as TenantId;
const SITE = 'plant-1' as SiteId;
const BEGIN_MS = 1_795_222_800_000;
const STEP_S = 3;
/** Two minutes: in the first 29 s the pump is healthy, after 79 s its drive-end bearing has failed. */
const STEPS = 40;
const BASELINE = 8;

/** Lets the demo plant send its waveforms through both services, and returns each machine's verdicts in time. */
async function judgeDemoPlant(ports: EmbeddedPorts): Promise<ReadonlyMap<string, readonly PredictionBody[]>> {
  const stream = await ports.get('eventStream');
  const objects = await ports.get('objectStore');
  const machines = await ports.get('machineRegistry');
  const common = {
    ...{ stream, objects, machines },
    deadLetter: (_event: StampedEvent, { detail }: { readonly detail: string }) => Promise.reject(new Error(detail)),
    clock: await ports.get('clock'),
    logger: pino({ level: 'silent' }),
    metrics: new Registry(),
  };
  const bodies = new Map<string, PredictionBody[]>(DEMO_MACHINES.map(({ description }) => [description.id, []]));
  for (const { description } of DEMO_MACHINES) {
    await machines.putMachine(TENANT, SITE, machineSchema.parse(description));
  }
  await stream.declareGroup('inference-results', 'test');
  const ml = await startMlService(mlServiceConfigSchema.parse({ indicator: { baselineVectors: BASELINE } }), {
    ...common,
    registry: await ports.get('modelRegistry'),
    inference: await ports.get('modelInference'),
    checkpoints: await ports.get('checkpointStore'),
  });
  const features = await startFeatureService(featureServiceConfigSchema.parse({}), {
    ...common,
    readings: { latest: async () => [] },
  });
  let missing = await sendWaveforms(ports);
  const done = Promise.withResolvers<undefined>();
  const subscription = await stream.subscribe(
    'inference-results',
    'test',
    async (batch) => {
      for (const { key, payload } of batch.events) {
        const { body } = JSON.parse(Buffer.from(payload).toString()) as DerivedDocument & { body: PredictionBody };
        bodies.get(key.split('/')[2]!)?.push(body);
        missing -= 1;
      }
      await batch.ack();
      if (missing === 0) done.resolve(undefined);
    },
    { maxBatchEvents: 100 },
  );
  await done.promise;
  await features.close();
  await ml.close();
  await subscription.close();
  return bodies;
}

/** Returns how many of the waveforms are of a running machine. */
async function sendWaveforms(ports: EmbeddedPorts): Promise<number> {
  const stream = await ports.get('eventStream');
  const objects = await ports.get('objectStore');
  const options = { seed: 1, runId: 'demo', speed: 1, waveformPoints: 8192 };
  const plant = DEMO_MACHINES.map((spec) => new SimulatedMachine(spec, options));
  let running = 0;
  for (let step = 0; step < STEPS; step++) {
    const events: MachineEvent[] = [];
    for (const machine of plant) {
      const {
        samples,
        id,
        scale = 1,
        ...waveform
      } = machine.waveform(step, step * STEP_S, BEGIN_MS + step * STEP_S * 1000);
      const sha256 = createHash('sha256').update(samples).digest('hex');
      await objects.put(`waveforms/${sha256}`, samples);
      const sampleCount = samples.byteLength / 2;
      const reference: WaveformReference = {
        ...waveform,
        ...{
          scale,
          waveformId: id,
          sensor: machine.spec.sensor,
          sampleCount,
          objectKey: `waveforms/${sha256}`,
          sha256,
        },
      };
      const key = machineKey(TENANT, SITE, machine.id as MachineId);
      const payload = Buffer.from(JSON.stringify(reference));
      events.push({ eventId: id, kind: 'waveform', key, items: 1, acceptedAtMs: BEGIN_MS, payload });
      if ((waveform.rpm ?? 0) > 200) running += 1;
    }
    await stream.publish('raw-waveform', events);
  }
  return running;
}

describe('the demo plant through feature-service and ml-service', () => {
  it('alarms at the pump whose bearing breaks, before it has failed, and at no other machine', async () => {
    await using ports = openEmbeddedPorts();
    const bodies = await judgeDemoPlant(ports);
    const alarms = [...bodies].map(([machine, all]) => [machine, all.filter(({ verdict }) => verdict === 'alarm')]);
    const byMachine = new Map(alarms as [string, PredictionBody[]][]);
    for (const { id } of DEMO_MACHINES.map(({ description }) => description)) {
      if (id === 'pump-1') continue;
      expect([id, byMachine.get(id)]).toEqual([id, []]);
    }
    const [first] = byMachine.get('pump-1') ?? [];
    const raisedAfterS = ((first?.window.toMs ?? Infinity) - BEGIN_MS) / 1000;
    expect(raisedAfterS).toBeGreaterThan(29);
    expect(raisedAfterS).toBeLessThan(79);
    expect(first?.contributions?.[0]).toMatchObject({ feature: expect.stringContaining('band_2500_5000_hz') });
  }, 120_000);
});
