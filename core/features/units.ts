/** Standard gravity, in m/s2 (exact by definition). */
const STANDARD_GRAVITY_M_PER_S2 = 9.80665;

/** What a waveform's unit means for features: how names end, and whether velocity follows from it. */
export interface SampleUnit {
  /** End of feature names, for instance `m_s2`. */
  readonly suffix: string;
  readonly quantity: 'acceleration' | 'velocity' | 'other';
  /** Factor to mm/s2 (acceleration) or mm/s (velocity); 1 for any other quantity. */
  readonly toMillimetres: number;
}

const KNOWN_UNITS: ReadonlyMap<string, SampleUnit> = new Map([
  // In UCUM a bare g is the gram; on a vibration channel it can only be standard gravity, and the wire format says so.
  ['g', { suffix: 'g', quantity: 'acceleration', toMillimetres: 1000 * STANDARD_GRAVITY_M_PER_S2 }],
  ['[g]', { suffix: 'g', quantity: 'acceleration', toMillimetres: 1000 * STANDARD_GRAVITY_M_PER_S2 }],
  ['m/s2', { suffix: 'm_s2', quantity: 'acceleration', toMillimetres: 1000 }],
  ['mm/s2', { suffix: 'mm_s2', quantity: 'acceleration', toMillimetres: 1 }],
  ['mm/s', { suffix: 'mm_s', quantity: 'velocity', toMillimetres: 1 }],
  ['m/s', { suffix: 'm_s', quantity: 'velocity', toMillimetres: 1000 }],
]);

/** Reads a UCUM code. One that is not known names the features and nothing more: units are never guessed. */
export function sampleUnit(code: string): SampleUnit {
  const known = KNOWN_UNITS.get(code);
  if (known) return known;
  const suffix = code
    .replace(/[^A-Za-z0-9]+/g, '_')
    .replace(/^_+|_+$/g, '')
    .slice(0, 16);
  return { suffix: suffix || 'unit', quantity: 'other', toMillimetres: 1 };
}
