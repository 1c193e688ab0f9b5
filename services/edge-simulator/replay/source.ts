import type { PlantDescription } from '#core/domain/plant.ts';
import type { WaveformMessage } from '../messages.ts';

/** Recordings of machines, and the plant they were made on. */
export interface ReplaySource {
  /** To be registered with the platform before the first record is sent. */
  readonly plant: PlantDescription;
  readonly recordings: readonly Recording[];
}

/** Records with one clock: of one machine, or of several that were recorded together. */
export interface Recording {
  /** Unique within the source, and the same at each replay: message ids are made of it. */
  readonly name: string;
  /** Machines of the plant that it is of. */
  readonly machines: readonly string[];
  /** Time of the first and of the last record, milliseconds since 1970; of a recording without a date, as the format's notes assume it. */
  readonly beginMs: number;
  readonly endMs: number;
  /** Size in its file, for progress. */
  readonly bytes: number;
  /** The records, in the order of the recording. May be called again. @throws PortError data_loss or invalid_argument, naming file and place. */
  records(): AsyncGenerator<ReplayRecord, void, undefined>;
}

/** What was recorded at one moment; replay gives it its id and its new time. */
export type ReplayRecord =
  | {
      readonly machine: string;
      readonly kind: 'telemetry';
      readonly tsMs: number;
      readonly metrics: Readonly<Record<string, number>>;
    }
  | {
      readonly machine: string;
      readonly kind: 'waveform';
      readonly tsMs: number;
      readonly sensor: string;
      readonly waveform: Omit<WaveformMessage, 'id' | 'ts'>;
    };

export interface SourceOptions {
  readonly folder: string;
  readonly tenant: string;
  readonly site: string;
  /** Put before each machine's name; each format has its own by default, `csv` none. */
  readonly machinePrefix?: string | undefined;
}
