import { defectFrequenciesHz, type BearingGeometry } from './bearing.ts';
import { strongestTone, type PowerSpectrum, type Tone } from './power-spectrum.ts';
import type { FeatureParameters } from './waveform.ts';

/** What a line of a spectrum is expected from. A ball strikes both races, so its defect shows at twice the ball spin frequency. */
export type LineKind = 'shaft' | DefectKind;
export type DefectKind = (typeof DEFECT_KINDS)[number];

export const DEFECT_KINDS = ['bpfo', 'bpfi', '2xbsf', 'ftf'] as const;

/** One defect of one bearing at a known speed. */
export interface Defect {
  readonly kind: DefectKind;
  /** The bearing's id, or `b1`, `b2`... by its place in the machine's list. */
  readonly bearing: string;
  readonly frequencyHz: number;
  /**
   * What modulates its impacts: a point of the inner race passes the load zone once a turn, a ball once a turn of the cage. A point of
   * the outer race stays where it is.
   */
  readonly modulationHz: number | undefined;
}

/** The defects of all bearings of a machine. */
export function defectsOf(bearings: readonly BearingGeometry[], rpm: number): Defect[] {
  return bearings.flatMap((geometry, index): Defect[] => {
    const { bpfo, bpfi, bsf, ftf } = defectFrequenciesHz(geometry, rpm);
    const bearing = geometry.id ?? `b${index + 1}`;
    return [
      { kind: 'bpfo', bearing, frequencyHz: bpfo, modulationHz: undefined },
      { kind: 'bpfi', bearing, frequencyHz: bpfi, modulationHz: rpm / 60 },
      { kind: '2xbsf', bearing, frequencyHz: 2 * bsf, modulationHz: ftf },
      { kind: 'ftf', bearing, frequencyHz: ftf, modulationHz: undefined },
    ];
  });
}

/** One line of a family of harmonics and sidebands, where it was expected and where it was found. */
export interface MeasuredLine extends Tone {
  readonly harmonic: number;
  readonly sideband: number;
  readonly expectedHz: number;
}

export interface MeasuredDefect {
  readonly harmonics: readonly MeasuredLine[];
  readonly sidebands: readonly MeasuredLine[];
}

/** Tones closer than this many resolutions run into one another's main lobe: what cannot be told apart is not measured. */
const RESOLVED_LINES = 4;

export function isResolved(frequencyHz: number, spectrum: PowerSpectrum): boolean {
  return frequencyHz >= RESOLVED_LINES * spectrum.resolutionHz;
}

/** Harmonics of the shaft's rotation that the spectrum resolves and holds; the speed may be off by `speedTolerance`. */
export function measureShaft(spectrum: PowerSpectrum, shaftHz: number, parameters: FeatureParameters): MeasuredLine[] {
  if (!isResolved(shaftHz, spectrum)) return [];
  const ratio = commonRatio(spectrum, shaftHz, parameters.shaftHarmonics, parameters.speedTolerance);
  return harmonicsOf(spectrum, shaftHz, ratio, parameters.shaftHarmonics);
}

/**
 * Harmonics and sidebands of a defect. Slip moves all harmonics by one ratio, so that ratio is searched once for the whole family: a
 * search harmonic by harmonic would collect the highest noise line around each.
 *
 * @returns `undefined` when the spectrum does not resolve or hold the defect's frequency.
 */
export function measureDefect(
  spectrum: PowerSpectrum,
  defect: Defect,
  parameters: FeatureParameters,
): MeasuredDefect | undefined {
  const { frequencyHz, modulationHz } = defect;
  if (!isResolved(frequencyHz, spectrum)) return undefined;
  const ratio = commonRatio(spectrum, frequencyHz, parameters.defectHarmonics, parameters.slipTolerance);
  const harmonics = harmonicsOf(spectrum, frequencyHz, ratio, parameters.defectHarmonics);
  if (harmonics.length === 0) return undefined;
  if (modulationHz === undefined || !isResolved(modulationHz, spectrum)) return { harmonics, sidebands: [] };
  return { harmonics, sidebands: sidebandsOf(spectrum, harmonics, modulationHz, parameters.defectSidebands) };
}

/** Square root of the summed squares of the amplitudes: what all lines together would read as one tone of equal energy. */
export function combinedAmplitude(lines: readonly Tone[]): number {
  return Math.sqrt(lines.reduce((sum, line) => sum + line.amplitude * line.amplitude, 0));
}

/** Geometric mean of the amplitudes: large only when every one of the lines is there. */
export function commonAmplitude(lines: readonly Tone[]): number {
  return Math.exp(lines.reduce((sum, line) => sum + Math.log(line.amplitude + Number.MIN_VALUE), 0) / lines.length);
}

/**
 * Bounds the search for the common ratio: enough for the lines of the longest record at 25.6 kHz (327 s), four harmonics of 200 Hz and the
 * default tolerance, where it takes a few milliseconds a defect; the record's transforms take seconds.
 */
const MAX_RATIO_STEPS = 16_384;

function commonRatio(spectrum: PowerSpectrum, frequencyHz: number, harmonics: number, tolerance: number): number {
  const { meanSquares, stepHz } = spectrum;
  // Logarithms, because a family is there when all of its harmonics are: one strong line of another defect must not win it over.
  const presenceAt = (ratio: number): number => {
    let presence = 0;
    for (let h = 1; h <= harmonics; h++) {
      const line = Math.round((h * frequencyHz * ratio) / stepHz);
      if (line >= meanSquares.length) break;
      presence += Math.log(meanSquares[line]! + Number.MIN_VALUE);
    }
    return presence;
  };
  // Half a line at the highest harmonic: no finer step sees anything new.
  const steps = Math.min(MAX_RATIO_STEPS, Math.ceil((2 * tolerance * harmonics * frequencyHz) / stepHz));
  let best = 1;
  let bestPresence = presenceAt(1);
  for (let step = -steps; step <= steps; step++) {
    const ratio = 1 + (tolerance * step) / Math.max(1, steps);
    const presence = presenceAt(ratio);
    if (presence > bestPresence) {
      best = ratio;
      bestPresence = presence;
    }
  }
  return best;
}

function harmonicsOf(spectrum: PowerSpectrum, frequencyHz: number, ratio: number, count: number): MeasuredLine[] {
  const lines: MeasuredLine[] = [];
  const limitHz = (spectrum.meanSquares.length - 1) * spectrum.stepHz;
  for (let harmonic = 1; harmonic <= count && harmonic * frequencyHz * ratio <= limitHz; harmonic++) {
    const expectedHz = harmonic * frequencyHz;
    const tone = strongestTone(spectrum, expectedHz * ratio, spectrum.stepHz);
    lines.push({ ...tone, harmonic, sideband: 0, expectedHz });
  }
  return lines;
}

function sidebandsOf(
  spectrum: PowerSpectrum,
  harmonics: readonly MeasuredLine[],
  modulationHz: number,
  count: number,
): MeasuredLine[] {
  const lines: MeasuredLine[] = [];
  const limitHz = (spectrum.meanSquares.length - 1) * spectrum.stepHz;
  for (const centre of harmonics) {
    for (let sideband = -count; sideband <= count; sideband++) {
      const offsetHz = sideband * modulationHz;
      const placeHz = centre.frequencyHz + offsetHz;
      if (sideband === 0 || placeHz < modulationHz || placeHz > limitHz) continue;
      const tone = strongestTone(spectrum, placeHz, spectrum.stepHz);
      lines.push({ ...tone, harmonic: centre.harmonic, sideband, expectedHz: centre.expectedHz + offsetHz });
    }
  }
  return lines;
}
