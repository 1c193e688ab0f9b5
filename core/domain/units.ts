/**
 * The value in the unit `to`, or undefined where the closed table below knows no way from `from`: a unit is never guessed. Both are UCUM
 * codes (case sensitive); `%`, `Cel`, `[degF]` and the customary spellings in {@link SYNONYMS} are understood. `g` is standard gravity, as in wire.md, where UCUM writes `[g]`: no machine sends grams.
 */
export function convertUnit(value: number, from: string, to: string): number | undefined {
  const conversion = unitConversion(from, to);
  return conversion && value * conversion.factor + conversion.offset;
}

/** `in the one unit * factor + offset` is the value in the other. */
export interface UnitConversion {
  readonly factor: number;
  readonly offset: number;
}

/** How values of the unit `from` become values of `to`; undefined as in {@link convertUnit}. */
export function unitConversion(from: string, to: string): UnitConversion | undefined {
  if (sameUnit(from, to)) return SAME;
  const source = UNITS.get(canonicalUnit(from));
  const target = UNITS.get(canonicalUnit(to));
  if (source === undefined || target?.quantity !== source.quantity) return undefined;
  return { factor: source.factor / target.factor, offset: (source.offset - target.offset) / target.factor };
}

const SAME: UnitConversion = { factor: 1, offset: 0 };

/** The one spelling of a unit that stands for all of its customary ones; another unit as it is. */
export function canonicalUnit(unit: string): string {
  return SYNONYMS.get(unit) ?? unit;
}

/** Whether two spellings name one unit, so that no value changes. */
export function sameUnit(left: string, right: string): boolean {
  return left === right || canonicalUnit(left) === canonicalUnit(right);
}

/** Of a scale whose zero is a convention, differences are in another unit: 20 Cel less 15 Cel is 5 K. Of any other it is the unit itself. */
export function differenceUnit(unit: string): string {
  if (sameUnit(unit, 'Cel')) return 'K';
  return sameUnit(unit, '[degF]') ? '[degR]' : unit;
}

/** What a unit of the table measures, for instance `velocity`; undefined for any other. */
export function quantityOf(unit: string): string | undefined {
  return UNITS.get(canonicalUnit(unit))?.quantity;
}

/**
 * Whether there is more to a unit than its text: the table holds it, it is made of units that the table holds (`kg/m3`), or it is one's own in
 * braces (`{pieces}`). The last two convert to nothing else.
 */
function isKnownUnit(unit: string): boolean {
  if (quantityOf(unit) !== undefined || OWN_UNIT.test(unit)) return true;
  const parts = unit.replace(/^\//, '').split(/[./]/);
  return parts.length > 1 && parts.every((part) => quantityOf(part.replace(/-?[1-9]$/, '')) !== undefined);
}

/** What to say of a unit that is not known: what it may have been meant to be. Undefined for one that is. */
export function unitProblem(unit: string): string | undefined {
  if (isKnownUnit(unit)) return undefined;
  const closest = closestUnits(unit);
  const meant = closest.length > 0 ? `did you mean ${closest.join(', ')}?` : 'known are Cel, mm/s, m/s2, bar, A...';
  return `${JSON.stringify(unit)} is no unit that is known: ${meant} Write a UCUM code, or {name} for a unit of your own that converts to no other`;
}

/** A unit as text that may be stored: printable ASCII without quotes and backslashes, and what units are written with besides; at most 32 characters. */
export function isUnitText(unit: unknown): unit is string {
  return typeof unit === 'string' && UNIT_TEXT.test(unit);
}

const UNIT_TEXT = /^[!#-[\]-~°µμ²³·Ω]{1,32}$/;
const OWN_UNIT = /^\{[!#-Z^-z|~]{1,30}\}$/;

const MAX_DIFFERENCE = 2;
const MAX_CLOSEST = 4;

/** The codes of which a spelling is nearest, best first; one that the text begins or continues counts as nearer. */
function closestUnits(unit: string): readonly string[] {
  const text = unit.toLowerCase();
  const nearest = new Map<string, number>();
  for (const spelling of [...UNITS.keys(), ...SYNONYMS.keys()]) {
    const known = spelling.toLowerCase();
    const continues = text !== '' && (known.startsWith(text) || text.startsWith(known)) ? 1.5 : 0;
    const difference = differenceOf(text, known);
    if (difference > MAX_DIFFERENCE || (difference >= text.length && continues === 0)) continue;
    const code = canonicalUnit(spelling);
    nearest.set(code, Math.min(nearest.get(code) ?? Infinity, difference - continues));
  }
  const ranked = [...nearest].sort(([, left], [, right]) => left - right);
  return ranked.slice(0, MAX_CLOSEST).map(([code]) => code);
}

/** Letters to change, add or leave out (Levenshtein). */
function differenceOf(left: string, right: string): number {
  let row = Array.from({ length: right.length + 1 }, (_, i) => i);
  for (let i = 0; i < left.length; i++) {
    const next = [i + 1];
    for (let j = 0; j < right.length; j++) {
      next.push(Math.min(row[j + 1]! + 1, next[j]! + 1, row[j]! + (left[i] === right[j] ? 0 : 1)));
    }
    row = next;
  }
  return row.at(-1)!;
}

interface UnitDefinition extends UnitConversion {
  readonly quantity: string;
}

/** Factors to the quantity's first unit are the exact definitions: the inch of 25.4 mm, standard gravity, the mechanical horsepower of 550 ft lbf/s, psi from both. */
const TABLE: Readonly<Record<string, Readonly<Record<string, readonly [factor: number, offset: number]>>>> = {
  temperature: { Cel: [1, 0], K: [1, -273.15], '[degF]': [5 / 9, -160 / 9], '[degR]': [5 / 9, -273.15] },
  velocity: {
    'mm/s': [1, 0],
    'm/s': [1000, 0],
    'cm/s': [10, 0],
    'um/s': [1e-3, 0],
    '[in_i]/s': [25.4, 0],
    'm/min': [1000 / 60, 0],
    'km/h': [1e6 / 3600, 0],
  },
  acceleration: {
    'm/s2': [1, 0],
    'mm/s2': [1e-3, 0],
    'cm/s2': [1e-2, 0],
    '[in_i]/s2': [25.4e-3, 0],
    g: [9.80665, 0],
    m_g: [9.80665e-3, 0],
  },
  length: {
    mm: [1, 0],
    um: [1e-3, 0],
    nm: [1e-6, 0],
    m: [1000, 0],
    cm: [10, 0],
    km: [1e6, 0],
    '[in_i]': [25.4, 0],
    '[ft_i]': [304.8, 0],
    '[mil_i]': [0.0254, 0],
  },
  pressure: {
    bar: [1e5, 0],
    mbar: [100, 0],
    Pa: [1, 0],
    hPa: [100, 0],
    kPa: [1e3, 0],
    MPa: [1e6, 0],
    atm: [101_325, 0],
    '[psi]': [6894.757293168361, 0],
  },
  frequency: {
    Hz: [1, 0],
    kHz: [1e3, 0],
    MHz: [1e6, 0],
    '/min': [1 / 60, 0],
    '/h': [1 / 3600, 0],
    'rad/s': [1 / (2 * Math.PI), 0],
    'deg/s': [1 / 360, 0],
  },
  current: { A: [1, 0], mA: [1e-3, 0], uA: [1e-6, 0], kA: [1e3, 0] },
  voltage: { V: [1, 0], mV: [1e-3, 0], uV: [1e-6, 0], kV: [1e3, 0] },
  resistance: { Ohm: [1, 0], mOhm: [1e-3, 0], kOhm: [1e3, 0], MOhm: [1e6, 0] },
  power: { W: [1, 0], mW: [1e-3, 0], kW: [1e3, 0], MW: [1e6, 0], '[HP]': [745.6998715822702, 0] },
  'apparent power': { 'V.A': [1, 0], 'kV.A': [1e3, 0] },
  'reactive power': { var: [1, 0], kvar: [1e3, 0] },
  energy: { J: [1, 0], kJ: [1e3, 0], MJ: [1e6, 0], 'W.h': [3600, 0], 'kW.h': [3.6e6, 0], 'MW.h': [3.6e9, 0] },
  force: { N: [1, 0], kN: [1e3, 0], MN: [1e6, 0] },
  torque: { 'N.m': [1, 0], 'kN.m': [1e3, 0] },
  mass: { kg: [1, 0], mg: [1e-6, 0], t: [1e3, 0], '[lb_av]': [0.45359237, 0] },
  'mass flow': { 'kg/s': [1, 0], 'kg/min': [1 / 60, 0], 'kg/h': [1 / 3600, 0], 't/h': [1 / 3.6, 0], '[lb_av]/s': [0.45359237, 0] }, // prettier-ignore
  volume: { L: [1, 0], mL: [1e-3, 0], m3: [1e3, 0] },
  'volume flow': { 'L/s': [1, 0], 'L/min': [1 / 60, 0], 'L/h': [1 / 3600, 0], 'm3/s': [1e3, 0], 'm3/min': [1e3 / 60, 0], 'm3/h': [1 / 3.6, 0] }, // prettier-ignore
  viscosity: { 'mm2/s': [1, 0], cSt: [1, 0] },
  angle: { deg: [1, 0], rad: [180 / Math.PI, 0] },
  level: { dB: [1, 0] },
  time: { s: [1, 0], ms: [1e-3, 0], us: [1e-6, 0], min: [60, 0], h: [3600, 0], d: [86_400, 0] },
  ratio: { '%': [0.01, 0], '1': [1, 0], '[ppm]': [1e-6, 0] },
};

const UNITS: ReadonlyMap<string, UnitDefinition> = new Map(
  Object.entries(TABLE).flatMap(([quantity, units]) =>
    Object.entries(units).map(([code, [factor, offset]]) => [code, { quantity, factor, offset }] as const),
  ),
);

/** What devices and people write for a UCUM code, as far as it can mean nothing else: `C` is the coulomb, `F` the farad. */
const SYNONYMS: ReadonlyMap<string, string> = new Map([
  ['[g]', 'g'],
  ['degC', 'Cel'],
  ['°C', 'Cel'],
  ['degF', '[degF]'],
  ['°F', '[degF]'],
  ['in/s', '[in_i]/s'],
  ['in/s2', '[in_i]/s2'],
  ['mil', '[mil_i]'],
  ['in', '[in_i]'],
  ['ft', '[ft_i]'],
  ['psi', '[psi]'],
  ['rpm', '/min'],
  ['{rpm}', '/min'],
  ['r/min', '/min'],
  ['1/min', '/min'],
  ['{rev}/min', '/min'],
  ['1/h', '/h'],
  ['1/s', 'Hz'],
  ['/s', 'Hz'],
  ['°/s', 'deg/s'],
  ['°', 'deg'],
  ['m/s^2', 'm/s2'],
  ['mm/s^2', 'mm/s2'],
  ['N/mm2', 'MPa'],
  ['hp', '[HP]'],
  ['ips', '[in_i]/s'],
  ['mils', '[mil_i]'],
  ['RPM', '/min'],
  ['PSI', '[psi]'],
  ['deg_C', 'Cel'],
  ['deg_F', '[degF]'],
  ['l', 'L'],
  ['l/s', 'L/s'],
  ['l/min', 'L/min'],
  ['l/h', 'L/h'],
  ['lb', '[lb_av]'],
  ['Nm', 'N.m'],
  ['N·m', 'N.m'],
  ['kNm', 'kN.m'],
  ['Wh', 'W.h'],
  ['kWh', 'kW.h'],
  ['MWh', 'MW.h'],
  ['VA', 'V.A'],
  ['kVA', 'kV.A'],
  ['ppm', '[ppm]'],
  ['Ω', 'Ohm'],
  ['kΩ', 'kOhm'],
  ['MΩ', 'MOhm'],
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
  ...[...UNITS.keys()].flatMap((code) => inSymbols(code).map((spelling) => [spelling, code] as const)),
]);

/** Small, and with a capital first letter. */
function inWords(word: string, code: string): [string, string][] {
  return [word, word.charAt(0).toUpperCase() + word.slice(1)].map((spelling) => [spelling, code]);
}

/** With the signs that UCUM writes in ASCII: both of Unicode's micros, raised digits. */
function inSymbols(code: string): readonly string[] {
  const raised = code.replace(/(?<=m|s)2/, '²').replace(/(?<=m)3/, '³');
  const micros = /^u[A-Zms]/.test(raised) ? ['µ', 'μ'].map((micro) => micro + raised.slice(1)) : [];
  return [...(raised === code ? [] : [raised]), ...micros];
}
