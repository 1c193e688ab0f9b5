import type { MachineEvent } from '#core/domain/event.ts';
import type { MachineKey } from '#core/domain/ids.ts';

export const PAYLOAD_BYTES = 300;
const MACHINES = 200;
const ITEMS = 10;

/** What a bench must never see. */
export interface Faults {
  /** Published and durable, and never delivered. */
  readonly lost: number;
  /** Delivered again, or behind a later event of its machine. */
  readonly twiceOrLate: number;
}

/** Makes numbered events of some machines, and checks those that come back: each once, and each machine's in their order. */
export class Load {
  readonly #keys = Array.from({ length: MACHINES }, (_, i) => `bench/hall/machine-${i}` as MachineKey);
  readonly #made = new Uint32Array(MACHINES);
  readonly #next = new Uint32Array(MACHINES);
  #published = 0;
  #received = 0;
  #skipped = 0;
  #twiceOrLate = 0;
  /** Where given, from making to arrival is added to it. */
  latenciesMs: number[] | undefined;

  get published(): number {
    return this.#published;
  }

  /** Those that came in their turn. */
  get received(): number {
    return this.#received;
  }

  /** The next events of every so many-th machine: workers that publish side by side have no machine in common. */
  batch(events: number, worker = 0, workers = 1): MachineEvent[] {
    const payloads = Buffer.alloc(events * PAYLOAD_BYTES);
    const own = Math.ceil((MACHINES - worker) / workers);
    const now = performance.now();
    const acceptedAtMs = Date.now();
    this.#published += events;
    return Array.from({ length: events }, (_, i) => {
      const machine = worker + (i % own) * workers;
      const number = this.#made[machine]!++;
      const payload = payloads.subarray(i * PAYLOAD_BYTES, (i + 1) * PAYLOAD_BYTES);
      payload.writeUInt32LE(machine, 0);
      payload.writeUInt32LE(number, 4);
      payload.writeDoubleLE(now, 8);
      const eventId = `e-${machine}-${number}`;
      return { eventId, kind: 'telemetry', key: this.#keys[machine]!, items: ITEMS, acceptedAtMs, payload };
    });
  }

  take(payload: Uint8Array): void {
    const { buffer, byteOffset } = payload;
    const view = new DataView(buffer, byteOffset, 16);
    const machine = view.getUint32(0, true);
    const number = view.getUint32(4, true);
    const next = this.#next[machine]!;
    if (number < next) {
      this.#twiceOrLate++;
      return;
    }
    this.#skipped += number - next;
    this.#next[machine] = number + 1;
    this.#received++;
    this.latenciesMs?.push(performance.now() - view.getFloat64(8, true));
  }

  /** Of what is published so far: to be asked when nothing is under way. */
  faults(): Faults {
    const neverCame = this.#made.reduce((sum, made, machine) => sum + made - this.#next[machine]!, 0);
    return { lost: neverCame + this.#skipped, twiceOrLate: this.#twiceOrLate };
  }
}
