import type { Clock } from '#core/clock.ts';
import type { DeviceId, MachineKey } from '#core/domain/ids.ts';
import type { CallOptions } from '#core/errors.ts';
import type { DeviceCommand } from '#core/ports/device-gateway.ts';
import type { CommandTable, KeptCommand, Listener } from './command-table.ts';

export interface CommandSenderParts {
  readonly table: CommandTable;
  readonly clock: Clock;
  /** To the machine's topic: resolves once IoT Core has it. */
  readonly publish: (machine: MachineKey, command: DeviceCommand) => Promise<void>;
  /** Whether the device may hear the machine's commands now. */
  readonly speaksFor: (device: DeviceId, machine: MachineKey) => Promise<boolean>;
  readonly onProblem: (what: string, error: unknown) => void;
}

/**
 * Publishes commands once a device is known to listen for the machine. IoT Core tells nobody whether a device acknowledged one, only when the device
 * is gone: what was sent shortly before waits again then.
 */
export class CommandSender {
  readonly #parts: CommandSenderParts;
  /** The end of what is being done for a machine: commands keep their order. */
  readonly #turns = new Map<MachineKey, Promise<void>>();
  readonly #retries = new Map<MachineKey, NodeJS.Timeout>();
  #isClosed = false;

  constructor(parts: CommandSenderParts) {
    this.#parts = parts;
  }

  /** Durable when it resolves. */
  async send(machine: MachineKey, command: DeviceCommand, options: CallOptions): Promise<void> {
    await this.#parts.table.add(machine, command, this.#parts.clock.nowMs(), options);
    void this.#dispatch(machine);
  }

  /** What an earlier process left unsent. */
  async resume(): Promise<void> {
    for (const machine of await this.#parts.table.machines()) void this.#dispatch(machine);
  }

  async listens(machine: MachineKey, listener: Listener): Promise<void> {
    await this.#parts.table.listen(machine, listener);
    void this.#dispatch(machine);
  }

  async listensNoMore(machine: MachineKey, device: DeviceId): Promise<void> {
    await this.#parts.table.unlisten(machine, device);
  }

  /** A session of the device ended. What was sent to it since then, where nobody else listened, may not have arrived. */
  async gone(machine: MachineKey, isOf: (listener: Listener) => boolean, sinceMs: number): Promise<void> {
    await this.#inTurn(machine, async () => {
      const { table } = this.#parts;
      const listeners = await table.listeners(machine);
      const gone = listeners.find(isOf);
      if (gone === undefined) return;
      await table.unlisten(machine, gone.device);
      if (listeners.length === 1) await table.unsend(machine, sinceMs);
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const timer of this.#retries.values()) clearTimeout(timer);
    await Promise.all(this.#turns.values());
  }

  async #dispatch(machine: MachineKey): Promise<void> {
    try {
      await this.#inTurn(machine, () => this.#sendWaiting(machine));
    } catch (error) {
      if (this.#isClosed) return;
      this.#parts.onProblem(`sending commands to ${machine}`, error);
      if (this.#retries.has(machine)) return;
      const again = setTimeout(() => {
        this.#retries.delete(machine);
        void this.#dispatch(machine);
      }, RETRY_MS);
      this.#retries.set(machine, again.unref());
    }
  }

  async #sendWaiting(machine: MachineKey): Promise<void> {
    const { table, clock, publish } = this.#parts;
    if (this.#isClosed || !(await this.#isHeard(machine))) return;
    for (const command of await table.waiting(machine, clock.nowMs())) await this.#sendOne(machine, command, publish);
  }

  async #sendOne(machine: MachineKey, command: KeptCommand, publish: CommandSenderParts['publish']): Promise<void> {
    const { table, clock } = this.#parts;
    const sentAtMs = clock.nowMs();
    if (this.#isClosed || command.expiresAtMs <= sentAtMs) return;
    await publish(machine, command);
    await table.markSent(machine, command, sentAtMs);
  }

  async #isHeard(machine: MachineKey): Promise<boolean> {
    for (const { device } of await this.#parts.table.listeners(machine))
      if (await this.#parts.speaksFor(device, machine)) return true;
    return false;
  }

  #inTurn(machine: MachineKey, work: () => Promise<void>): Promise<void> {
    const done = (this.#turns.get(machine) ?? Promise.resolve()).then(work);
    const end = done.catch(() => undefined);
    this.#turns.set(machine, end);
    void end.then(() => {
      if (this.#turns.get(machine) === end) this.#turns.delete(machine);
    });
    return done;
  }
}

const RETRY_MS = 1000;
