import type { CallOptions } from '#core/errors.ts';
import { PortError } from '#core/errors.ts';
import type { TelemetryMessage, WaveformMessage } from '../messages.ts';

/** What is acknowledged as one: telemetry of one machine, or one waveform. */
export type Batch =
  | {
      readonly machine: string;
      readonly kind: 'telemetry';
      /** The messages, each as JSON; at least one. */
      readonly messages: readonly EncodedTelemetry[];
    }
  | { readonly machine: string; readonly kind: 'waveform'; readonly sensor: string; readonly message: WaveformMessage };

export interface EncodedTelemetry {
  readonly id: string;
  readonly json: string;
  /** Metric values in it. */
  readonly items: number;
}

export interface BatchLimits {
  readonly maxMessages: number;
  /** Of a whole telemetry payload. */
  readonly maxBytes: number;
}

/** What the platform said of the items in an acknowledged batch; zero where the transport does not tell (MQTT). */
export interface SendReceipt {
  readonly duplicateItems: number;
  readonly rejectedItems: number;
  /** The first reason of a rejection. */
  readonly rejection?: string;
}

/** The way to the platform. */
export interface Uplink {
  readonly limits: BatchLimits;
  /**
   * True when batches of one machine that are sent without waiting arrive in the order of the calls, as on one MQTT connection;
   * false when the next batch of a machine must wait for the acknowledgement of the one before.
   */
  readonly pipelines: boolean;
  /**
   * Resolves once the platform has acknowledged the batch. Makes one attempt, connecting first if need be.
   *
   * @throws PortError invalid_argument: the platform will never take this batch; permission_denied: not with these credentials;
   * unavailable, deadline_exceeded, resource_exhausted ({@link retryAfterMs}): try again; cancelled.
   */
  send(batch: Batch, options?: CallOptions): Promise<SendReceipt>;
  /** Says goodbye and closes. Sends under way are rejected with `cancelled`. Harmless when called again. */
  close(): Promise<void>;
}

/** The platform takes no more for now. */
export class ThrottledError extends PortError {
  /** What `Retry-After` asked for. */
  readonly retryAfterMs: number;

  constructor(message: string, retryAfterMs: number) {
    super('resource_exhausted', message);
    this.retryAfterMs = retryAfterMs;
  }
}

/** How long the platform asked to wait after this error; 0 when it did not say. */
export function retryAfterMs(error: unknown): number {
  return error instanceof ThrottledError ? error.retryAfterMs : 0;
}

export function encodeTelemetry(message: TelemetryMessage): EncodedTelemetry {
  return { id: message.id, json: JSON.stringify(message), items: Object.keys(message.metrics).length };
}

/** A single message as it is, several as an array (wire.md). */
export function telemetryPayload(messages: readonly EncodedTelemetry[]): string {
  const [only] = messages;
  return messages.length === 1 && only ? only.json : `[${messages.map(({ json }) => json).join(',')}]`;
}

export function batchIds(batch: Batch): readonly string[] {
  return batch.kind === 'telemetry' ? batch.messages.map(({ id }) => id) : [batch.message.id];
}
