import { Buffer } from 'node:buffer';
import type { StampedEvent } from '../domain/event.ts';
import type { TelemetryBody } from '../domain/reading.ts';
import { messageOf } from '../errors.ts';
import type { DerivedDocument } from '../ports/time-series-store.ts';
import { settlementOutcome } from '../settlement/outcomes.ts';

/** An event does not carry what its kind promises. The message says what it carries instead. */
export class Undecodable extends Error {}

/** The readings of a `telemetry` event. The hot path: no more is looked at than judging needs. @throws Undecodable */
export function telemetryOf({ payload }: StampedEvent): TelemetryBody {
  const body = parse(payload);
  if (!isRecord(body) || !Number.isFinite(body['ts']) || !isRecord(body['metrics'])) {
    throw new Undecodable('telemetry is { ts: milliseconds, metrics: { name: value } }');
  }
  const { metrics } = body;
  for (const metric in metrics) {
    const entry = metrics[metric];
    if (Number.isFinite(entry) || (isRecord(entry) && Number.isFinite(entry['value']))) continue;
    throw new Undecodable(`metric ${metric} is neither a finite number nor { value, unit, quality }`);
  }
  return body as unknown as TelemetryBody;
}

/** The document of a derived event. @throws Undecodable */
export function documentOf(event: StampedEvent): DerivedDocument {
  const outcome = settlementOutcome(event);
  if (outcome.type === 'document') return outcome.document;
  throw new Undecodable(outcome.type === 'deadLettered' ? outcome.detail : `a ${event.kind} event is no document`);
}

function parse({ buffer, byteOffset, byteLength }: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(buffer, byteOffset, byteLength).toString());
  } catch (error) {
    throw new Undecodable(`no JSON: ${messageOf(error)}`, { cause: error });
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
