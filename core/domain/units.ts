/**
 * The value in the unit `to`, or undefined where the closed table below knows no way from `from`: a unit is never guessed. Both are UCUM
 * codes (case sensitive); `%`, `Cel`, `[degF]` and the customary spellings in {@link SYNONYMS} are understood. `g` is standard gravity, as in wire.md, where UCUM writes `[g]`: no machine sends grams.
 */
export function convertUnit(value: number, from: string, to: string): number | undefined {
  const source = UNITS.get(SYNONYMS.get(from) ?? from);
  const target = UNITS.get(SYNONYMS.get(to) ?? to);
  if (source === undefined || target?.quantity !== source.quantity) return from === to ? value : undefined;
  return (value * source.factor + source.offset - target.offset) / target.factor;
}

/** Whether two spellings name one unit, so that no value changes. */
export function sameUnit(left: string, right: string): boolean {
  return left === right || (SYNONYMS.get(left) ?? left) === (SYNONYMS.get(right) ?? right);
}

/** Whether there is more to a unit than its text: {@link convertUnit} knows what it measures. */
export function isKnownUnit(unit: string): boolean {
  return UNITS.has(SYNONYMS.get(unit) ?? unit);
}

/** A unit as text that may be stored: printable ASCII without quotes and backslashes, at most 32 characters. */
export function isUnitText(unit: unknown): unit is string {
  return typeof unit === 'string' && UNIT_TEXT.test(unit);
}

const UNIT_TEXT = /^[!#-[\]-~]{1,32}$/;

/** What devices write for a UCUM code, as far as it can mean nothing else: `C` is the coulomb, `F` the farad. */
const SYNONYMS: ReadonlyMap<string, string> = new Map([
  ['degC', 'Cel'],
  ['degF', '[degF]'],
  ['in/s', '[in_i]/s'],
  ['mil', '[mil_i]'],
  ['in', '[in_i]'],
  ['psi', '[psi]'],
  ['rpm', '/min'],
  ['{rpm}', '/min'],
  ['r/min', '/min'],
  ['1/min', '/min'],
  ['{rev}/min', '/min'],
  ['1/s', 'Hz'],
  ['/s', 'Hz'],
  ['m/s^2', 'm/s2'],
  ['hp', '[HP]'],
  ['ips', '[in_i]/s'],
  ['mils', '[mil_i]'],
  ['RPM', '/min'],
  ['PSI', '[psi]'],
  ['deg_C', 'Cel'],
  ['deg_F', '[degF]'],
  ...inWords('celsius', 'Cel'),
  ...inWords('fahrenheit', '[degF]'),
  ...inWords('kelvin', 'K'),
  ...inWords('amp', 'A'),
  ...inWords('amps', 'A'),
  ...inWords('ampere', 'A'),
  ...inWords('volt', 'V'),
  ...inWords('volts', 'V'),
  ...inWords('watt', 'W'),
  ...inWords('hertz', 'Hz'),
  ...inWords('percent', '%'),
]);

/** Small, and with a capital first letter. */
function inWords(word: string, code: string): [string, string][] {
  return [word, word.charAt(0).toUpperCase() + word.slice(1)].map((spelling) => [spelling, code]);
}

interface UnitDefinition {
  readonly quantity: string;
  /** value in the quantity's base unit = value * factor + offset */
  readonly factor: number;
  readonly offset: number;
}

/** Factors are the exact definitions: the inch of 25.4 mm, standard gravity, the mechanical horsepower of 550 ft lbf/s, psi from both. */
const TABLE: Readonly<Record<string, Readonly<Record<string, readonly [factor: number, offset: number]>>>> = {
  temperature: { Cel: [1, 0], K: [1, -273.15], '[degF]': [5 / 9, -160 / 9] },
  velocity: { 'mm/s': [1, 0], 'm/s': [1000, 0], 'cm/s': [10, 0], 'um/s': [1e-3, 0], '[in_i]/s': [25.4, 0] },
  acceleration: { 'm/s2': [1, 0], 'mm/s2': [1e-3, 0], g: [9.80665, 0], '[g]': [9.80665, 0], m_g: [9.80665e-3, 0] },
  length: { mm: [1, 0], um: [1e-3, 0], m: [1000, 0], cm: [10, 0], '[in_i]': [25.4, 0], '[mil_i]': [0.0254, 0] },
  pressure: {
    bar: [1e5, 0],
    mbar: [100, 0],
    Pa: [1, 0],
    kPa: [1e3, 0],
    MPa: [1e6, 0],
    '[psi]': [6894.757293168361, 0],
  },
  frequency: { Hz: [1, 0], kHz: [1000, 0], '/min': [1 / 60, 0] },
  current: { A: [1, 0], mA: [1e-3, 0], kA: [1e3, 0] },
  voltage: { V: [1, 0], mV: [1e-3, 0], kV: [1e3, 0] },
  power: { W: [1, 0], kW: [1e3, 0], MW: [1e6, 0], '[HP]': [745.6998715822702, 0] },
  time: { s: [1, 0], ms: [1e-3, 0], min: [60, 0], h: [3600, 0] },
  ratio: { '%': [0.01, 0], '1': [1, 0] },
};

const UNITS: ReadonlyMap<string, UnitDefinition> = new Map(
  Object.entries(TABLE).flatMap(([quantity, units]) =>
    Object.entries(units).map(([code, [factor, offset]]) => [code, { quantity, factor, offset }] as const),
  ),
);
