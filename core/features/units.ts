import { canonicalUnit, quantityOf, unitConversion } from '../domain/units.ts';

/** What a waveform's unit means for features: how names end, and whether velocity follows from it. */
export interface SampleUnit {
  /** The spelling that stands for all of the unit's customary ones. */
  readonly code: string;
  /** End of feature names, for instance `m_s2`. */
  readonly suffix: string;
  readonly quantity: 'acceleration' | 'velocity' | 'displacement' | 'other';
  /** Factor to mm/s2 (acceleration), mm/s (velocity) or mm (displacement); 1 for any other quantity. */
  readonly toMillimetres: number;
}

const VIBRATION: ReadonlyMap<string | undefined, readonly [SampleUnit['quantity'], base: string]> = new Map([
  ['acceleration', ['acceleration', 'mm/s2']],
  ['velocity', ['velocity', 'mm/s']],
  ['length', ['displacement', 'mm']],
]);

/**
 * Reads a unit by the table that readings are read by. One that is no vibration's, or not known, names the features and nothing more: units
 * are never guessed.
 */
export function sampleUnit(unit: string): SampleUnit {
  const code = canonicalUnit(unit);
  const suffix = code
    .replace(/[^A-Za-z0-9]+/g, '_')
    .replace(/^_+|_+$/g, '')
    .slice(0, 16);
  const [quantity, base] = VIBRATION.get(quantityOf(code)) ?? (['other', code] as const);
  return { code, suffix: suffix || 'unit', quantity, toMillimetres: unitConversion(code, base)?.factor ?? 1 };
}

/** Whether the velocity of a vibration follows from samples in the unit. Not from a displacement: that is a shaft's in its bearing, which other limits judge. */
export function givesVelocity({ quantity }: SampleUnit): boolean {
  return quantity === 'acceleration' || quantity === 'velocity';
}
