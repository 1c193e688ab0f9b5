import FFT from 'fft.js';

/**
 * A small, independent spectrum analyser for the tests of the signals: written apart from core/features, so that an error there
 * cannot hide one here. Records are a power of two long.
 */

/** One-sided peak amplitudes with a Hann window, corrected for its mean; line k is at k / duration. */
export function amplitudes(samples: Float64Array): Float64Array {
  const points = samples.length;
  const mean = samples.reduce((sum, value) => sum + value, 0) / points;
  const windowed = samples.map((value, i) => (value - mean) * (1 - Math.cos((2 * Math.PI * i) / points)));
  const spectrum = transform(windowed);
  return Float64Array.from(
    { length: points / 2 },
    (_, k) => (2 * Math.hypot(spectrum[2 * k]!, spectrum[2 * k + 1]!)) / points,
  );
}

/** Amplitude of the analytic signal in a band: the band's positive lines doubled, the rest zero, and back. */
export function envelope(samples: Float64Array, sampleRateHz: number, band: readonly [number, number]): Float64Array {
  const points = samples.length;
  const spectrum = transform(samples);
  const kept = new Array<number>(2 * points).fill(0);
  for (let k = Math.ceil((band[0] * points) / sampleRateHz); k <= (band[1] * points) / sampleRateHz; k++) {
    kept[2 * k] = 2 * spectrum[2 * k]!;
    kept[2 * k + 1] = 2 * spectrum[2 * k + 1]!;
  }
  const fft = new FFT(points);
  const analytic = fft.createComplexArray() as number[];
  fft.inverseTransform(analytic, kept);
  return Float64Array.from({ length: points }, (_, i) => Math.hypot(analytic[2 * i]!, analytic[2 * i + 1]!));
}

export function peakHz(spectrum: Float64Array, sampleRateHz: number, range: readonly [number, number]): number {
  const stepHz = sampleRateHz / (2 * spectrum.length);
  let best = Math.ceil(range[0] / stepHz);
  for (let k = best; k <= range[1] / stepHz; k++) if (spectrum[k]! > spectrum[best]!) best = k;
  return best * stepHz;
}

/** Of an acceleration in g, integrated in the frequency domain between 10 and 1000 Hz, in mm/s. */
export function velocityRms(samples: Float64Array, sampleRateHz: number): number {
  const points = samples.length;
  const windowed = samples.map((value, i) => value * (1 - Math.cos((2 * Math.PI * i) / points)));
  const spectrum = transform(windowed);
  let square = 0;
  for (let k = Math.ceil((10 * points) / sampleRateHz); k <= (1000 * points) / sampleRateHz; k++) {
    const hz = (k * sampleRateHz) / points;
    const velocity = ((Math.hypot(spectrum[2 * k]!, spectrum[2 * k + 1]!) / points) * 9806.65) / (2 * Math.PI * hz);
    square += 2 * velocity * velocity;
  }
  // The mean square of the window 1 - cos is 3/2.
  return Math.sqrt(square / 1.5);
}

export function rms(samples: Float64Array): number {
  return Math.sqrt(samples.reduce((sum, value) => sum + value * value, 0) / samples.length);
}

/** Pearson's, 3 for a normal distribution. */
export function kurtosis(samples: Float64Array): number {
  const second = samples.reduce((sum, value) => sum + value ** 2, 0) / samples.length;
  const fourth = samples.reduce((sum, value) => sum + value ** 4, 0) / samples.length;
  return fourth / second ** 2;
}

function transform(samples: Float64Array): number[] {
  const fft = new FFT(samples.length);
  const spectrum = fft.createComplexArray() as number[];
  fft.realTransform(spectrum, Array.from(samples));
  fft.completeSpectrum(spectrum);
  return spectrum;
}
