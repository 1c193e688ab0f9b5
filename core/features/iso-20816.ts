import { firstLineFrom, lastLineUpTo, type PowerSpectrum } from './power-spectrum.ts';
import { givesVelocity, type SampleUnit } from './units.ts';
import type { FeatureMachine } from './waveform.ts';

export type IsoZoneLetter = 'A' | 'B' | 'C' | 'D';

/** Velocity RMS boundaries between the zones, in mm/s. A value on a boundary belongs to the lower zone. */
export interface IsoZoneBoundaries {
  readonly abMmPerS: number;
  readonly bcMmPerS: number;
  readonly cdMmPerS: number;
}

/** Why a machine or record is not judged. */
export type NoZoneCode =
  | 'not_running'
  | 'unknown_unit'
  | 'unknown_speed'
  | 'speed_out_of_scope'
  | 'unknown_power'
  | 'power_out_of_scope'
  | 'unknown_group'
  | 'unknown_support'
  | 'record_too_short'
  | 'sample_rate_too_low';

/** The zone of ISO 20816-3 with what it was judged by, or the reason why there is none. */
export type IsoZone =
  | {
      readonly verdict: IsoZoneLetter;
      readonly velocityRmsMmPerS: number;
      readonly group: 1 | 2;
      readonly support: 'rigid' | 'flexible';
      readonly boundaries: IsoZoneBoundaries;
      readonly bandHz: readonly [number, number];
      /** The table and its assumptions, to be shown beside the verdict. */
      readonly basis: string;
    }
  | {
      readonly verdict: 'none';
      /** Every reason that applies; `reason` puts them into one sentence. */
      readonly codes: readonly NoZoneCode[];
      readonly reason: string;
    };

/** Band of the broadband velocity: 10-1000 Hz, from 2 Hz for machines below 600 r/min. */
export function velocityBandHz(rpm: number | undefined): readonly [number, number] {
  return rpm !== undefined && rpm < 600 ? [2, 1000] : [10, 1000];
}

/**
 * Periods of the band's lower edge that a record must hold. With four, content at the edge lies four lines above DC, so that the main
 * lobes (two lines each side under a Hann taper) of a drift and of the lowest content do not run into each other - and division by
 * frequency makes just those lines count most.
 */
const MIN_PERIODS_OF_LOWER_EDGE = 4;

/** Why this record has no broadband velocity; `undefined` when it has one. */
export function velocityObstacle(
  unit: SampleUnit,
  durationSeconds: number,
  sampleRateHz: number,
  bandHz: readonly [number, number],
): NoZone | undefined {
  if (!givesVelocity(unit)) {
    const reason =
      unit.quantity === 'displacement'
        ? `the samples are a displacement, in ${unit.code}; ISO 20816-3 is judged by acceleration or velocity`
        : `the samples are in no unit of acceleration or velocity that is known: ${unit.code}`;
    return { code: 'unknown_unit', reason };
  }
  const needed = MIN_PERIODS_OF_LOWER_EDGE / bandHz[0];
  if (durationSeconds < needed) {
    const reason = `the record (or its segment) lasts ${round(durationSeconds)} s; resolving ${bandHz[0]} Hz takes at least ${round(needed)} s`;
    return { code: 'record_too_short', reason };
  }
  if (sampleRateHz < 2 * bandHz[1]) {
    const reason = `${round(sampleRateHz)} samples/s do not reach ${bandHz[1]} Hz; at least ${2 * bandHz[1]} are needed`;
    return { code: 'sample_rate_too_low', reason };
  }
  return undefined;
}

/**
 * Broadband velocity RMS in mm/s, in the frequency domain: V(f) = A(f) / (j 2 pi f) for acceleration, DC removed, the lines of the band
 * (both edges included) summed. Of a velocity signal only the band is taken.
 */
export function velocityRmsMmPerS(
  spectrum: PowerSpectrum,
  unit: SampleUnit,
  bandHz: readonly [number, number],
): number {
  const { meanSquares, stepHz } = spectrum;
  const last = Math.min(meanSquares.length - 1, lastLineUpTo(bandHz[1], stepHz));
  let sum = 0;
  for (let k = Math.max(1, firstLineFrom(bandHz[0], stepHz)); k <= last; k++) {
    const angular = unit.quantity === 'acceleration' ? 2 * Math.PI * k * stepHz : 1;
    sum += meanSquares[k]! / (angular * angular);
  }
  return unit.toMillimetres * Math.sqrt(sum);
}

/** What a zone is judged from besides the machine. */
export interface VelocityEvidence {
  readonly rpm: number | undefined;
  readonly bandHz: readonly [number, number];
  readonly velocityRmsMmPerS: number | undefined;
  readonly obstacle: NoZone | undefined;
}

/** The zone, or every reason why there is none: nothing about the machine is guessed. */
export function isoZone(machine: FeatureMachine, evidence: VelocityEvidence): IsoZone {
  const { bandHz, velocityRmsMmPerS } = evidence;
  const group = isoGroup(machine);
  const { support } = machine;
  const missing = reasonsAgainst(machine, evidence);
  if (missing.length > 0 || group === undefined || support === undefined || velocityRmsMmPerS === undefined) {
    return { verdict: 'none', codes: missing.map((m) => m.code), reason: missing.map((m) => m.reason).join('; ') };
  }
  const boundaries = isoZoneBoundaries(group, support);
  const verdict = isoZoneLetter(velocityRmsMmPerS, boundaries);
  const basis =
    `ISO 20816-3 (zone boundaries as in ISO 10816-3:2009), group ${group}, ${support} support, ` +
    `velocity RMS ${bandHz[0]}-${bandHz[1]} Hz; a boundary value belongs to the lower zone`;
  return { verdict, velocityRmsMmPerS, group, support, boundaries, bandHz, basis };
}

interface NoZone {
  readonly code: NoZoneCode;
  readonly reason: string;
}

function reasonsAgainst(machine: FeatureMachine, { rpm, obstacle }: VelocityEvidence): NoZone[] {
  const { powerKw, shaftHeightMm, support, operatingState } = machine;
  const reasons: NoZone[] = [];
  if (operatingState === 'stopped' || operatingState === 'maintenance') {
    reasons.push({ code: 'not_running', reason: `the machine is not running (${operatingState})` });
  }
  if (powerKw !== undefined && powerKw <= 15) {
    reasons.push({
      code: 'power_out_of_scope',
      reason: `ISO 20816-3 is for machines above 15 kW; this one has ${powerKw} kW`,
    });
  } else if (powerKw === undefined && shaftHeightMm === undefined) {
    reasons.push({ code: 'unknown_power', reason: 'neither the power nor the shaft height is known' });
  } else if (isoGroup(machine) === undefined) {
    reasons.push({ code: 'unknown_group', reason: `a shaft height of ${shaftHeightMm ?? '?'} mm is in no group` });
  }
  if (rpm === undefined) {
    reasons.push({ code: 'unknown_speed', reason: 'the shaft speed is not known' });
  } else if (!(rpm >= 120 && rpm <= 30_000)) {
    reasons.push({
      code: 'speed_out_of_scope',
      reason: `ISO 20816-3 is for 120 to 30000 r/min; the speed is ${round(rpm)}`,
    });
  }
  if (support === undefined) {
    reasons.push({ code: 'unknown_support', reason: 'whether the support is rigid or flexible is not known' });
  }
  if (obstacle) reasons.push(obstacle);
  return reasons;
}

function round(value: number): number {
  return Number(value.toPrecision(4));
}

const BOUNDARIES: Readonly<Record<1 | 2, Readonly<Record<'rigid' | 'flexible', IsoZoneBoundaries>>>> = {
  1: {
    rigid: { abMmPerS: 2.3, bcMmPerS: 4.5, cdMmPerS: 7.1 },
    flexible: { abMmPerS: 3.5, bcMmPerS: 7.1, cdMmPerS: 11 },
  },
  2: {
    rigid: { abMmPerS: 1.4, bcMmPerS: 2.8, cdMmPerS: 4.5 },
    flexible: { abMmPerS: 2.3, bcMmPerS: 4.5, cdMmPerS: 7.1 },
  },
};

/** Zone boundaries of a group and support; see `standards.md` for the table's source. */
export function isoZoneBoundaries(group: 1 | 2, support: 'rigid' | 'flexible'): IsoZoneBoundaries {
  return BOUNDARIES[group][support];
}

/**
 * The ALARM limit of ISO 20816-1 and -3 for a machine with a known baseline: the baseline plus a part of the boundary between zones B and C (the
 * standard recommends a quarter), at most a multiple of that boundary (1.25).
 */
export function isoAlarmLimitMmPerS(
  baselineMmPerS: number,
  bcMmPerS: number,
  { aboveBaseline, atMost }: { readonly aboveBaseline: number; readonly atMost: number },
): number {
  return Math.min(baselineMmPerS + aboveBaseline * bcMmPerS, atMost * bcMmPerS);
}

/** Zone of a velocity RMS. The boundary value belongs to the lower zone, by convention. */
export function isoZoneLetter(velocityRmsMmPerS: number, boundaries: IsoZoneBoundaries): IsoZoneLetter {
  if (velocityRmsMmPerS <= boundaries.abMmPerS) return 'A';
  if (velocityRmsMmPerS <= boundaries.bcMmPerS) return 'B';
  return velocityRmsMmPerS <= boundaries.cdMmPerS ? 'C' : 'D';
}

/** Group 1 is above 300 kW or a shaft height of at least 315 mm, group 2 above 15 kW or from 160 mm; `undefined` when neither is known. */
export function isoGroup(machine: Pick<FeatureMachine, 'powerKw' | 'shaftHeightMm'>): 1 | 2 | undefined {
  const { powerKw, shaftHeightMm } = machine;
  if ((powerKw !== undefined && powerKw > 300) || (shaftHeightMm !== undefined && shaftHeightMm >= 315)) return 1;
  if ((powerKw !== undefined && powerKw > 15) || (shaftHeightMm !== undefined && shaftHeightMm >= 160)) return 2;
  return undefined;
}
