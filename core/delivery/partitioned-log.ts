import type { MachineEvent, StampedEvent } from '../domain/event.ts';
import type { MachineKey } from '../domain/ids.ts';

/** Where a machine's events go. */
export interface Place {
  readonly partition: number;
}

/** What the stream adds to an event; `cumulativeItems` are those of its source in its epoch alone, which are its `part`: between publishers, and between partitions, there is no order. */
export type Stamp = Pick<StampedEvent, 'source' | 'epoch' | 'seq' | 'cumulativeItems'>;

const SEPARATOR = '/';

/** A partition is a source of its own. */
export function sourceOf(publisher: string, partition: number): string {
  return `${publisher}${SEPARATOR}${partition}`;
}

/** The partition of a source, by its name. */
export function partitionOf(source: string): string {
  return source.slice(source.lastIndexOf(SEPARATOR) + 1);
}

export interface PublishedRecord<Found extends Place> {
  readonly event: MachineEvent;
  readonly place: Found;
  readonly stamp: Stamp;
}

/** Why a log took nothing of what was to be appended, and never will: as it was throttled, or too large. */
export interface Refusal {
  readonly refused: unknown;
}

/** A log whose partitions are each in order, and take a batch whole or not at all: a topic of Kafka, an event hub. */
export interface PartitionedLog<Found extends Place = Place> {
  /** For messages. */
  readonly name: string;
  readonly partitionCount: number;
  /** Of a batch's events together, as `bytesOf` counts them. */
  readonly maxBatchBytes: number;
  /** The same for a machine, always and at every publisher. */
  placeOf(machine: MachineKey): Found;
  /** What the event takes in a batch, rather too much than too little. */
  bytesOf(event: MachineEvent, place: Found): number;
  /**
   * Makes the first so many of the records durable, as one batch of at least one, and resolves to how many; or to a refusal, where it is
   * certain that none is or will be. Rejects where nobody knows. What comes after this call for the partition comes after it there.
   */
  append(partition: number, records: readonly PublishedRecord<Found>[]): Promise<number | Refusal>;
}
