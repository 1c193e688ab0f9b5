import type { MachineKey } from '../domain/ids.ts';
import type { CallOptions } from '../errors.ts';
import type { DevicePresence } from '../ports/device-gateway.ts';

/**
 * What is happening now, for people who watch: a sample of the newest readings, when each machine was last heard of, and which devices are
 * connected. It is no record: nothing here is durable, and a reader that is slow misses values, never machines.
 */
export interface LiveFeed {
  /** What changed after the cursor of the answer before; everything without one, or with one of another process. */
  changes(after?: string, options?: CallOptions): Promise<LiveChanges>;
}

export interface LiveChanges {
  readonly cursor: string;
  /** Whether it is everything: what was known of devices before, and is not in it, is not known any more. */
  readonly isAll: boolean;
  readonly machines: readonly LiveMachine[];
  readonly presence: readonly DevicePresence[];
}

export interface LiveMachine {
  readonly key: MachineKey;
  /** When the edge accepted its newest data, milliseconds since 1970. */
  readonly receivedAtMs: number;
  /** The device's time of the newest of `metrics`; absent where none changed. */
  readonly tsMs?: number;
  /** The newest value of each metric that changed. */
  readonly metrics: Readonly<Record<string, number>>;
  /** Of those that were sent with one that the machine's catalogue does not give them; absent for none. */
  readonly units?: Readonly<Record<string, string>>;
}
