import type { MachineKey } from './ids.ts';

/**
 * What an event carries, and how its payload is read:
 * - `telemetry`: JSON {@link TelemetryBody}; `waveform`: JSON {@link WaveformReference}.
 * - `rejection`: JSON array of {@link Rejection}, one an item: what the edge refused out of an acknowledged message.
 * - `duplicate`: no payload; its items were acknowledged, and settled under the same eventId before.
 * - `features`, `prediction`, `alarm`: JSON of the derived stages; they are not in the tenant's ledger sum.
 */
export type EventKind = 'telemetry' | 'waveform' | 'rejection' | 'duplicate' | 'features' | 'prediction' | 'alarm';

/** The envelope of ledger.md. An event is at most {@link MAX_EVENT_BYTES} of payload. */
export interface MachineEvent {
  /** Unique within its machine: the device's id, or a hash; never derived from a log position. */
  readonly eventId: string;
  readonly kind: EventKind;
  /** The partition key: order is kept within it. */
  readonly key: MachineKey;
  /** How many ledger items it stands for: metric values, waveforms or unparsable messages; 0 for derived events. */
  readonly items: number;
  /** When the edge accepted it, milliseconds since 1970. */
  readonly acceptedAtMs: number;
  readonly payload: Uint8Array;
  /** True where it may have come before the receipts' window: settlement looks for its eventId among the stored events. */
  readonly verifyStored?: boolean;
  /** True for data that came by import: stored and featurised, but never raises a live alarm. */
  readonly imported?: boolean;
  /** W3C trace context of a sampled message. */
  readonly traceparent?: string;
}

/** An event as a consumer sees it: stamped by the stream that made it durable. */
export interface StampedEvent extends MachineEvent {
  /** The publisher that appended it, and that publisher's incarnation. */
  readonly source: string;
  readonly epoch: number;
  /** Dense, from 1, per (source, epoch). A settlement's progress is the highest it settled. */
  readonly seq: number;
  /** The tenant's items on this stream, or on its `part` alone, from its beginning up to and including this event. */
  readonly cumulativeItems: number;
  /** Where nothing counts a stream as a whole: what `cumulativeItems` counts, one publisher's lane in one epoch. Absent: the stream. */
  readonly part?: string;
}

export const MAX_EVENT_BYTES = 900 * 1024;

/**
 * The streams of the platform. `metrics` and `raw-waveform` carry what devices sent; the others are derived. Each is written by one service:
 * a log has one writer.
 */
export const STREAMS = ['metrics', 'raw-waveform', 'features', 'windows', 'inference-results', 'alarms'] as const;
export type StreamName = (typeof STREAMS)[number];
/** The streams whose items are in the ledger's sum. */
export const LEDGERED_STREAMS = ['metrics', 'raw-waveform'] as const satisfies readonly StreamName[];
