import type { Rejection } from '../domain/reading.ts';

/** Every reason for which an acknowledged item is not stored. Stable: clients branch on them. */
export const REJECTION_CODES = [
  'malformed_json',
  'invalid_utf8',
  'invalid_type',
  'too_large',
  'too_many_messages',
  'too_many_metrics',
  'invalid_id',
  'missing_timestamp',
  'invalid_timestamp',
  'timestamp_in_future',
  'timestamp_too_old',
  'missing_metrics',
  'invalid_metric_name',
  'not_finite',
  'invalid_quality',
  'invalid_unit',
  'unit_mismatch',
  'out_of_limits',
  'unknown_machine',
  'unmapped',
  'invalid_sensor',
  'invalid_sample_rate',
  'invalid_encoding',
  'invalid_scale',
  'invalid_rpm',
  'invalid_base64',
  'invalid_part',
  'truncated_samples',
  'too_few_samples',
  'incomplete_waveform',
  'too_many_open_waveforms',
] as const;

export type RejectionCode = (typeof REJECTION_CODES)[number];

export function rejection(code: RejectionCode, pointer: string, detail: string): Rejection {
  return { code, pointer, detail };
}

/** `parent` + `/` + the name as RFC 6901 escapes it, of hostile names no more than 100 characters. */
export function childPointer(parent: string, name: string): string {
  const short = name.length > 100 ? name.slice(0, 100) : name;
  return `${parent}/${short.replaceAll('~', '~0').replaceAll('/', '~1')}`;
}

/** A value as a rejection quotes it: JSON of at most 60 characters. */
export function quote(value: unknown): string {
  if (typeof value === 'number') return String(value);
  if (typeof value === 'string') return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value);
  if (value === null || typeof value === 'boolean') return String(value);
  if (value === undefined) return 'nothing';
  return Array.isArray(value) ? 'an array' : 'an object';
}
