import type { MachineSpec, MachineState } from './machine-spec.ts';
import type { TelemetryMessage, WaveformMessage } from './messages.ts';
import { AGEING_AT_SPEED_1 } from './plant.ts';
import { dutyAt } from './signal/duty.ts';
import type { FaultSeverities } from './signal/faults.ts';
import { approach, motorCurrentA, settledTemperatureCel } from './signal/inertia.ts';
import { lifeAt } from './signal/life.ts';
import type { LifePoint } from './signal/life.ts';
import { quantise16 } from './signal/quantise.ts';
import { createRandom } from './signal/random.ts';
import { expectedVelocityRmsMmPerS, synthesiseVibration } from './signal/vibration.ts';
import type { OperatingPoint } from './signal/vibration-model.ts';

export interface SimulatedMachineOptions {
  readonly seed: number;
  /** Begin of every message id: two runs with the same one send the same ids. */
  readonly runId: string;
  /** How fast the machine ages; see {@link AGEING_AT_SPEED_1}. */
  readonly speed: number;
  readonly waveformPoints: number;
}

/** Range of the accelerometers, in g, over 16 bits. */
const RANGE_G = 16;
const SCALE = RANGE_G / 32_768;
const SAMPLE_RATE_HZ = 25_600;

/** One machine with its sensors: depends on its seed and the sequence of calls alone, not on the clock. */
export class SimulatedMachine {
  readonly spec: MachineSpec;
  readonly #options: SimulatedMachineOptions;
  #temperatureCel: number | undefined;
  #measuredAtS = 0;

  constructor(spec: MachineSpec, options: SimulatedMachineOptions) {
    this.spec = spec;
    this.#options = options;
  }

  get id(): string {
    return this.spec.description.id;
  }

  /** How old it is and how ill, `elapsedS` of wall time after its first start. */
  life(elapsedS: number): LifePoint {
    const { ageing } = this.spec;
    const hours = (elapsedS * this.#options.speed * AGEING_AT_SPEED_1) / 3600;
    return ageing ? lifeAt(ageing.cycle, hours) : { phase: 'healthy', severity: 0 };
  }

  /** The `sequence`-th reading. Call with increasing `elapsedS`: heat takes its time. */
  telemetry(sequence: number, elapsedS: number, tsMs: number): TelemetryMessage {
    const random = createRandom(`${this.#options.seed}/${this.id}/telemetry/${sequence}`);
    const point = this.#operatingPoint(elapsedS);
    const speedFraction = point.rpm / this.spec.vibration.nominalRpm;
    const temperatureCel = this.#warm(elapsedS, point, speedFraction);
    const state: MachineState = { elapsedS, rpm: point.rpm, speedFraction, load: point.load, temperatureCel, random };
    const velocity = expectedVelocityRmsMmPerS(this.spec.vibration, point, SAMPLE_RATE_HZ);
    const current = speedFraction > 0 ? motorCurrentA(this.spec.ratedCurrentA, point.load) : 0;
    const metrics = {
      rpm: point.rpm === 0 ? 0 : point.rpm + 0.6 * random.gaussian(),
      velocity_rms: velocity * Math.max(0, 1 + 0.02 * random.gaussian()),
      temperature: temperatureCel + 0.1 * random.gaussian(),
      current: current * (1 + 0.005 * random.gaussian()),
      ...this.spec.process(state),
    };
    return { id: this.#messageId('t', sequence), ts: tsMs, metrics: mapValues(metrics, toResolution) };
  }

  /** The `sequence`-th waveform, ending at `tsMs`. */
  waveform(sequence: number, elapsedS: number, tsMs: number): WaveformMessage {
    const { seed, waveformPoints } = this.#options;
    const point = this.#operatingPoint(elapsedS);
    const samples = synthesiseVibration(
      this.spec.vibration,
      point,
      { sampleRateHz: SAMPLE_RATE_HZ, points: waveformPoints },
      createRandom(`${seed}/${this.id}/waveform/${sequence}`),
    );
    return {
      id: this.#messageId('w', sequence),
      ts: Math.round(tsMs - (waveformPoints / SAMPLE_RATE_HZ) * 1000),
      sampleRateHz: SAMPLE_RATE_HZ,
      unit: 'g',
      encoding: 'i16le',
      scale: SCALE,
      rpm: toResolution(point.rpm),
      samples: quantise16(samples, SCALE),
    };
  }

  #operatingPoint(elapsedS: number): OperatingPoint {
    const { duty, ageing, vibration } = this.spec;
    const { phase, severity } = this.life(elapsedS);
    if (phase === 'repair') return { rpm: 0, load: 0, faults: {} };
    const { speedFraction, load } = typeof duty === 'function' ? duty(elapsedS) : dutyAt(duty, elapsedS);
    const faults: FaultSeverities = ageing && severity > 0 ? { [ageing.fault]: severity } : {};
    return { rpm: vibration.nominalRpm * speedFraction, load, faults };
  }

  #warm(elapsedS: number, point: OperatingPoint, speedFraction: number): number {
    const { thermal } = this.spec;
    const bearingSeverity = Math.max(
      0,
      ...Object.entries(point.faults).map(([kind, severity]) => (kind.startsWith('bearing') ? severity : 0)),
    );
    const target = settledTemperatureCel(thermal, { load: point.load, speedFraction, bearingSeverity });
    const stepS = Math.max(0, elapsedS - this.#measuredAtS);
    this.#measuredAtS = elapsedS;
    // The plant is joined while it works: the first reading finds the machine warm.
    this.#temperatureCel =
      this.#temperatureCel === undefined
        ? target
        : approach(this.#temperatureCel, target, stepS, thermal.timeConstantS);
    return this.#temperatureCel;
  }

  #messageId(kind: 't' | 'w', sequence: number): string {
    return `${this.#options.runId}.${this.id}.${kind}${sequence}`;
  }
}

/** Five significant digits, as no field instrument has more and the bytes travel; counters stay whole. */
function toResolution(value: number): number {
  return Number.isInteger(value) ? value : Number(value.toPrecision(5));
}

function mapValues(
  metrics: Readonly<Record<string, number>>,
  change: (value: number) => number,
): Record<string, number> {
  return Object.fromEntries(Object.entries(metrics).map(([name, value]) => [name, change(value)]));
}
