import type { Clock } from '#core/clock.ts';
import type { MachineKey } from '#core/domain/ids.ts';
import { PortError } from '#core/errors.ts';
import { deviceTopic } from '#core/ingestion/topics.ts';
import type { DeviceCommand } from '#core/ports/device-gateway.ts';
import type { CommandQueue } from './command-queue.ts';
import type { DeviceConnection } from './device-connection.ts';

/** Brings queued commands to whichever connection listens for the machine, until one acknowledges them or they expire. */
export class CommandDispatcher {
  readonly #queue: CommandQueue;
  readonly #clock: Clock;
  readonly #onProblem: (what: string, error: unknown) => void;
  readonly #listeners = new Map<MachineKey, Map<DeviceConnection, 0 | 1>>();
  readonly #machinesOf = new Map<DeviceConnection, Set<MachineKey>>();
  /** `machine id`: on its way over a connection. */
  readonly #underWay = new Map<string, DeviceConnection>();

  constructor(queue: CommandQueue, clock: Clock, onProblem: (what: string, error: unknown) => void) {
    this.#queue = queue;
    this.#clock = clock;
    this.#onProblem = onProblem;
  }

  /** Durable when it resolves. */
  async send(machine: MachineKey, command: DeviceCommand): Promise<void> {
    const nowMs = this.#clock.nowMs();
    if (command.expiresAtMs <= nowMs) throw new PortError('invalid_argument', 'the command has expired already');
    await this.#queue.add(machine, command, nowMs);
    await this.#dispatch(machine);
  }

  listens(machine: MachineKey): boolean {
    return this.#listeners.has(machine);
  }

  subscribe(machine: MachineKey, connection: DeviceConnection, qos: 0 | 1): void {
    const listeners = this.#listeners.get(machine) ?? new Map<DeviceConnection, 0 | 1>();
    listeners.delete(connection);
    this.#listeners.set(machine, listeners.set(connection, qos));
    this.#machinesOf.set(connection, (this.#machinesOf.get(connection) ?? new Set()).add(machine));
    this.#dispatch(machine).catch((error: unknown) => this.#onProblem(`sending commands to ${machine}`, error));
  }

  unsubscribe(machine: MachineKey, connection: DeviceConnection): void {
    const listeners = this.#listeners.get(machine);
    listeners?.delete(connection);
    if (listeners?.size === 0) this.#listeners.delete(machine);
    this.#machinesOf.get(connection)?.delete(machine);
  }

  /** What the connection did not acknowledge goes to another that listens, or waits for the next. */
  disconnected(connection: DeviceConnection): void {
    for (const [key, holder] of this.#underWay) if (holder === connection) this.#underWay.delete(key);
    for (const machine of [...(this.#machinesOf.get(connection) ?? [])]) {
      this.unsubscribe(machine, connection);
      this.#dispatch(machine).catch((error: unknown) => this.#onProblem(`sending commands to ${machine}`, error));
    }
    this.#machinesOf.delete(connection);
  }

  async #dispatch(machine: MachineKey): Promise<void> {
    if (!this.#listeners.has(machine)) return;
    const commands = await this.#queue.waiting(machine, this.#clock.nowMs());
    // The newest listener: a device that reconnected is heard before its old connection is known to be dead.
    const listener = [...(this.#listeners.get(machine) ?? [])].at(-1);
    if (listener === undefined) return;
    const [connection, qos] = listener;
    for (const { id, payload } of commands) {
      const key = `${machine} ${id}`;
      if (this.#underWay.has(key)) continue;
      this.#underWay.set(key, connection);
      connection.sendCommand(deviceTopic({ kind: 'command', machine }), payload, qos, () => {
        this.#queue
          .remove(machine, id)
          .catch((error: unknown) => this.#onProblem(`forgetting the command ${id} of ${machine}`, error))
          .finally(() => this.#underWay.delete(key));
      });
    }
  }
}
