import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { hash } from 'node:crypto';
import type { MachineKey } from './ids.ts';
import { parseWaveformObject, storedSamples, WAVEFORM_KEY, waveformKey, waveformObject } from './waveform-object.ts';
import { BYTES_PER_SAMPLE, decodeSamples, type WaveformEncoding } from './waveform.ts';

const MACHINE = 'acme/akron/press-7' as MachineKey;
const TS = Date.UTC(2026, 10, 21, 23, 59, 59, 999);

function described(bytes: Uint8Array, change: Record<string, unknown> = {}) {
  const encoding: WaveformEncoding = 'i16le';
  return {
    ...{ waveformId: 'w-1', sensor: 'de-horizontal', ts: TS, sampleRateHz: 25_600, unit: 'g', encoding, scale: 0.002 },
    ...{ sampleCount: bytes.length / 2, sha256: hash('sha256', bytes, 'hex') },
    ...change,
  };
}

function objectOf(bytes: Uint8Array, change: Record<string, unknown> = {}) {
  const objectKey = waveformKey(MACHINE, described(bytes, change));
  return { objectKey, object: waveformObject(MACHINE, { ...described(bytes, change), objectKey }, bytes) };
}

describe('a waveform’s object', () => {
  const bytes = Buffer.from(Int16Array.of(1000, -500, 10, 0).buffer);

  it('has tenant, site, machine, sensor, day and time in its key', () => {
    const { objectKey } = objectOf(bytes);
    expect(objectKey).toMatch(
      /^waveforms\/acme\/akron\/press-7\/de-horizontal\/2026-11-21\/\d{13}-[0-9a-f]{32}\.waveform$/,
    );
    expect(objectKey).toContain(`/${TS}-`);
    expect(objectKey).toMatch(WAVEFORM_KEY);
  });

  it('is read back from nothing but its bytes, with rate, unit, time and place', () => {
    const { description, samples } = parseWaveformObject(objectOf(bytes, { rpm: 1797 }).object);
    expect(description).toMatchObject({
      ...{ tenant: 'acme', site: 'akron', machine: 'press-7', sensor: 'de-horizontal' },
      ...{ ts: TS, sampleRateHz: 25_600, unit: 'g', rpm: 1797, sampleCount: 4 },
    });
    expect([...samples]).toEqual([2, -1, 0.02, 0]);
  });

  it('gives any samples back, whatever bytes they are, and wherever in memory', () => {
    const samples = fc.uint8Array({ minLength: 4, maxLength: 400 }).map((all) => all.subarray(0, all.length & ~3));
    fc.assert(
      fc.property(samples, fc.constantFrom<WaveformEncoding>('f32le', 'i16le'), (sent, encoding) => {
        const { objectKey, object } = objectOf(sent, {
          encoding,
          sampleCount: sent.length / BYTES_PER_SAMPLE[encoding],
        });
        const shifted = Buffer.concat([Buffer.from('x'), object]).subarray(1);
        expect(Buffer.compare(storedSamples(objectKey, shifted), sent)).toBe(0);
        expect(parseWaveformObject(shifted).samples).toEqual(decodeSamples(sent, encoding, 0.002));
      }),
    );
  });

  it.each([
    ['its rate', { sampleRateHz: 12_800 }],
    ['its unit', { unit: 'm/s2' }],
    ['its scale', { scale: 0.001 }],
    ['its id', { waveformId: 'w-2' }],
    ['its time', { ts: TS - 1 }],
  ])('has another key when %s differs, and the same one when nothing does', (_what, change) => {
    expect(objectOf(bytes).objectKey).toBe(objectOf(bytes).objectKey);
    expect(objectOf(bytes, change).objectKey).not.toBe(objectOf(bytes).objectKey);
  });

  it('of old is samples alone, under a key without an ending', () => {
    const key = `waveforms/${MACHINE}/de-horizontal/2026-11-21/${TS}-${'0'.repeat(32)}`;
    expect(key).toMatch(WAVEFORM_KEY);
    expect(storedSamples(key, bytes)).toBe(bytes);
  });

  it.each([
    ['samples alone', Buffer.alloc(10_000, 1), /no line of description/],
    ['another line in front', Buffer.from('{"format":"wav"}\n'), /does not begin with a line of JSON whose format/],
    ['a line that is no JSON', Buffer.from('hello\n'), /does not begin with a line of JSON whose format/],
    ['samples that were changed', Buffer.concat([objectOf(bytes).object, Buffer.of(0, 0)]), /another SHA-256/],
  ])('that is damaged says so: %s', (_what, object, message) => {
    expect(() => parseWaveformObject(object)).toThrow(message);
    expect(() => parseWaveformObject(object)).toThrow(RangeError);
  });
});
