import { isUtf8 } from 'node:buffer';
import type { Rejection } from '../domain/reading.ts';
import { BYTES_PER_SAMPLE, type WaveformEncoding } from '../domain/waveform.ts';
import { MIN_SAMPLES } from '../features/waveform.ts';
import { admitId, admitTimestamp, type AdmissionRules } from './admission-rules.ts';
import { quote, rejection } from './rejection.ts';
import { isUnitText } from '../domain/units.ts';

/** What a waveform, or each of its parts, says of its samples. */
export interface WaveformHeader {
  readonly id: string | undefined;
  /** Of the waveform's first sample, milliseconds since 1970. */
  readonly ts: number;
  readonly sampleRateHz: number;
  readonly unit: string;
  readonly encoding: WaveformEncoding;
  readonly scale: number;
  readonly rpm: number | undefined;
}

export interface WaveformMessage {
  readonly header: WaveformHeader;
  readonly bytes: Uint8Array;
  /** `number` counts from 1 to `of`; undefined for a waveform in one piece. */
  readonly part: { readonly number: number; readonly of: number } | undefined;
}

const MAX_PARTS = 64;
export const MAX_WAVEFORM_BYTES = 16 * 1024 * 1024;
const MIN_SAMPLE_RATE_HZ = 0.001;
/** Ten times what acoustic emission is sampled at. */
const MAX_SAMPLE_RATE_HZ = 1e7;
const MAX_RPM = 1e6;

/** Reads a JSON waveform with base64 samples (wire.md), or says why it is rejected. */
export function readWaveformJson(payload: Uint8Array, rules: AdmissionRules): WaveformMessage | Rejection {
  if (!isUtf8(payload)) return rejection('invalid_utf8', '', 'the payload is not UTF-8: send JSON in UTF-8');
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString('utf8'));
  } catch (error) {
    const reason = error instanceof Error ? error.message.slice(0, 160) : 'unreadable';
    return rejection('malformed_json', '', `the payload is not JSON: ${reason}`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return rejection('invalid_type', '', `a waveform is a JSON object, got ${quote(value)}`);
  }
  const message = value as Readonly<Record<string, unknown>>;
  const header = readHeader(message, rules);
  if ('code' in header) return header;
  const part = readPart(message['part'], message['parts']);
  if (part !== undefined && 'code' in part) return part;
  const bytes = decodeBase64(message['samples']);
  return 'code' in bytes ? bytes : whole({ header, bytes, part });
}

/** Reads raw samples described by query parameters: the names are those of the JSON form, the values are text. */
export function readWaveformRaw(
  description: Readonly<Record<string, string>>,
  payload: Uint8Array,
  rules: AdmissionRules,
): WaveformMessage | Rejection {
  const own = (name: string) => (Object.hasOwn(description, name) ? description[name] : undefined);
  const number = (name: string) => {
    const text = own(name);
    return text !== undefined && DECIMAL.test(text) ? Number(text) : text;
  };
  const header = readHeader(
    {
      id: own('id'),
      ts: number('ts'),
      sampleRateHz: number('sampleRateHz'),
      unit: own('unit'),
      encoding: own('encoding'),
      scale: number('scale'),
      rpm: number('rpm'),
    },
    rules,
  );
  return 'code' in header ? header : whole({ header, bytes: payload, part: undefined });
}

/** Checks the samples of a complete waveform: their count, and that each is a number. */
export function refuseSamples(bytes: Uint8Array, encoding: WaveformEncoding): Rejection | undefined {
  const width = BYTES_PER_SAMPLE[encoding];
  if (bytes.length === 0) return rejection('truncated_samples', '/samples', 'there are no samples');
  if (bytes.length > MAX_WAVEFORM_BYTES) {
    return rejection(
      'too_large',
      '/samples',
      `a waveform takes at most ${MAX_WAVEFORM_BYTES} bytes of samples, got ${bytes.length}`,
    );
  }
  if (bytes.length % width !== 0) {
    const detail = `${encoding} samples take ${width} bytes each, got ${bytes.length} bytes: some are cut off or the encoding is another`;
    return rejection('truncated_samples', '/samples', detail);
  }
  if (encoding === 'f32le') {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let at = 0; at < bytes.length; at += 4) {
      if ((view.getUint32(at, true) & FLOAT32_EXPONENT) === FLOAT32_EXPONENT) {
        return rejection(
          'not_finite',
          `/samples/${at / 4}`,
          'a sample is NaN or infinite: leave the waveform out instead',
        );
      }
    }
  }
  const samples = bytes.length / width;
  if (samples < MIN_SAMPLES) {
    const detail = `a waveform has at least ${MIN_SAMPLES} samples, got ${samples}: record for longer, or send readings`;
    return rejection('too_few_samples', '/samples', detail);
  }
  return undefined;
}

const FLOAT32_EXPONENT = 0x7f800000;
const DECIMAL = /^-?[0-9]{1,17}(\.[0-9]{1,17})?([eE][+-]?[0-9]{1,3})?$/;
const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;

function whole(message: WaveformMessage): WaveformMessage | Rejection {
  if (message.part !== undefined) return message;
  return refuseSamples(message.bytes, message.header.encoding) ?? message;
}

function readHeader(message: Readonly<Record<string, unknown>>, rules: AdmissionRules): WaveformHeader | Rejection {
  const ts = admitTimestamp(message['ts'], rules, '/ts');
  if (typeof ts !== 'number') return ts;
  const id = admitId(message['id'], '/id');
  if (typeof id === 'object') return id;
  const { sampleRateHz, unit, encoding, rpm } = message;
  if (!isBetween(sampleRateHz, MIN_SAMPLE_RATE_HZ, MAX_SAMPLE_RATE_HZ)) {
    const detail = `sampleRateHz must be ${MIN_SAMPLE_RATE_HZ} to ${MAX_SAMPLE_RATE_HZ} samples a second, got ${quote(sampleRateHz)}`;
    return rejection('invalid_sample_rate', '/sampleRateHz', detail);
  }
  if (!isUnitText(unit)) {
    return rejection('invalid_unit', '/unit', `unit must be a UCUM code such as g or mm/s, got ${quote(unit)}`);
  }
  if (encoding !== 'f32le' && encoding !== 'i16le') {
    return rejection('invalid_encoding', '/encoding', `encoding must be f32le or i16le, got ${quote(encoding)}`);
  }
  const scale = message['scale'] ?? (encoding === 'f32le' ? 1 : undefined);
  if (typeof scale !== 'number' || !Number.isFinite(scale) || scale === 0) {
    const detail = `scale must be the ${unit} of one count, a finite number other than 0, got ${quote(scale)}`;
    return rejection('invalid_scale', '/scale', detail);
  }
  if (rpm !== undefined && !isBetween(rpm, 0, MAX_RPM)) {
    return rejection(
      'invalid_rpm',
      '/rpm',
      `rpm must be 0 to ${MAX_RPM}, got ${quote(rpm)}: leave it out where it is not known`,
    );
  }
  return { id, ts, sampleRateHz, unit, encoding, scale, rpm };
}

function readPart(number: unknown, of: unknown): { number: number; of: number } | undefined | Rejection {
  if (number === undefined && of === undefined) return undefined;
  const valid =
    isBetween(of, 1, MAX_PARTS) && Number.isInteger(of) && isBetween(number, 1, of) && Number.isInteger(number);
  if (!valid) {
    const detail = `part counts from 1 to parts, and parts is at most ${MAX_PARTS}; got part ${quote(number)} of ${quote(of)}`;
    return rejection('invalid_part', '/part', detail);
  }
  return of === 1 ? undefined : { number, of };
}

/** Strict, because Buffer skips what is not base64 and so makes other samples of a damaged text. */
function decodeBase64(samples: unknown): Uint8Array | Rejection {
  if (typeof samples !== 'string') {
    return rejection('invalid_base64', '/samples', `samples must be base64 text, got ${quote(samples)}`);
  }
  if (samples.length % 4 !== 0) {
    const detail = `base64 comes in groups of 4 characters, got ${samples.length}: the text is cut off or lacks its padding`;
    return rejection('truncated_samples', '/samples', detail);
  }
  if (!BASE64.test(samples)) {
    return rejection('invalid_base64', '/samples', 'samples holds characters outside A-Z a-z 0-9 + / and = at the end');
  }
  return Buffer.from(samples, 'base64');
}

function isBetween(value: unknown, min: number, max: number): value is number {
  return typeof value === 'number' && value >= min && value <= max;
}
