import { createHash } from 'node:crypto';
import { derivedEvent, derivedId } from '../derivation/derived-event.ts';
import type { MachineEvent, StampedEvent } from '../domain/event.ts';
import type { MachineKey } from '../domain/ids.ts';
import { maintenanceAt, readHistory } from '../domain/machine-history.ts';
import type { Machine, OperatingState } from '../domain/plant.ts';
import { storedSamples } from '../domain/waveform-object.ts';
import { decodeSamples, type WaveformReference } from '../domain/waveform.ts';
import type { CallOptions } from '../errors.ts';
import type { MachineHistoryEvent, RegisteredMachine } from '../ports/machine-registry.ts';
import type { ObjectStore } from '../ports/object-store.ts';
import type { DerivedDocument } from '../ports/time-series-store.ts';
import { settlementOutcome } from '../settlement/outcomes.ts';
import { featureMachine } from './feature-machine.ts';
import type { OperatingPoint, OperatingPoints } from './operating-points.ts';
import { sampleUnit } from './units.ts';
import { computeWaveformFeatures, type WaveformFeatures } from './waveform-features.ts';
import { FEATURES_VERSION, type FeatureProvenance } from './waveform.ts';

/** What {@link featurise} needs to know. */
export interface FeaturiseDependencies {
  readonly objects: Pick<ObjectStore, 'get'>;
  /** The machine's description, from memory where possible; undefined for one that is not registered (any more). */
  readonly machine: (key: MachineKey, options: CallOptions) => Promise<RegisteredMachine | undefined>;
  /** What was done to the machine, from memory where possible, oldest first. */
  readonly history: (key: MachineKey, options: CallOptions) => Promise<readonly MachineHistoryEvent[]>;
  readonly operatingPoints: Pick<OperatingPoints, 'at'>;
}

/** A waveform's features as an event, or why there can never be any: then it belongs among the dead letters. */
export type Featurised =
  | { readonly ok: true; readonly event: MachineEvent }
  | { readonly ok: false; readonly code: FeaturiseFailure; readonly detail: string };

export type FeaturiseFailure = 'undecodable_payload' | 'missing_object' | 'undecodable_waveform';

/** The body of a `features` document; its values are series named `<sensor>.<feature>`. */
export interface FeaturesBody {
  readonly waveformId: string;
  readonly isoZone: WaveformFeatures['isoZone'];
  /** Undefined where no reading tells, and no maintenance was noted. */
  readonly operatingState?: OperatingState;
  /** Where the speed came from; `reading` is the machine's newest `rpm` at about that time. */
  readonly rpmFrom: FeatureProvenance['rpmSource'];
  readonly provenance: WaveformFeatures['provenance'];
  /** The description that the waveform was read against; absent for an unregistered machine. */
  readonly machineRevision?: number;
  /** Parts of the description, and a reading of the speed, that could not be used, and why. */
  readonly problems?: readonly string[];
}

/**
 * The features of one `waveform` event. The same waveform gives an event of the same id. Makes one attempt.
 *
 * @throws PortError when a port failed: the event should be tried again.
 */
export async function featurise(
  origin: StampedEvent,
  dependencies: FeaturiseDependencies,
  options: CallOptions = {},
): Promise<Featurised> {
  const outcome = settlementOutcome(origin);
  if (outcome.type === 'deadLettered') return { ok: false, code: 'undecodable_payload', detail: outcome.detail };
  if (outcome.type !== 'waveform') {
    return { ok: false, code: 'undecodable_payload', detail: `a ${origin.kind} event is no waveform` };
  }
  const { waveform } = outcome;
  const object = await dependencies.objects.get(waveform.objectKey, options);
  if (!object) {
    return { ok: false, code: 'missing_object', detail: `there is no object ${waveform.objectKey}` };
  }
  const registered = await dependencies.machine(origin.key, options);
  const asked = { tsMs: waveform.ts, rpm: waveform.rpm, machine: registered?.machine ?? ALWAYS_RUNNING };
  const told = await dependencies.operatingPoints.at(origin.key, asked, options);
  const history = readHistory(await dependencies.history(origin.key, options));
  const point = maintenanceAt(history, waveform.ts) ? { ...told, state: 'maintenance' as const } : told;
  try {
    const samples = checkedSamples(object, waveform);
    const document = featuresDocument(origin.key, waveform, samples, registered, point);
    return { ok: true, event: derivedEvent(origin, 'features', document) };
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return { ok: false, code: 'undecodable_waveform', detail: error.message };
  }
}

const ALWAYS_RUNNING: Pick<Machine, 'operatingState' | 'metrics'> = {
  operatingState: { from: 'always', state: 'running' },
  metrics: [],
};

function checkedSamples(object: Uint8Array, waveform: WaveformReference): Float64Array {
  const bytes = storedSamples(waveform.objectKey, object);
  if (createHash('sha256').update(bytes).digest('hex') !== waveform.sha256.toLowerCase()) {
    throw new RangeError(`the stored samples have another SHA-256 than the waveform's ${waveform.sha256}`);
  }
  const samples = decodeSamples(bytes, waveform.encoding, waveform.scale);
  if (samples.length !== waveform.sampleCount) {
    throw new RangeError(`${waveform.sampleCount} samples were announced, ${samples.length} are stored`);
  }
  return samples;
}

function featuresDocument(
  key: MachineKey,
  waveform: WaveformReference,
  samples: Float64Array,
  registered: RegisteredMachine | undefined,
  point: OperatingPoint,
): DerivedDocument {
  const { sensor, waveformId, ts, sampleRateHz, unit } = waveform;
  const { rpm, rpmReadAtMs } = point;
  const rpmSource = waveform.rpm === undefined ? 'reading' : 'waveform';
  const { machine, problems: ofMachine } = featureMachine(registered?.machine, sensor, point.state);
  const problems = point.problem === undefined ? ofMachine : [...ofMachine, point.problem];
  const { values, isoZone, provenance } = computeWaveformFeatures(
    { samples, sampleRateHz, unit, rpm, rpmSource, rpmReadAtMs },
    { machine },
  );
  const body: FeaturesBody = {
    waveformId,
    isoZone,
    rpmFrom: provenance.rpmSource,
    provenance,
    ...(point.state !== undefined && { operatingState: point.state }),
    ...(registered && { machineRevision: registered.revision }),
    ...(problems.length > 0 && { problems }),
  };
  return {
    kind: 'features',
    id: derivedId('features', FEATURES_VERSION, key, [sensor, waveformId]),
    revision: 1,
    ts,
    sensor,
    values: prefixed(values, sensor),
    units: prefixed(unitsOf(values, unit), sensor),
    body,
  };
}

/** UCUM units by the end of the feature's name; what ends in none is a ratio. */
function unitsOf(values: Readonly<Record<string, number>>, unit: string): Record<string, string> {
  const { suffix, code } = sampleUnit(unit);
  const unitOf = (name: string): string => {
    if (name.endsWith(`_${suffix}`)) return code;
    return name.endsWith('_mm_s') ? 'mm/s' : '1';
  };
  return Object.fromEntries(Object.keys(values).map((name) => [name, unitOf(name)]));
}

function prefixed<Value>(record: Readonly<Record<string, Value>>, sensor: string): Record<string, Value> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [`${sensor}.${name}`, value]));
}
