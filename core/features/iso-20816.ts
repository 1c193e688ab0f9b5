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
      /** Every reason that applies, the first also as `reason`. */
      readonly codes: readonly NoZoneCode[];
      readonly reason: string;
    };

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
