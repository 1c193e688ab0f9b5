import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { readWaveformJson, readWaveformRaw, refuseSamples, MAX_WAVEFORM_BYTES } from './waveform.ts';

const NOW_MS = Date.parse('2026-11-21T01:00:00.000Z');
const RULES = { nowMs: NOW_MS, maxAheadMs: 300_000, acceptAgeMs: 7 * 86_400_000, imported: false };
const SAMPLES = Buffer.from(Float32Array.from({ length: 16 }, (_, at) => [1, -2, 3.5, 0][at % 4]!).buffer);
const GOOD = {
  id: 'w-1',
  ts: '2026-11-21T01:00:00.000Z',
  sampleRateHz: 25_600,
  unit: 'g',
  encoding: 'f32le',
  rpm: 1797,
  samples: SAMPLES.toString('base64'),
};

function readJson(change: Record<string, unknown> = {}) {
  return readWaveformJson(Buffer.from(JSON.stringify({ ...GOOD, ...change })), RULES);
}

describe('a waveform as JSON', () => {
  it('is read with its description', () => {
    expect(readJson()).toEqual({
      header: { id: 'w-1', ts: NOW_MS, sampleRateHz: 25_600, unit: 'g', encoding: 'f32le', scale: 1, rpm: 1797 },
      bytes: SAMPLES,
      part: undefined,
    });
  });

  it.each(['m/s²', 'µm', 'mm/s', '[g]'])('may be in %s', (unit) => {
    expect(readJson({ unit })).toMatchObject({ header: { unit } });
  });

  it('gives back any samples that were sent', () => {
    const samples = fc.uint8Array({ minLength: 32, maxLength: 600 }).map((bytes) => bytes.subarray(bytes.length % 2));
    fc.assert(
      fc.property(samples, (bytes) => {
        const read = readJson({ encoding: 'i16le', scale: 0.002, samples: Buffer.from(bytes).toString('base64') });
        return 'bytes' in read && Buffer.from(bytes).equals(read.bytes);
      }),
    );
  });

  it.each([
    ['an odd byte count', { samples: SAMPLES.subarray(0, 15).toString('base64') }, 'truncated_samples'],
    ['an odd byte count of i16le', { encoding: 'i16le', scale: 1, samples: 'AAAA' }, 'truncated_samples'],
    ['truncated base64', { samples: GOOD.samples.slice(0, -3) }, 'truncated_samples'],
    ['base64 without its padding', { samples: 'AAAAAA' }, 'truncated_samples'],
    ['characters that are not base64', { samples: 'AA*A' }, 'invalid_base64'],
    ['padding in the middle', { samples: 'AA==AAAA' }, 'invalid_base64'],
    ['samples that are no text', { samples: [1, 2, 3] }, 'invalid_base64'],
    ['no samples', { samples: '' }, 'truncated_samples'],
    ['fewer samples than have a spectrum', { samples: SAMPLES.subarray(4).toString('base64') }, 'too_few_samples'],
    ['a sample that is NaN', { samples: Buffer.from(Float32Array.of(1, NaN).buffer).toString('base64') }, 'not_finite'],
    [
      'an infinite sample',
      { samples: Buffer.from(Float32Array.of(-Infinity).buffer).toString('base64') },
      'not_finite',
    ],
    ['zero sample rate', { sampleRateHz: 0 }, 'invalid_sample_rate'],
    ['a negative sample rate', { sampleRateHz: -25_600 }, 'invalid_sample_rate'],
    ['an absurd sample rate', { sampleRateHz: 1e12 }, 'invalid_sample_rate'],
    ['a sample rate in text', { sampleRateHz: '25600' }, 'invalid_sample_rate'],
    ['no unit', { unit: undefined }, 'invalid_unit'],
    ['an unknown encoding', { encoding: 'f64be' }, 'invalid_encoding'],
    ['i16le without scale', { encoding: 'i16le' }, 'invalid_scale'],
    ['scale 0', { scale: 0 }, 'invalid_scale'],
    ['a negative speed', { rpm: -5 }, 'invalid_rpm'],
    ['no time', { ts: undefined }, 'missing_timestamp'],
    ['a time in 2099', { ts: '2099-01-01T00:00:00Z' }, 'timestamp_in_future'],
    ['part 0', { part: 0, parts: 4 }, 'invalid_part'],
    ['a part beyond the last', { part: 5, parts: 4 }, 'invalid_part'],
    ['65 parts', { part: 1, parts: 65 }, 'invalid_part'],
    ['a part without parts', { part: 1 }, 'invalid_part'],
    ['half a part', { part: 1.5, parts: 3 }, 'invalid_part'],
  ])('is rejected for %s', (_reason, change, code) => {
    expect(readJson(change)).toMatchObject({ code });
  });

  it.each([
    ['malformed JSON', Buffer.from('{"ts":'), 'malformed_json'],
    ['illegal UTF-8', Buffer.from([0x22, 0xff, 0x22]), 'invalid_utf8'],
    ['an array', Buffer.from('[]'), 'invalid_type'],
  ])('is rejected for %s', (_reason, payload, code) => {
    expect(readWaveformJson(payload, RULES)).toMatchObject({ code });
  });

  it('may come in one part of one', () => {
    expect(readJson({ part: 1, parts: 1 })).toMatchObject({ part: undefined });
  });
});

describe('a raw waveform', () => {
  const description = { ts: '2026-11-21T01:00:00Z', sampleRateHz: '25600', unit: 'g', encoding: 'f32le' };

  it('is described by text', () => {
    expect(readWaveformRaw({ ...description, ts: String(NOW_MS), rpm: '1797.5' }, SAMPLES, RULES)).toMatchObject({
      header: { id: undefined, ts: NOW_MS, sampleRateHz: 25_600, rpm: 1797.5, scale: 1 },
      bytes: SAMPLES,
    });
  });

  it.each([
    ['an odd byte count', description, SAMPLES.subarray(0, 7), 'truncated_samples'],
    ['a sample rate in words', { ...description, sampleRateHz: 'fast' }, SAMPLES, 'invalid_sample_rate'],
    ['a sample rate in hexadecimal', { ...description, sampleRateHz: '0x64' }, SAMPLES, 'invalid_sample_rate'],
    ['keys of a prototype', Object.create(description) as Record<string, string>, SAMPLES, 'missing_timestamp'],
  ])('is rejected for %s', (_reason, sent, bytes, code) => {
    expect(readWaveformRaw(sent, bytes, RULES)).toMatchObject({ code });
  });

  it('is rejected above the size that an object may have', () => {
    expect(refuseSamples(new Uint8Array(MAX_WAVEFORM_BYTES + 4), 'i16le')).toMatchObject({ code: 'too_large' });
  });
});
