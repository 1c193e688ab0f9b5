import { parseRfc3339 } from './timestamp.ts';
import { quote, rejection } from './rejection.ts';
import type { Rejection } from '../domain/reading.ts';

/** What a message's time and id are held against. */
export interface AdmissionRules {
  readonly nowMs: number;
  /** A `ts` further ahead than this is rejected. */
  readonly maxAheadMs: number;
  /** A `ts` older than this comes by import only. */
  readonly acceptAgeMs: number;
  readonly imported: boolean;
}

/** The time of a message in milliseconds since 1970, or why it is rejected. */
export function admitTimestamp(ts: unknown, rules: AdmissionRules, pointer: string): number | Rejection {
  let ms: number | undefined;
  if (typeof ts === 'number') ms = Number.isFinite(ts) ? Math.trunc(ts) : undefined;
  else if (typeof ts === 'string') ms = parseRfc3339(ts);
  else if (ts === undefined) {
    return rejection('missing_timestamp', pointer, 'send ts: RFC 3339 with an offset, or milliseconds since 1970');
  }
  if (ms === undefined || ms < 0) {
    const detail = `ts must be RFC 3339 with an offset, such as 2026-11-21T01:00:00Z, or milliseconds since 1970 and not before; got ${quote(ts)}`;
    return rejection('invalid_timestamp', pointer, detail);
  }
  if (ms > rules.nowMs + rules.maxAheadMs) {
    const detail = `ts ${quote(ts)} is more than ${rules.maxAheadMs / 1000} s ahead of the platform's clock: set the device's clock`;
    return rejection('timestamp_in_future', pointer, detail);
  }
  if (!rules.imported && ms < rules.nowMs - rules.acceptAgeMs) {
    const hint =
      typeof ts === 'number' && ts < 1e11 ? 'ts counts milliseconds, this looks like seconds' : 'import older data';
    const detail = `ts ${quote(ts)} is more than ${rules.acceptAgeMs / 86_400_000} days old: ${hint}`;
    return rejection('timestamp_too_old', pointer, detail);
  }
  return ms;
}

/** 1 to 128 printable ASCII characters without space. `~` begins the ids that the platform gives. */
const MESSAGE_ID = /^[!-}][!-~]{0,127}$/;

/** The device's own id, undefined where it sent none, or why it is rejected. */
export function admitId(id: unknown, pointer: string): string | undefined | Rejection {
  if (id === undefined || (typeof id === 'string' && MESSAGE_ID.test(id))) return id;
  const detail = `id must be 1 to 128 printable ASCII characters without spaces, not beginning with ~; got ${quote(id)}`;
  return rejection('invalid_id', pointer, detail);
}
