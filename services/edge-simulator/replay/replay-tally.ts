import type { PortError } from '#core/errors.ts';
import type { Batch, SendReceipt } from '../transport/uplink.ts';
import type { Recording } from './source.ts';

export interface ReplayProgress {
  /** Acknowledged so far. */
  readonly messages: number;
  /** Metric values and waveforms among them. */
  readonly items: number;
  readonly elapsedS: number;
  /** How much of the recordings was read, 0 to 1. */
  readonly fraction: number;
}

export interface ReplayResult {
  readonly machines: number;
  /** Messages acknowledged. */
  readonly messages: number;
  readonly waveforms: number;
  /** Metric values and waveforms in them: the ledger's unit. */
  readonly items: number;
  /** Items that the platform had already, and those it will not store; known by HTTP alone. */
  readonly duplicateItems: number;
  readonly rejectedItems: number;
  readonly firstRejection?: string;
  /** Messages that the platform refused as a whole. */
  readonly refusedMessages: number;
  readonly firstRefusal?: string;
  /** Records that were older than one before them in their recording; sent as they are. */
  readonly outOfOrder: number;
  /** Recordings that went by import. */
  readonly importedRecordings: number;
  /** When they are now, and of which machines. */
  readonly recordings: readonly ReplayedRecording[];
  /** Whether it went on from where one before it was interrupted: the counts are of this run alone. */
  readonly resumed: boolean;
  /** Telemetry as JSON and waveforms as samples, without what the transport adds. */
  readonly bytes: number;
  readonly seconds: number;
  readonly messagesPerS: number;
  readonly itemsPerS: number;
  readonly bytesPerS: number;
}

export interface ReplayedRecording {
  readonly name: string;
  readonly machines: readonly string[];
  /** Time of its first and its last record as they were sent. */
  readonly beginMs: number;
  readonly endMs: number;
  readonly imported: boolean;
}

interface ReplayFacts {
  readonly machines: number;
  readonly recordings: readonly ReplayedRecording[];
  readonly resumed: boolean;
  readonly totalBytes: number;
  readonly onProgress: ((progress: ReplayProgress) => void) | undefined;
}

const REPORT_EVERY_MS = 200;

/** Counts what the platform acknowledges, and reports it a few times a second. */
export class ReplayTally {
  outOfOrder = 0;
  readonly #about: ReplayFacts;
  readonly #readBytes = new Map<Recording, number>();
  readonly #beganMs = performance.now();
  #reportedMs = 0;
  #totalReadBytes = 0;
  #messages = 0;
  #waveforms = 0;
  #items = 0;
  #bytes = 0;
  #duplicateItems = 0;
  #rejectedItems = 0;
  #firstRejection: string | undefined;
  #refusedMessages = 0;
  #firstRefusal: string | undefined;

  constructor(about: ReplayFacts) {
    this.#about = about;
  }

  acknowledged(batch: Batch, receipt: SendReceipt): void {
    if (batch.kind === 'waveform') {
      this.#messages++;
      this.#waveforms++;
      this.#items++;
      this.#bytes += batch.message.samples.length;
    } else {
      this.#messages += batch.messages.length;
      for (const { items, json } of batch.messages) {
        this.#items += items;
        this.#bytes += json.length;
      }
    }
    this.#duplicateItems += receipt.duplicateItems;
    this.#rejectedItems += receipt.rejectedItems;
    this.#firstRejection ??= receipt.rejection;
    this.report();
  }

  refused(batch: Batch, reason: PortError): void {
    this.#refusedMessages += batch.kind === 'waveform' ? 1 : batch.messages.length;
    this.#firstRefusal ??= reason.message;
  }

  /** A recording was read up to a time: taken as the part of its bytes that is done. */
  readUpTo(recording: Recording, tsMs: number): void {
    const spanMs = recording.endMs - recording.beginMs;
    const done = spanMs > 0 ? Math.min(1, (tsMs - recording.beginMs) / spanMs) : 1;
    this.#totalReadBytes += done * recording.bytes - (this.#readBytes.get(recording) ?? 0);
    this.#readBytes.set(recording, done * recording.bytes);
  }

  report(): void {
    const nowMs = performance.now();
    if (!this.#about.onProgress || nowMs - this.#reportedMs < REPORT_EVERY_MS) return;
    this.#reportedMs = nowMs;
    this.#about.onProgress(this.#progress(this.#readFraction()));
  }

  result(): ReplayResult {
    this.#about.onProgress?.(this.#progress(1));
    const seconds = (performance.now() - this.#beganMs) / 1000;
    return {
      machines: this.#about.machines,
      messages: this.#messages,
      waveforms: this.#waveforms,
      items: this.#items,
      duplicateItems: this.#duplicateItems,
      rejectedItems: this.#rejectedItems,
      ...(this.#firstRejection === undefined ? {} : { firstRejection: this.#firstRejection }),
      refusedMessages: this.#refusedMessages,
      ...(this.#firstRefusal === undefined ? {} : { firstRefusal: this.#firstRefusal }),
      outOfOrder: this.outOfOrder,
      importedRecordings: this.#about.recordings.filter(({ imported }) => imported).length,
      recordings: this.#about.recordings,
      resumed: this.#about.resumed,
      bytes: this.#bytes,
      seconds,
      messagesPerS: this.#messages / seconds,
      itemsPerS: this.#items / seconds,
      bytesPerS: this.#bytes / seconds,
    };
  }

  #readFraction(): number {
    const { totalBytes } = this.#about;
    return totalBytes === 0 ? 1 : Math.min(1, this.#totalReadBytes / totalBytes);
  }

  #progress(fraction: number): ReplayProgress {
    return {
      messages: this.#messages,
      items: this.#items,
      elapsedS: (performance.now() - this.#beganMs) / 1000,
      fraction,
    };
  }
}
