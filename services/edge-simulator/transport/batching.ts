import type { MachineMessage, TelemetryMessage } from '../messages.ts';
import { encodeTelemetry } from './uplink.ts';
import type { Batch, BatchLimits, EncodedTelemetry } from './uplink.ts';

/** Gathers the telemetry of each machine into batches as large as the limits allow. Holds at most one open batch a machine. */
export class TelemetryBatcher {
  readonly #limits: BatchLimits;
  readonly #open = new Map<string, { messages: EncodedTelemetry[]; bytes: number }>();

  constructor(limits: BatchLimits) {
    this.#limits = limits;
  }

  /** Takes a message; gives the machine's batch so far when it is full or has no room for this one. */
  add(machine: string, message: TelemetryMessage): Batch | undefined {
    const encoded = encodeTelemetry(message);
    const bytes = Buffer.byteLength(encoded.json) + 1;
    let open = this.#open.get(machine);
    let full: Batch | undefined;
    if (open && open.bytes + bytes > this.#limits.maxBytes) {
      full = telemetryBatch(machine, open.messages);
      open = undefined;
    }
    // Two bytes for the brackets.
    if (!open) this.#open.set(machine, (open = { messages: [], bytes: 2 }));
    open.messages.push(encoded);
    open.bytes += bytes;
    if (full === undefined && open.messages.length >= this.#limits.maxMessages) {
      full = telemetryBatch(machine, open.messages);
      this.#open.delete(machine);
    }
    return full;
  }

  get machines(): number {
    return this.#open.size;
  }

  /** What is open, as it is: of one machine, or of all. */
  flush(machine?: string): Batch[] {
    const machines = machine === undefined ? [...this.#open.keys()] : [machine];
    return machines.flatMap((name) => {
      const open = this.#open.get(name);
      this.#open.delete(name);
      return open ? [telemetryBatch(name, open.messages)] : [];
    });
  }
}

/** Cuts a row of messages into batches without changing its order: neighbouring telemetry of one machine goes together. */
export function batchInOrder(messages: readonly MachineMessage[], limits: BatchLimits): Batch[] {
  const batcher = new TelemetryBatcher(limits);
  const batches: Batch[] = [];
  let previous: string | undefined;
  for (const entry of messages) {
    if (previous !== undefined && (previous !== entry.machine || entry.kind === 'waveform'))
      batches.push(...batcher.flush());
    if (entry.kind === 'waveform') {
      batches.push(entry);
    } else {
      const full = batcher.add(entry.machine, entry.message);
      if (full) batches.push(full);
    }
    previous = entry.machine;
  }
  return [...batches, ...batcher.flush()];
}

function telemetryBatch(machine: string, messages: readonly EncodedTelemetry[]): Batch {
  return { machine, kind: 'telemetry', messages };
}
