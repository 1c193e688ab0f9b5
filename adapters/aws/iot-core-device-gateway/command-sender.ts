import type { Clock } from '#core/clock.ts';
import type { DeviceId, MachineKey } from '#core/domain/ids.ts';
import type { CallOptions } from '#core/errors.ts';
import type { DeviceCommand } from '#core/ports/device-gateway.ts';
import type { CommandTable, KeptCommand, Listener } from './command-table.ts';

export interface CommandSenderParts {
  readonly table: CommandTable;
  readonly clock: Clock;
  /** To the machine's topic: resolves once IoT Core has it. */
  readonly publish: (machine: MachineKey, command: DeviceCommand, options: CallOptions) => Promise<void>;
  /** Whether the device may hear the machine's commands now. */
  readonly speaksFor: (device: DeviceId, machine: MachineKey, options: CallOptions) => Promise<boolean>;
  /** Ends the calls that are under way. */
  readonly overdue: AbortSignal;
  readonly onProblem: (what: string, error: unknown) => void;
}

/**
 * Publishes commands once a device is known to listen for the machine. IoT Core tells nobody whether a device acknowledged one, only when the device
 * is gone: what was sent shortly before waits again then.
 */
export class CommandSender {
  readonly #parts: CommandSenderParts;
  /** Of calls that nobody but the gateway ends. */
  readonly #options: CallOptions;
  readonly #sending = new Set<Promise<void>>();
  /** The end of what is being done for a machine: commands keep their order. */
  readonly #turns = new Map<MachineKey, Promise<void>>();
  readonly #retries = new Map<MachineKey, NodeJS.Timeout>();
  #isClosed = false;

  constructor(parts: CommandSenderParts) {
    this.#parts = parts;
    this.#options = { signal: parts.overdue };
  }

  /** Durable when it resolves. */
  async send(machine: MachineKey, command: DeviceCommand, { signal }: CallOptions): Promise<void> {
    const { table, clock, overdue } = this.#parts;
    const stopped = signal ? AbortSignal.any([signal, overdue]) : overdue;
    const adding = table.add(machine, command, clock.nowMs(), { signal: stopped });
    this.#sending.add(adding);
    try {
      await adding;
    } finally {
      this.#sending.delete(adding);
    }
    void this.#dispatch(machine);
  }

  /** What an earlier process left unsent. */
  async resume(signal: AbortSignal): Promise<void> {
    for (const machine of await this.#parts.table.machines({ signal })) void this.#dispatch(machine);
  }

  async listens(machine: MachineKey, listener: Listener): Promise<void> {
    await this.#parts.table.listen(machine, listener, this.#options);
    void this.#dispatch(machine);
  }

  async listensNoMore(machine: MachineKey, device: DeviceId): Promise<void> {
    await this.#parts.table.unlisten(machine, device, this.#options);
  }

  /** A session of the device ended. What was sent to it since then, where nobody else listened, may not have arrived. */
  async gone(machine: MachineKey, isOf: (listener: Listener) => boolean, sinceMs: number): Promise<void> {
    await this.#inTurn(machine, async () => {
      const { table } = this.#parts;
      const listeners = await table.listeners(machine, this.#options);
      const gone = listeners.find(isOf);
      if (gone === undefined) return;
      await table.unlisten(machine, gone.device, this.#options);
      if (listeners.length === 1) await table.unsend(machine, sinceMs, this.#options);
    });
  }

  /** Sends nothing more, and waits for what is under way. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const timer of this.#retries.values()) clearTimeout(timer);
    await Promise.allSettled([...this.#sending, ...this.#turns.values()]);
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
    for (const command of await table.waiting(machine, clock.nowMs(), this.#options))
      await this.#sendOne(machine, command, publish);
  }

  async #sendOne(machine: MachineKey, command: KeptCommand, publish: CommandSenderParts['publish']): Promise<void> {
    const { table, clock } = this.#parts;
    const sentAtMs = clock.nowMs();
    if (this.#isClosed || command.expiresAtMs <= sentAtMs) return;
    await publish(machine, command, this.#options);
    await table.markSent(machine, command, sentAtMs, this.#options);
  }

  async #isHeard(machine: MachineKey): Promise<boolean> {
    const { table, speaksFor } = this.#parts;
    for (const { device } of await table.listeners(machine, this.#options))
      if (await speaksFor(device, machine, this.#options)) return true;
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
