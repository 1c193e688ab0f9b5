/** A 16-bit converter: samples in units of `scale`, clipped at its range, little-endian. */
export function quantise16(samples: Float64Array, scale: number): Uint8Array {
  const bytes = new Uint8Array(samples.length * 2);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < samples.length; i++) {
    view.setInt16(i * 2, Math.max(-32768, Math.min(32767, Math.round(samples[i]! / scale))), true);
  }
  return bytes;
}
