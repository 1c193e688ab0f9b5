/** The payload of a `waveform` event: a reference (claim check), because the samples are in the object store before it is published. */
export interface WaveformReference {
  /** Stable id: the device's own id within its machine and sensor, else a hash of the content. */
  readonly waveformId: string;
  readonly sensor: string;
  /** Time of the first sample, milliseconds since 1970. */
  readonly ts: number;
  readonly sampleRateHz: number;
  /** UCUM: `g`, `m/s2`, `mm/s`, ... */
  readonly unit: string;
  readonly encoding: WaveformEncoding;
  /** What a stored sample is multiplied by to give `unit`; 1 for f32le unless the device says otherwise. */
  readonly scale: number;
  readonly sampleCount: number;
  readonly rpm?: number;
  /** Where the samples are, behind their description: see waveform-object.ts. */
  readonly objectKey: string;
  /** Of the samples as they were sent, in hex. */
  readonly sha256: string;
}

export type WaveformEncoding = 'f32le' | 'i16le';

export const BYTES_PER_SAMPLE: Readonly<Record<WaveformEncoding, number>> = { f32le: 4, i16le: 2 };

/** Samples in the waveform's unit. Throws a RangeError on an odd byte count. */
export function decodeSamples(bytes: Uint8Array, encoding: WaveformEncoding, scale: number): Float64Array {
  const width = BYTES_PER_SAMPLE[encoding];
  if (bytes.byteLength % width !== 0) {
    throw new RangeError(`${encoding} samples take ${width} bytes each; got ${bytes.byteLength} bytes`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const samples = new Float64Array(bytes.byteLength / width);
  for (let i = 0; i < samples.length; i++) {
    samples[i] = scale * (encoding === 'f32le' ? view.getFloat32(i * 4, true) : view.getInt16(i * 2, true));
  }
  return samples;
}
