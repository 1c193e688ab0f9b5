import { createHash } from 'node:crypto';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import type { MachineEvent, StampedEvent } from '#core/domain/event.ts';
import {
  machineKey,
  machineRef,
  type MachineId,
  type MachineKey,
  type SiteId,
  type TenantId,
} from '#core/domain/ids.ts';
import { machineSchema } from '#core/domain/plant.ts';
import type { WaveformReference } from '#core/domain/waveform.ts';
import type { PredictionBody } from '#core/inference/prediction.ts';
import type { DeliveryBatch } from '#core/ports/event-stream.ts';
import type { DerivedDocument } from '#core/ports/time-series-store.ts';
import type { BoundPorts, PortName } from '#core/ports/tokens.ts';
import { featureServiceConfigSchema } from '#services/feature-service/config.ts';
import { startFeatureService } from '#services/feature-service/feature-service.ts';
import { mlServiceConfigSchema } from '#services/ml-service/config.ts';
import { startMlService } from '#services/ml-service/ml-service.ts';
import { DATASETS_FOLDER, pronostiaBearings, type PronostiaBearing } from '#test/datasets/pronostia.ts';
import { openEmbeddedPorts } from '#test/support/embedded-ports.ts';

/** What the services said of one bearing's life. */
export interface PronostiaVerdict {
  readonly bearing: string;
  readonly snapshots: number;
  /** Snapshots at which the verdict became `alarm`. */
  readonly alerts: readonly number[];
  /** Of those, the ones in the first half of life. */
  readonly falseAlarms: number;
  /** From the first snapshot in the second half of life with the verdict `alarm` to the last one; undefined without one. */
  readonly leadSeconds: number | undefined;
}

export interface PronostiaRun {
  readonly verdicts: readonly PronostiaVerdict[];
  /** Through object store, stream, features, stream, ONNX, checkpoint and stream. */
  readonly waveformsPerS: number;
  /** CPU time of this process for a waveform, making and sending it included. */
  readonly cpuMsPerWaveform: number;
}

const TENANT = 'bench' as TenantId;
const SITE = 'femto' as SiteId;
const BEGIN_MS = Date.UTC(2026, 0, 1);
const SCALE_G = 0.002;
const PUBLISHED_TOGETHER = 60;

/**
 * Runs the six run-to-failure recordings through feature-service and ml-service on the embedded adapters, at full speed, with the parameters as
 * shipped. `only` limits it to some bearings.
 *
 * @throws Error where the data set is absent.
 */
export async function runPronostia(only?: readonly string[]): Promise<PronostiaRun> {
  const bearings = pronostiaBearings()?.filter(({ name }) => only?.includes(name) ?? true);
  if (!bearings) throw new Error(`no PRONOSTIA in ${DATASETS_FOLDER}; set TRIBO_DATASETS`);
  await using ports = openEmbeddedPorts();
  return await runThrough(bearings, (name) => ports.get(name));
}

type Port = <Name extends PortName>(name: Name) => Promise<BoundPorts[Name]>;

async function runThrough(bearings: readonly PronostiaBearing[], port: Port): Promise<PronostiaRun> {
  const stream = await port('eventStream');
  const machines = await port('machineRegistry');
  const lives = new Map(bearings.map((bearing) => [keyOf(bearing), new Map<number, string>()]));
  const total = bearings.reduce((sum, { snapshots }) => sum + snapshots, 0);
  const intervalOf = new Map(bearings.map((bearing) => [keyOf(bearing), bearing.intervalSeconds]));
  const done = Promise.withResolvers<undefined>();
  let predictions = 0;
  const collect = async (batch: DeliveryBatch): Promise<void> => {
    for (const event of batch.events) {
      const { ts, verdict } = verdictOf(event);
      const life = lives.get(event.key)!;
      const snapshot = (ts - BEGIN_MS) / (1000 * intervalOf.get(event.key)!);
      if (!life.has(snapshot)) predictions += 1;
      life.set(snapshot, verdict);
    }
    await batch.ack();
    if (predictions >= total) done.resolve(undefined);
  };
  for (const bearing of bearings) await machines.putMachine(TENANT, SITE, rig(bearing));
  await stream.declareGroup('inference-results', 'bench');
  const subscription = await stream.subscribe('inference-results', 'bench', collect, { maxBatchEvents: 1000 });
  const services = await startServices(port, (reason) => done.reject(new Error(`a dead letter: ${reason}`)));
  const startedMs = performance.now();
  const cpuBefore = process.cpuUsage();
  await publishLives(bearings, port);
  await done.promise;
  const seconds = (performance.now() - startedMs) / 1000;
  const { user, system } = process.cpuUsage(cpuBefore);
  for (const service of services) await service.close();
  await subscription.close();
  const verdicts = bearings.map((bearing) => judge(bearing, lives.get(keyOf(bearing))!));
  return { verdicts, waveformsPerS: total / seconds, cpuMsPerWaveform: (user + system) / 1000 / total };
}

async function startServices(port: Port, onDeadLetter: (reason: string) => void) {
  const common = {
    stream: await port('eventStream'),
    machines: await port('machineRegistry'),
    deadLetter: async (_event: StampedEvent, { detail }: { readonly detail: string }) => onDeadLetter(detail),
    clock: await port('clock'),
    logger: pino({ level: 'silent' }),
    metrics: new Registry(),
  };
  const registry = await port('modelRegistry');
  const inference = await port('modelInference');
  const checkpoints = await port('checkpointStore');
  const ml = await startMlService(mlServiceConfigSchema.parse({}), { ...common, registry, inference, checkpoints });
  const objects = await port('objectStore');
  const readings = { latest: async () => [] };
  const features = await startFeatureService(featureServiceConfigSchema.parse({}), { ...common, objects, readings });
  return [features, ml];
}

/** All bearings at the same time, snapshot by snapshot, as a plant's machines would come. */
async function publishLives(bearings: readonly PronostiaBearing[], port: Port): Promise<void> {
  const stream = await port('eventStream');
  const objects = await port('objectStore');
  const longest = Math.max(...bearings.map(({ snapshots }) => snapshots));
  let together: Promise<MachineEvent>[] = [];
  const flush = async (): Promise<void> => {
    await stream.publish('raw-waveform', await Promise.all(together));
    together = [];
  };
  for (let snapshot = 0; snapshot < longest; snapshot++) {
    for (const bearing of bearings) {
      if (snapshot >= bearing.snapshots) continue;
      together.push(waveformEvent(bearing, snapshot, objects));
      if (together.length >= PUBLISHED_TOGETHER) await flush();
    }
  }
  await flush();
}

async function waveformEvent(
  bearing: PronostiaBearing,
  snapshot: number,
  objects: BoundPorts['objectStore'],
): Promise<MachineEvent> {
  const samples = Int16Array.from(bearing.samplesOf(snapshot), (g) => Math.round(g / SCALE_G));
  const bytes = new Uint8Array(samples.buffer);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const waveform: WaveformReference = {
    waveformId: `${bearing.name}-${snapshot}`,
    sensor: 'horizontal',
    ts: BEGIN_MS + snapshot * bearing.intervalSeconds * 1000,
    sampleRateHz: bearing.sampleRateHz,
    unit: 'g',
    encoding: 'i16le',
    scale: SCALE_G,
    sampleCount: samples.length,
    rpm: bearing.rpm,
    objectKey: `waveforms/${bearing.name}/${snapshot}`,
    sha256,
  };
  await objects.put(waveform.objectKey, bytes);
  return {
    eventId: waveform.waveformId,
    kind: 'waveform',
    key: keyOf(bearing),
    items: 1,
    acceptedAtMs: Date.now(),
    payload: Buffer.from(JSON.stringify(waveform)),
    imported: true,
  };
}

function judge(
  { name, snapshots, intervalSeconds }: PronostiaBearing,
  life: ReadonlyMap<number, string>,
): PronostiaVerdict {
  const isAlarm = (snapshot: number) => life.get(snapshot) === 'alarm';
  const indexes = Array.from({ length: snapshots }, (_, snapshot) => snapshot);
  const alerts = indexes.filter((snapshot) => isAlarm(snapshot) && !isAlarm(snapshot - 1));
  const detected = indexes.find((snapshot) => snapshot >= snapshots / 2 && isAlarm(snapshot));
  return {
    bearing: name,
    snapshots,
    alerts,
    falseAlarms: alerts.filter((snapshot) => snapshot < snapshots / 2).length,
    leadSeconds: detected === undefined ? undefined : (snapshots - 1 - detected) * intervalSeconds,
  };
}

/** The rig as far as its makers describe it: a 250 W motor, whose support nobody classed. */
function rig({ name }: PronostiaBearing) {
  const sensors = [{ id: 'horizontal', kind: 'acceleration', unit: 'g' }];
  return machineSchema.parse({ id: machineRef(keyOf({ name })).machine, class: 'bearing-rig', powerKw: 0.25, sensors });
}

function keyOf({ name }: Pick<PronostiaBearing, 'name'>): MachineKey {
  return machineKey(TENANT, SITE, name as MachineId);
}

function verdictOf({ payload }: StampedEvent): { readonly ts: number; readonly verdict: string } {
  const { ts, body } = JSON.parse(Buffer.from(payload).toString()) as DerivedDocument & {
    readonly body: PredictionBody;
  };
  return { ts, verdict: body.verdict };
}

if (import.meta.main) {
  const { verdicts, waveformsPerS, cpuMsPerWaveform } = await runPronostia();
  console.table(verdicts.map(({ alerts, ...verdict }) => ({ ...verdict, alerts: alerts.join(' ') })));
  console.log(
    `${Math.round(waveformsPerS)} waveforms/s sent and judged in one process, ${cpuMsPerWaveform.toFixed(2)} ms of CPU each`,
  );
}
