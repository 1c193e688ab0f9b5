/** How far a value may be trusted, as the device or the platform judged it. */
export type Quality = 'good' | 'uncertain' | 'bad';

export function isQuality(value: unknown): value is Quality {
  return value === 'good' || value === 'uncertain' || value === 'bad';
}

/**
 * The payload of a `telemetry` event: what survived validation of one device message.
 * `metrics` is a plain record so that its JSON is the wire's own; a value is a number (good, catalogue unit) or an object.
 */
export interface TelemetryBody {
  /** Milliseconds since 1970. */
  readonly ts: number;
  readonly metrics: Readonly<Record<string, number | { value: number; unit?: string; quality?: Quality }>>;
}

/** Why an item was rejected: a stable code, the offending part, and what to do about it. */
export interface Rejection {
  readonly code: string;
  /** JSON pointer into the device's message, for example `/metrics/temperature`. */
  readonly pointer: string;
  readonly detail: string;
}
