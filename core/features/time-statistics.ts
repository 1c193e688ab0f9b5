/** Statistics of a record about its mean. */
export interface TimeStatistics {
  readonly rms: number;
  /** Largest distance from the mean. */
  readonly peak: number;
  readonly peakToPeak: number;
  /** Absent for a record that does not move. */
  readonly ratios?: ShapeRatios;
}

/** Dimensionless statistics: the same for a record of any scale. */
export interface ShapeRatios {
  /** peak / RMS. */
  readonly crestFactor: number;
  /** Fourth standardised moment: 3 for Gaussian noise, 1.5 for a sine (Pearson's, biased: divided by n). */
  readonly kurtosis: number;
  /** Third standardised moment (biased). */
  readonly skewness: number;
  /** RMS / mean of the absolute value. */
  readonly shapeFactor: number;
  /** peak / mean of the absolute value. */
  readonly impulseFactor: number;
}

/** Statistics of a record whose mean has been taken off already. */
export function timeStatistics(centred: Float64Array): TimeStatistics {
  const n = centred.length;
  let sum2 = 0;
  let sum3 = 0;
  let sum4 = 0;
  let sumAbsolute = 0;
  let low = Infinity;
  let high = -Infinity;
  for (let i = 0; i < n; i++) {
    const x = centred[i]!;
    const square = x * x;
    sum2 += square;
    sum3 += square * x;
    sum4 += square * square;
    sumAbsolute += x < 0 ? -x : x;
    if (x < low) low = x;
    if (x > high) high = x;
  }
  const meanSquare = sum2 / n;
  const rms = Math.sqrt(meanSquare);
  const peak = Math.max(high, -low);
  const amounts = { rms, peak, peakToPeak: high - low };
  // The moments of a constant record are rounding noise (or underflow): their ratios would mean nothing.
  const kurtosis = sum4 / n / (meanSquare * meanSquare);
  if (!(rms > 0) || !Number.isFinite(kurtosis)) return amounts;
  const meanAbsolute = sumAbsolute / n;
  const ratios = {
    crestFactor: peak / rms,
    kurtosis,
    skewness: sum3 / n / (meanSquare * rms),
    shapeFactor: rms / meanAbsolute,
    impulseFactor: peak / meanAbsolute,
  };
  return { ...amounts, ratios };
}
