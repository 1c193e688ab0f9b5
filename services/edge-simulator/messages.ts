import { BYTES_PER_SAMPLE } from '#core/domain/waveform.ts';
import type { WaveformEncoding } from '#core/domain/waveform.ts';

/** One telemetry message, as wire.md has it. */
export interface TelemetryMessage {
  /** Unique within the machine: the platform knows a resend by it. */
  readonly id: string;
  /** Milliseconds since 1970. */
  readonly ts: number;
  readonly metrics: Readonly<Record<string, number | { readonly value: number; readonly unit?: string }>>;
}

/** One waveform; its samples are bytes here and become base64 only where the transport needs it. */
export interface WaveformMessage {
  readonly id: string;
  /** Of the first sample, milliseconds since 1970. */
  readonly ts: number;
  readonly sampleRateHz: number;
  readonly unit: string;
  readonly encoding: WaveformEncoding;
  /** What a stored sample is multiplied by to give `unit`; 1 when absent. */
  readonly scale?: number;
  readonly rpm?: number;
  readonly samples: Uint8Array;
}

/** Something that a machine has to say. */
export type MachineMessage =
  | { readonly machine: string; readonly kind: 'telemetry'; readonly message: TelemetryMessage }
  | { readonly machine: string; readonly kind: 'waveform'; readonly sensor: string; readonly message: WaveformMessage };

/** The payload of a waveform over MQTT: JSON with base64 samples. */
export function waveformJson(waveform: WaveformMessage): string {
  return JSON.stringify({ ...waveform, samples: Buffer.from(waveform.samples).toString('base64') });
}

/** How many bytes {@link waveformJson} takes at most for this many samples. */
export function waveformJsonBytes(points: number, encoding: WaveformEncoding): number {
  const members = 512;
  return Math.ceil((points * BYTES_PER_SAMPLE[encoding]) / 3) * 4 + members;
}

/** One line of text without a line break, and back: how messages wait in a file. */
export function encodeLine(message: MachineMessage): string {
  if (message.kind === 'telemetry') return JSON.stringify(message);
  const samples = Buffer.from(message.message.samples).toString('base64');
  return JSON.stringify({ ...message, message: { ...message.message, samples } });
}

/** @throws SyntaxError when the line is not one that {@link encodeLine} wrote. */
export function decodeLine(line: string): MachineMessage {
  const stored = JSON.parse(line) as MachineMessage;
  if (stored.kind === 'telemetry') return stored;
  const samples = Buffer.from(stored.message.samples as unknown as string, 'base64');
  return { ...stored, message: { ...stored.message, samples } };
}

/** The machine of an encoded line, without decoding its samples: {@link encodeLine} writes it first. */
export function machineOfLine(line: string): string {
  return /^\{"machine":"([^"]*)"/.exec(line)?.[1] ?? 'unknown';
}
