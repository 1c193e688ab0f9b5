import type { DeviceMessage } from '../ports/device-gateway.ts';
import type { MachineRegistry } from '../ports/machine-registry.ts';

/** Tells the registry of machines nobody knows, at most once a second for each and a bounded number at a time. */
export class QuarantineReporter {
  readonly #registry: MachineRegistry;
  readonly #onProblem: (what: string, error: unknown) => void;
  readonly #reportedMs = new Map<string, number>();
  #underWay = 0;

  constructor(registry: MachineRegistry, onProblem: (what: string, error: unknown) => void) {
    this.#registry = registry;
    this.#onProblem = onProblem;
  }

  report(message: DeviceMessage, nowMs: number): void {
    const sinceMs = nowMs - (this.#reportedMs.get(message.machine) ?? -Infinity);
    if (this.#underWay >= MAX_UNDER_WAY || (sinceMs >= 0 && sinceMs < REPORT_EVERY_MS)) return;
    if (this.#reportedMs.size >= MAX_REMEMBERED) this.#reportedMs.clear();
    this.#reportedMs.set(message.machine, nowMs);
    this.#underWay++;
    const { payload } = message.content;
    const sample = Buffer.from(payload.buffer, payload.byteOffset, Math.min(payload.length, SAMPLE_BYTES)).toString(
      'utf8',
    );
    this.#registry
      .quarantine({ key: message.machine, device: message.sender, atMs: nowMs, sample })
      .catch((error: unknown) => {
        this.#onProblem(`quarantining ${message.machine}`, error);
      })
      .finally(() => this.#underWay--);
  }
}

const REPORT_EVERY_MS = 1000;
const MAX_UNDER_WAY = 64;
const MAX_REMEMBERED = 10_000;
const SAMPLE_BYTES = 1024;
