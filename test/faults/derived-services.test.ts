import { createHash } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import { until } from '#core/contracts/until.ts';
import type { MachineEvent } from '#core/domain/event.ts';
import { machineKey, type MachineId, type SiteId, type TenantId } from '#core/domain/ids.ts';
import { machineSchema } from '#core/domain/plant.ts';
import type { WaveformReference } from '#core/domain/waveform.ts';
import { healthModelRef } from '#core/inference/health-model.ts';
import type { PredictionBody } from '#core/inference/prediction.ts';
import type { BoundPorts, PortName } from '#core/ports/tokens.ts';
import type { StoredDocument, TimeSeriesStore } from '#core/ports/time-series-store.ts';
import { DEMO_MACHINES } from '#services/edge-simulator/plant.ts';
import { createRandom } from '#services/edge-simulator/signal/random.ts';
import { quantise16 } from '#services/edge-simulator/signal/quantise.ts';
import { synthesiseVibration } from '#services/edge-simulator/signal/vibration.ts';
import { supervise, type Supervised } from '#services/platform/supervisor.ts';
import { connectPort } from '#services/shared/rpc/port-client.ts';
import { socketPath } from '#services/shared/rpc/socket-path.ts';
import { TIME_SERIES_PORT } from '#services/shared/rpc/time-series-port.ts';
import { openEmbeddedPorts } from '#test/support/embedded-ports.ts';

const TENANT = 'demo' as TenantId;
const SITE = 'akron' as SiteId;
const PUMP = machineKey(TENANT, SITE, 'pump-1' as MachineId);
const BEGIN_MS = Date.now() - 86_400_000;
const RATE_HZ = 25_600;
const SCALE = 16 / 32_768;
/** As many as a baseline takes, and then healthy and ill ones. */
const HEALTHY = 112;
const ALL = 130;

const entry = (service: string) => fileURLToPath(new URL(`../../services/${service}/main.ts`, import.meta.url));

class Processes implements AsyncDisposable {
  readonly #ports = openEmbeddedPorts();
  readonly #running: Supervised[] = [];
  readonly store = connectPort<TimeSeriesStore>(socketPath(this.#ports.dataDir, TIME_SERIES_PORT), 'the store', {
    waitMs: 10_000,
  });

  port<Name extends PortName>(name: Name): Promise<BoundPorts[Name]> {
    return this.#ports.get(name);
  }

  /** In this order a stage's groups are declared before the stage before it publishes. */
  async start(): Promise<void> {
    for (const name of ['timeseries-service', 'ml-service', 'feature-service']) {
      const env = { TRIBO_DATA_DIR: this.#ports.dataDir, TRIBO_LOG_LEVEL: 'error' };
      this.#running.push(await supervise({ name, entry: entry(name), env: () => env }, () => undefined));
    }
  }

  /** kill -9; the supervisor starts it again. */
  kill(name: string): void {
    const pid = this.#running.find((each) => each.name === name)?.pid();
    if (pid === undefined) throw new Error(`${name} does not run`);
    process.kill(pid, 'SIGKILL');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const each of this.#running.toReversed()) await each.stop();
    this.store.disconnect();
    await this.#ports[Symbol.asyncDispose]();
  }
}

/** The demo's pump, whose outer race breaks after {@link HEALTHY} waveforms. */
async function waveformEvent(n: number, objects: BoundPorts['objectStore']): Promise<MachineEvent> {
  const model = DEMO_MACHINES.find(({ description }) => description.id === 'pump-1')!.vibration;
  const point = { rpm: 2950, load: 0.8, faults: n < HEALTHY ? {} : { 'bearing-outer': 0.6 } };
  const recording = { sampleRateHz: RATE_HZ, points: 4096 };
  const samples = synthesiseVibration(model, point, recording, createRandom(`test/${n}`));
  const bytes = quantise16(samples, SCALE);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const waveform: WaveformReference = {
    waveformId: `w${n}`,
    sensor: 'de-radial',
    ts: BEGIN_MS + 1000 * n,
    sampleRateHz: RATE_HZ,
    unit: 'g',
    encoding: 'i16le',
    scale: SCALE,
    sampleCount: samples.length,
    rpm: point.rpm,
    objectKey: `waveforms/${sha256}`,
    sha256,
  };
  await objects.put(waveform.objectKey, bytes);
  const payload = Buffer.from(JSON.stringify(waveform));
  return { eventId: waveform.waveformId, kind: 'waveform', key: PUMP, items: 1, acceptedAtMs: Date.now(), payload };
}

async function predictionsOf(store: TimeSeriesStore): Promise<readonly StoredDocument[]> {
  const range = { fromMs: BEGIN_MS, toMs: BEGIN_MS + 1000 * ALL };
  const documents = await store.documents({ machine: PUMP, kind: 'prediction', ...range, limit: 1000 });
  return documents.toReversed();
}

describe('feature-service and ml-service as processes of their own', () => {
  it('judge every waveform of a breaking bearing, although both are killed again and again', async () => {
    await using processes = new Processes();
    const machines = await processes.port('machineRegistry');
    const { description } = DEMO_MACHINES.find(({ description: { id } }) => id === 'pump-1')!;
    await machines.putMachine(TENANT, SITE, machineSchema.parse({ ...description, operatingState: undefined }));
    await processes.start();
    const stream = await processes.port('eventStream');
    const objects = await processes.port('objectStore');
    for (let n = 0; n < ALL; n++) {
      await stream.publish('raw-waveform', [await waveformEvent(n, objects)]);
      if (n === 30 || n === 105) processes.kill('ml-service');
      if (n === 50 || n === 118) processes.kill('feature-service');
    }
    await until(async () => (await predictionsOf(processes.store)).length >= ALL, 'all predictions are made', 60_000);
    const predictions = await predictionsOf(processes.store);
    const verdicts = predictions.map(({ body }) => (body as PredictionBody).verdict);
    expect(predictions.map(({ ts }) => (ts - BEGIN_MS) / 1000)).toEqual(Array.from({ length: ALL }, (_, n) => n));
    expect(verdicts.slice(0, HEALTHY)).not.toContain('alarm');
    expect(verdicts.slice(HEALTHY + 5)).toEqual(Array<string>(ALL - HEALTHY - 5).fill('alarm'));
    const models = await processes.port('modelRegistry');
    expect(await models.listVersions(healthModelRef(PUMP, 'de-radial'), { limit: 9 })).toHaveLength(1);
    expect(await processes.store.deadLetters({ tenant: TENANT, limit: 9 })).toEqual([]);
  }, 120_000);
});
