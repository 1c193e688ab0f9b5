import { DEFAULT_RULES } from '#core/alerting/default-rules.ts';
import { RuleEngine } from '#core/alerting/rule-engine.ts';
import { machineKey, type MachineId, type SiteId, type TenantId } from '#core/domain/ids.ts';
import { operatingStateOf } from '#core/domain/operating-state.ts';
import { machineSchema, type OperatingState } from '#core/domain/plant.ts';
import { decodeSamples } from '#core/domain/waveform.ts';
import { computeWaveformFeatures, type WaveformFeatures } from '#core/features/waveform-features.ts';
import {
  assess,
  DEFAULT_INDICATOR_PARAMETERS,
  INITIAL_INDICATOR,
  type FeatureValues,
} from '#core/inference/health-indicator.ts';
import type { DerivedDocument } from '#core/ports/time-series-store.ts';
import type { MachineSpec } from '#services/edge-simulator/machine-spec.ts';
import type { WaveformMessage } from '#services/edge-simulator/messages.ts';
import { AGEING_AT_SPEED_1 } from '#services/edge-simulator/plant.ts';
import { PROFILES } from '#services/edge-simulator/profiles.ts';
import type { FaultKind } from '#services/edge-simulator/signal/faults.ts';
import { SimulatedMachine } from '#services/edge-simulator/simulated-machine.ts';

/** A machine from new to failed, or healthy throughout. */
export interface SimulatedLife {
  readonly spec: MachineSpec;
  /** Absent: nothing ever grows. */
  readonly fault?: FaultKind;
  readonly seed: number;
  readonly healthyRecordings: number;
  /** From the first trace of the fault to its severity 1, the end of life; as many further healthy ones where there is no fault. */
  readonly growthRecordings: number;
}

export interface LifeAlarm {
  readonly rule: string;
  readonly recording: number;
  /** 0 (as new) to 1 (failed), when it was raised. */
  readonly severity: number;
}

/** What the platform's own judgement said over a life. */
export interface LifeAlarms {
  /** Raised while the machine was healthy. */
  readonly falseAlarms: readonly LifeAlarm[];
  /** The first one of each rule after the fault began, in that order; none: it failed unseen. */
  readonly detections: readonly (LifeAlarm & {
    /** From there to the end of life, as a part of the time that the fault took to grow. */
    readonly leadOfGrowth: number;
  })[];
}

/** Time between recordings. No multiple of a machine's duty or load cycle, so that all of their points are met. */
export const INTERVAL_S = 613;

const TENANT = 'demo' as TenantId;
const SITE = 'plant-1' as SiteId;
const BEGIN_MS = Date.UTC(2026, 0, 1);
const RULES = DEFAULT_RULES.map((rule) => ({ tenant: TENANT, rule, version: 1, updatedAtMs: 0, updatedBy: 'tribo' }));

/**
 * Lives a machine's life through features, the health indicator and the default rules, as shipped: the core of the platform without its ports.
 * Depends on its arguments alone.
 */
export function liveThrough(life: SimulatedLife): LifeAlarms {
  const { healthyRecordings, growthRecordings } = life;
  const machine = machineOf(life);
  const judge = new SensorJudge(life.spec);
  for (let recording = 0; recording < healthyRecordings + growthRecordings; recording++) {
    const elapsedS = recording * INTERVAL_S;
    const tsMs = BEGIN_MS + elapsedS * 1000;
    judge.take(machine.waveform(recording, elapsedS, tsMs), tsMs);
  }
  const alarms = judge.activations.map(({ atMs, part }): LifeAlarm => {
    const elapsedS = (atMs - BEGIN_MS) / 1000;
    const { severity } = machine.life(elapsedS);
    return { rule: part.rule.id, recording: elapsedS / INTERVAL_S, severity };
  });
  const endOfLife = healthyRecordings + growthRecordings;
  const isFalse = ({ recording }: LifeAlarm) => life.fault === undefined || recording < healthyRecordings;
  const detections = Map.groupBy(
    alarms.filter((alarm) => !isFalse(alarm)),
    ({ rule }) => rule,
  );
  return {
    falseAlarms: alarms.filter(isFalse),
    detections: Array.from(detections.values(), ([first]) => first!).map((first) => ({
      ...first,
      leadOfGrowth: (endOfLife - first.recording) / growthRecordings,
    })),
  };
}

function machineOf({ spec, fault, seed, healthyRecordings, growthRecordings }: SimulatedLife): SimulatedMachine {
  const hours = (recordings: number) => (recordings * INTERVAL_S) / 3600;
  const { ageing: _, ...ageless } = spec;
  const cycle = {
    healthyHours: hours(healthyRecordings),
    growthHours: hours(growthRecordings),
    failedHours: 1,
    repairHours: 0,
  };
  const { waveformPoints } = PROFILES['low-rate'];
  return new SimulatedMachine(
    { ...ageless, ...(fault && { ageing: { fault, cycle } }) },
    { seed, runId: 'life', speed: 1 / AGEING_AT_SPEED_1, waveformPoints },
  );
}

/** What feature-service, ml-service and alert-engine make of one sensor's waveforms. */
class SensorJudge {
  readonly activations: { readonly atMs: number; readonly part: { readonly rule: { readonly id: string } } }[] = [];
  readonly #spec: MachineSpec;
  readonly #machine;
  readonly #key;
  readonly #engine: RuleEngine;
  #indicator = INITIAL_INDICATOR;

  constructor(spec: MachineSpec) {
    this.#spec = spec;
    this.#machine = machineSchema.parse(spec.description);
    this.#key = machineKey(TENANT, SITE, spec.description.id as MachineId);
    this.#engine = new RuleEngine({ latenessMs: 60_000 }, (transition) => {
      if (transition.type === 'activate') this.activations.push(transition);
    });
    this.#engine.setRules(RULES);
    this.#engine.setMachines([{ key: this.#key, machine: this.#machine, revision: 1 }]);
  }

  take(waveform: WaveformMessage, ts: number): void {
    const { sampleRateHz, unit, encoding, scale, rpm } = waveform;
    const { state } = operatingStateOf(this.#machine, (metric) =>
      metric === 'rpm' && rpm !== undefined ? { value: rpm, unit: '/min' } : undefined,
    );
    const features = computeWaveformFeatures(
      {
        samples: decodeSamples(waveform.samples, encoding, scale ?? 1),
        sampleRateHz,
        unit,
        ...(rpm !== undefined && { rpm }),
      },
      { machine: { ...this.#machine, operatingState: state } },
    );
    this.#judge('features', ts, features.values, { isoZone: features.isoZone, operatingState: state });
    if (state !== 'stopped') this.#assess(features.values, ts, state);
  }

  #assess(values: FeatureValues, ts: number, operatingState: OperatingState | undefined): void {
    const { state, assessment } = assess(this.#indicator, values);
    this.#indicator = state;
    if (assessment.phase !== 'watching') return;
    const { threshold } = DEFAULT_INDICATOR_PARAMETERS;
    const body = {
      threshold,
      model: { name: 'health', version: 1 },
      contributions: assessment.contributions,
      operatingState,
    };
    this.#judge('prediction', ts, { anomaly_score: assessment.smoothed }, body);
  }

  #judge(kind: 'features' | 'prediction', ts: number, values: WaveformFeatures['values'], body: object): void {
    const { sensor } = this.#spec;
    const named = Object.fromEntries(Object.entries(values).map(([name, value]) => [`${sensor}.${name}`, value]));
    const document: DerivedDocument = { kind, id: `${kind}-${ts}`, revision: 1, ts, sensor, values: named, body };
    this.#engine.observeDocument({ key: this.#key, acceptedAtMs: ts }, document);
  }
}
