import { Buffer } from 'node:buffer';
import type { StampedEvent } from '../domain/event.ts';
import { isQuality, type Rejection } from '../domain/reading.ts';
import { BYTES_PER_SAMPLE, type WaveformReference } from '../domain/waveform.ts';
import type { DerivedDocument, EventOutcome, ReadingRow } from '../ports/time-series-store.ts';

/** What the catalogue says of the readings of an event that state no unit, see core/settlement/declared-units.ts. */
export type UnitsOf = (event: StampedEvent) => ReadonlyMap<string, string> | undefined;

/** What becomes of each event of a delivery, in its order: what {@link TimeSeriesStore.settle} takes. Never throws for bad content. */
export function settlementOutcomes(events: readonly StampedEvent[], unitsOf?: UnitsOf): EventOutcome[] {
  return events.map((event) => settlementOutcome(event, unitsOf));
}

/**
 * What becomes of one event. A payload that cannot be read, or that does not stand for the items that its envelope counts,
 * is dead-lettered whole, so that every item still ends in exactly one place.
 */
export function settlementOutcome(event: StampedEvent, unitsOf?: UnitsOf): EventOutcome {
  try {
    return decode(event, unitsOf);
  } catch (error) {
    if (error instanceof Undecodable) return { type: 'deadLettered', event, code: error.code, detail: error.message };
    if (error instanceof SyntaxError) {
      return { type: 'deadLettered', event, code: 'undecodable_payload', detail: `no JSON: ${error.message}` };
    }
    throw error;
  }
}

/** 2199-01-01: what lies beyond is no time of a machine. */
const END_OF_TIME_MS = 7_226_582_400_000;

/** The stable codes of {@link EventOutcome}s of type `deadLettered` that settlement itself decides. */
type SettlementCode = 'undecodable_payload' | 'item_count_mismatch' | 'unsupported_kind';

class Undecodable extends Error {
  readonly code: SettlementCode;

  constructor(code: SettlementCode, message: string) {
    super(message);
    this.code = code;
  }
}

function decode(event: StampedEvent, unitsOf: UnitsOf | undefined): EventOutcome {
  switch (event.kind) {
    case 'telemetry':
      return telemetry(event, unitsOf);
    case 'waveform':
      expectItems(event, 1);
      return { type: 'waveform', event, waveform: waveform(json(event)) };
    case 'rejection':
      return rejection(event);
    case 'duplicate':
      return { type: 'duplicate', event };
    case 'features':
    case 'prediction':
      expectItems(event, 0);
      return { type: 'document', event, document: derivedDocument(json(event), event.kind) };
    case 'alarm':
      throw new Undecodable('unsupported_kind', 'alarms live in their journal, not in the time-series store');
  }
}

function json(event: StampedEvent): unknown {
  const { buffer, byteOffset, byteLength } = event.payload;
  return JSON.parse(Buffer.from(buffer, byteOffset, byteLength).toString('utf8'));
}

/** The hot path: one call a device message. */
function telemetry(event: StampedEvent, unitsOf: UnitsOf | undefined): EventOutcome {
  const body = json(event);
  if (!isRecord(body) || !isTime(body['ts']) || !isRecord(body['metrics'])) {
    throw new Undecodable('undecodable_payload', 'telemetry is { ts: milliseconds, metrics: { name: value } }');
  }
  const metrics = body['metrics'];
  const readings: ReadingRow[] = [];
  for (const metric in metrics) {
    const value = metrics[metric];
    readings.push(Number.isFinite(value) ? { metric, value: value as number } : describedReading(metric, value));
  }
  expectItems(event, readings.length);
  return { type: 'readings', event, ts: body['ts'], readings, units: unitsOf?.(event) };
}

function describedReading(metric: string, value: unknown): ReadingRow {
  if (!isRecord(value) || !Number.isFinite(value['value'])) {
    throw new Undecodable(
      'undecodable_payload',
      `metric ${metric} is neither a finite number nor { value, unit, quality }`,
    );
  }
  const { unit, quality } = value;
  if (unit !== undefined && typeof unit !== 'string') {
    throw new Undecodable('undecodable_payload', `the unit of ${metric} is no string`);
  }
  if (quality !== undefined && !isQuality(quality)) {
    throw new Undecodable('undecodable_payload', `the quality of ${metric} is not good, uncertain or bad`);
  }
  return {
    metric,
    value: value['value'] as number,
    ...(unit === undefined ? {} : { unit }),
    ...(quality === undefined ? {} : { quality }),
  };
}

function rejection(event: StampedEvent): EventOutcome {
  const body = json(event);
  if (!Array.isArray(body) || !body.every(isRejection)) {
    throw new Undecodable('undecodable_payload', 'a rejection is a list of { code, pointer, detail }');
  }
  expectItems(event, body.length);
  return { type: 'rejected', event, rejections: body };
}

function waveform(body: unknown): WaveformReference {
  if (
    !isRecord(body) ||
    !isText(body['waveformId']) ||
    !isText(body['sensor']) ||
    !isTime(body['ts']) ||
    !isPositive(body['sampleRateHz']) ||
    typeof body['unit'] !== 'string' ||
    typeof body['encoding'] !== 'string' ||
    !Object.hasOwn(BYTES_PER_SAMPLE, body['encoding']) ||
    typeof body['scale'] !== 'number' ||
    !isPositive(body['sampleCount']) ||
    !(body['rpm'] === undefined || typeof body['rpm'] === 'number') ||
    !isText(body['objectKey']) ||
    !isText(body['sha256'])
  ) {
    throw new Undecodable('undecodable_payload', 'a waveform event carries a WaveformReference');
  }
  return body as unknown as WaveformReference;
}

const DOCUMENT_KINDS = { features: ['features', 'window'], prediction: ['prediction'] } as const;

function derivedDocument(body: unknown, kind: keyof typeof DOCUMENT_KINDS): DerivedDocument {
  if (
    !isRecord(body) ||
    !(DOCUMENT_KINDS[kind] as readonly unknown[]).includes(body['kind']) ||
    !isText(body['id']) ||
    !Number.isSafeInteger(body['revision']) ||
    !isTime(body['ts']) ||
    !(body['sensor'] === undefined || isText(body['sensor'])) ||
    !isRecord(body['values']) ||
    !Object.values(body['values']).every(Number.isFinite) ||
    !(body['units'] === undefined || isRecord(body['units']))
  ) {
    throw new Undecodable('undecodable_payload', `a ${kind} event carries a DerivedDocument`);
  }
  return body as unknown as DerivedDocument;
}

function expectItems(event: StampedEvent, items: number): void {
  if (event.items !== items) {
    throw new Undecodable(
      'item_count_mismatch',
      `the envelope counts ${event.items} items, the payload holds ${items}`,
    );
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}

function isTime(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) < END_OF_TIME_MS;
}

function isPositive(value: unknown): value is number {
  return typeof value === 'number' && value > 0 && Number.isFinite(value);
}

function isRejection(value: unknown): value is Rejection {
  return (
    isRecord(value) &&
    typeof value['code'] === 'string' &&
    typeof value['pointer'] === 'string' &&
    typeof value['detail'] === 'string'
  );
}
