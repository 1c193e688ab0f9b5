import { isAscii, isUtf8 } from 'node:buffer';
import type { MetricDefinition } from '../domain/plant.ts';
import { isQuality, type Quality, type Rejection, type TelemetryBody } from '../domain/reading.ts';
import { admitId, admitTimestamp, type AdmissionRules } from './admission-rules.ts';
import type { MetricCatalogue } from './metric-catalogue.ts';
import { childPointer, quote, rejection } from './rejection.ts';
import { convertUnit, isUnitText, sameUnit } from '../domain/units.ts';

export const MAX_MESSAGES = 1000;
export const MAX_METRICS = 1000;

/** One device message of which at least one metric is kept. */
export interface AdmittedMessage {
  /** Its place in the array; undefined for a single message. */
  readonly index: number | undefined;
  /** The device's own id; undefined where it sent none. */
  readonly id: string | undefined;
  readonly ts: number;
  /** How many metric values `payload` holds. */
  readonly items: number;
  /** JSON of a {@link TelemetryBody}: the device's own bytes where they are already that. */
  readonly payload: Uint8Array;
  /** What was refused out of it. */
  readonly rejections: readonly Rejection[];
}

export interface TelemetryReading {
  readonly admitted: readonly AdmittedMessage[];
  /** One an item of the messages of which nothing is kept. */
  readonly rejections: readonly Rejection[];
}

/**
 * Reads a telemetry payload as wire.md defines it: one message or an array of at most {@link MAX_MESSAGES}. Total: whatever the bytes are,
 * each item ends among the admitted or among the rejected. Written by hand because every message passes here: a clean message costs
 * little more than its JSON.parse.
 */
export function readTelemetry(
  payload: Uint8Array,
  catalogue: MetricCatalogue,
  rules: AdmissionRules,
): TelemetryReading {
  const bytes = asBuffer(payload);
  const ascii = isAscii(bytes);
  if (!ascii && !isUtf8(bytes)) {
    return rejectedWhole(rejection('invalid_utf8', '', 'the payload is not UTF-8: send JSON in UTF-8'));
  }
  const text = bytes.toString(ascii ? 'latin1' : 'utf8');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return rejectedWhole(rejection('malformed_json', '', `the payload is not JSON: ${reasonOf(error)}`));
  }
  const reading: MutableReading = { admitted: [], rejections: [] };
  if (!Array.isArray(value)) {
    readMessage(value, undefined, ascii ? { text, payload: bytes } : undefined, catalogue, rules, reading);
    return reading;
  }
  if (value.length === 0 || value.length > MAX_MESSAGES) {
    const detail = `an array takes 1 to ${MAX_MESSAGES} messages, got ${value.length}: split it`;
    return rejectedWhole(rejection('too_many_messages', '', detail));
  }
  for (const [index, message] of value.entries()) {
    readMessage(message, index, undefined, catalogue, rules, reading);
  }
  return reading;
}

interface MutableReading {
  readonly admitted: AdmittedMessage[];
  readonly rejections: Rejection[];
}

/** The bytes of a single message, for use as they are. */
interface Original {
  readonly text: string;
  readonly payload: Buffer;
}

const NO_REJECTIONS: readonly Rejection[] = [];

function readMessage(
  message: unknown,
  index: number | undefined,
  original: Original | undefined,
  catalogue: MetricCatalogue,
  rules: AdmissionRules,
  into: MutableReading,
): void {
  const pointer = index === undefined ? '' : `/${index}`;
  if (!isRecord(message)) {
    into.rejections.push(rejection('invalid_type', pointer, `a message is a JSON object, got ${quote(message)}`));
    return;
  }
  const ts = admitTimestamp(message['ts'], rules, `${pointer}/ts`);
  const id = admitId(message['id'], `${pointer}/id`);
  const refused =
    typeof ts !== 'number' ? ts : typeof id === 'object' ? id : refuseMetrics(message['metrics'], `${pointer}/metrics`);
  if (refused !== undefined) {
    into.rejections.push(refused);
    return;
  }
  const metrics = message['metrics'] as Readonly<Record<string, unknown>>;
  const body = readMetrics(metrics, `${pointer}/metrics`, catalogue);
  if (body.items === 0) {
    into.rejections.push(...body.rejections);
    return;
  }
  const own =
    original === undefined || body.changed !== undefined ? undefined : reuseBytes(message, ts as number, original);
  into.admitted.push({
    index,
    id: id as string | undefined,
    ts: ts as number,
    items: body.items,
    payload: own ?? Buffer.from(JSON.stringify({ ts, metrics: body.changed ?? metrics })),
    rejections: body.rejections,
  });
}

function refuseMetrics(metrics: unknown, pointer: string): Rejection | undefined {
  if (!isRecord(metrics)) {
    return rejection('missing_metrics', pointer, `metrics must be an object of name to value, got ${quote(metrics)}`);
  }
  let count = 0;
  for (const _ in metrics) count++;
  if (count === 0) return rejection('missing_metrics', pointer, 'metrics is empty: send at least one');
  if (count > MAX_METRICS) {
    return rejection(
      'too_many_metrics',
      pointer,
      `a message takes at most ${MAX_METRICS} metrics, got ${count}: split it`,
    );
  }
  return undefined;
}

interface MetricsReading {
  readonly items: number;
  readonly rejections: readonly Rejection[];
  /** The metrics as they are to be stored, where that differs from what the device sent. */
  readonly changed: TelemetryBody['metrics'] | undefined;
}

type StoredValue = TelemetryBody['metrics'][string];

/** Most messages are clean: what differs is collected only from the first difference on. */
function readMetrics(
  metrics: Readonly<Record<string, unknown>>,
  pointer: string,
  catalogue: MetricCatalogue,
): MetricsReading {
  let items = 0;
  let clean = true;
  for (const name in metrics) {
    const value = metrics[name];
    const definition = catalogue.lookUp(name);
    if (typeof value === 'number' && definition !== undefined && isPossible(value, definition)) items++;
    else if (isCanonical(value, definition)) items++;
    else {
      clean = false;
      break;
    }
  }
  return clean ? { items, rejections: NO_REJECTIONS, changed: undefined } : sortMetrics(metrics, pointer, catalogue);
}

function sortMetrics(
  metrics: Readonly<Record<string, unknown>>,
  pointer: string,
  catalogue: MetricCatalogue,
): MetricsReading {
  const kept: [string, StoredValue][] = [];
  const rejections: Rejection[] = [];
  for (const name in metrics) {
    const outcome = readMetric(name, metrics[name], pointer, catalogue.lookUp(name));
    if (typeof outcome === 'object' && 'code' in outcome) rejections.push(outcome);
    else kept.push([name, outcome]);
  }
  return { items: kept.length, rejections, changed: Object.fromEntries(kept) };
}

/** Finite and inside the catalogue's limits; NaN and infinities fail both comparisons. */
function isPossible(value: number, definition: MetricDefinition | null): boolean {
  if (definition === null) return Number.isFinite(value);
  return value >= (definition.min ?? -Number.MAX_VALUE) && value <= (definition.max ?? Number.MAX_VALUE);
}

/** An object of nothing but value, unit and quality, whose unit is the catalogue's: stored as it is. */
function isCanonical(metric: unknown, definition: MetricDefinition | null | undefined): boolean {
  if (definition === undefined || !isRecord(metric)) return false;
  for (const key in metric) if (key !== 'value' && key !== 'unit' && key !== 'quality') return false;
  const { value, unit, quality } = metric;
  const unitFits = unit === undefined || (definition === null ? isUnitText(unit) : unit === definition.unit);
  return (
    unitFits &&
    typeof value === 'number' &&
    isPossible(value, definition) &&
    (quality === undefined || isQuality(quality))
  );
}

function readMetric(
  name: string,
  metric: unknown,
  parent: string,
  definition: MetricDefinition | null | undefined,
): StoredValue | Rejection {
  const pointer = childPointer(parent, name);
  if (definition === undefined) {
    return rejection(
      'invalid_metric_name',
      pointer,
      'a metric name is 1 to 64 of A-Z a-z 0-9 _ . - and no reserved word',
    );
  }
  const { value, unit, quality } = isRecord(metric) ? metric : { value: metric };
  if (typeof value !== 'number') {
    const detail = `a metric is a JSON number or an object with value, unit and quality; got ${quote(isRecord(metric) ? value : metric)}`;
    return rejection('invalid_type', pointer, detail);
  }
  if (!Number.isFinite(value)) return rejection('not_finite', pointer, 'the number is beyond the range of a double');
  if (quality !== undefined && !isQuality(quality)) {
    return rejection('invalid_quality', pointer, `quality must be good, uncertain or bad, got ${quote(quality)}`);
  }
  if (unit !== undefined && !isUnitText(unit)) {
    return rejection('invalid_unit', pointer, `unit must be a UCUM code such as mm/s or Cel, got ${quote(unit)}`);
  }
  return storedValue(value, unit, quality, definition, pointer);
}

/** The value in the catalogue's unit, which then goes without saying. */
function storedValue(
  sent: number,
  unit: string | undefined,
  quality: Quality | undefined,
  definition: MetricDefinition | null,
  pointer: string,
): StoredValue | Rejection {
  if (definition === null) {
    return unit === undefined && quality === undefined
      ? sent
      : { value: sent, ...(unit && { unit }), ...(quality && { quality }) };
  }
  const value = unit === undefined || sameUnit(unit, definition.unit) ? sent : convertUnit(sent, unit, definition.unit);
  if (value === undefined) {
    const detail = `${definition.name} is kept in ${definition.unit} and ${quote(unit)} does not convert to it: send ${definition.unit}`;
    return rejection('unit_mismatch', pointer, detail);
  }
  if (!isPossible(value, definition)) {
    const limits = `${definition.min ?? 'any'} to ${definition.max ?? 'any'} ${definition.unit}`;
    return rejection(
      'out_of_limits',
      pointer,
      `${value} is outside ${limits}, the limits of ${definition.name} on this machine`,
    );
  }
  return quality === undefined ? value : { value, quality };
}

/**
 * The device's bytes as a TelemetryBody, without writing its JSON again: numbers are slow to print. As they are when `ts` is a whole number;
 * with the RFC 3339 text of `ts` replaced by its number when that text can be found with certainty, which no escape sequence in the message
 * and a single place guarantee. Undefined otherwise.
 */
function reuseBytes(
  message: Readonly<Record<string, unknown>>,
  ts: number,
  original: Original,
): Uint8Array | undefined {
  for (const key in message) if (key !== 'ts' && key !== 'metrics' && key !== 'id') return undefined;
  const sent = message['ts'];
  const { text, payload } = original;
  if (payload.length > MAX_REUSED_BYTES) return undefined;
  if (sent === ts) return payload;
  const at = text.indexOf('"ts"');
  if (typeof sent !== 'string' || at < 0 || text.includes('"ts"', at + 4) || payload.includes(BACKSLASH))
    return undefined;
  const colon = at + 4;
  const quoted = text.charCodeAt(colon + 1) === SPACE ? colon + 2 : colon + 1;
  if (text.charCodeAt(colon) !== COLON || !text.startsWith(sent, quoted + 1)) return undefined;
  return replaceByNumber(payload, quoted, quoted + sent.length + 2, ts);
}

/** A payload above it is mostly white space, and must not make an event above MAX_EVENT_BYTES. */
const MAX_REUSED_BYTES = 256 * 1024;
const SPACE = 0x20;
const ZERO = 0x30;
const COLON = 0x3a;
const BACKSLASH = 0x5c;

/** A copy of the bytes in which those from `start` to before `end` are the digits of a whole number. */
function replaceByNumber(bytes: Buffer, start: number, end: number, value: number): Uint8Array {
  let digits = 1;
  for (let power = 10; power <= value; power *= 10) digits++;
  const out = Buffer.allocUnsafe(bytes.length - (end - start) + digits);
  bytes.copy(out, 0, 0, start);
  bytes.copy(out, start + digits, end);
  for (let at = start + digits - 1, rest = value; at >= start; at--) {
    const tenth = Math.floor(rest / 10);
    out[at] = ZERO + rest - tenth * 10;
    rest = tenth;
  }
  return out;
}

function rejectedWhole(...rejections: Rejection[]): TelemetryReading {
  return { admitted: [], rejections };
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message.slice(0, 160) : 'unreadable';
}
