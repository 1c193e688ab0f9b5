import type { DeviceId, MachineKey } from '#core/domain/ids.ts';
import { isPortError, PortError, type CallOptions } from '#core/errors.ts';
import type { DeviceCommand } from '#core/ports/device-gateway.ts';
import { awsCall, type AwsCodes } from '../aws-errors.ts';
import type { DynamoChange, DynamoItem, DynamoKey, DynamoTable } from '../dynamo-table.ts';

const CODES: AwsCodes = {
  ConditionalCheckFailedException: 'already_exists',
  // The table: an item that is absent is no error.
  ResourceNotFoundException: 'failed_precondition',
};

/** Of all machines that were ever sent a command. */
const MACHINES = 'commands';

export interface CommandTableLimits {
  readonly timeoutMs: number;
  readonly maxPerMachine: number;
  /** What was sent so long ago has arrived. */
  readonly doubtMs: number;
}

/** A device that subscribed to a machine's commands, in one of its sessions. */
export interface Listener {
  readonly device: DeviceId;
  readonly session: string;
}

export interface KeptCommand extends DeviceCommand {
  readonly position: number;
  readonly sentAtMs: number | undefined;
}

/** Commands that wait, or were sent and may have been lost on their way; and who listens for them. Durable when a call resolves. */
export class CommandTable {
  readonly #table: DynamoTable;
  readonly #limits: CommandTableLimits;

  constructor(table: DynamoTable, limits: CommandTableLimits) {
    this.#table = table;
    this.#limits = limits;
  }

  /** The same command twice is kept once. @throws PortError resource_exhausted when the machine has too many waiting. */
  async add(machine: MachineKey, command: DeviceCommand, nowMs: number, options: CallOptions): Promise<void> {
    const what = `keep the command ${command.id} for ${machine}`;
    const waiting = (await this.waiting(machine, nowMs, options)).filter(({ id }) => id !== command.id);
    if (waiting.length >= this.#limits.maxPerMachine) {
      const message = `${waiting.length} commands wait for ${machine} to connect; let some expire, or connect its device`;
      throw new PortError('resource_exhausted', message);
    }
    const { id, payload, expiresAtMs } = command;
    const counted = await this.#call(what, options, (signal) =>
      this.#table.update({ pk: MACHINES, sk: machine }, { add: { position: 1 } }, signal),
    );
    const set = { payload, expiresAtMs, position: counted['position'] };
    await this.#change(what, commandKey(machine, id), { set, where: { position: undefined } }, options);
  }

  /** What was not sent and has not expired, oldest first. What has expired or arrived is forgotten. */
  async waiting(machine: MachineKey, nowMs: number, options: CallOptions): Promise<readonly KeptCommand[]> {
    const kept = await this.#kept(machine, options);
    const arrivedBeforeMs = nowMs - this.#limits.doubtMs;
    const isOver = ({ expiresAtMs, sentAtMs = Infinity }: KeptCommand) =>
      expiresAtMs <= nowMs || sentAtMs < arrivedBeforeMs;
    for (const { id } of kept.filter(isOver)) await this.#forget(machine, id, options);
    return kept.filter((command) => !isOver(command) && command.sentAtMs === undefined);
  }

  /** Where it is kept yet. */
  async markSent(
    machine: MachineKey,
    { id, position }: KeptCommand,
    sentAtMs: number,
    options: CallOptions,
  ): Promise<void> {
    const what = `note that the command ${id} was sent to ${machine}`;
    await this.#change(what, commandKey(machine, id), { set: { sentAtMs }, where: { position } }, options);
  }

  /** Nobody listens any more: what was sent since then waits again, and what was sent before has arrived. */
  async unsend(machine: MachineKey, sinceMs: number, options: CallOptions): Promise<void> {
    for (const { id, position, sentAtMs } of await this.#kept(machine, options)) {
      if (sentAtMs === undefined) continue;
      const again = { remove: ['sentAtMs'], where: { position } };
      if (sentAtMs < sinceMs) await this.#forget(machine, id, options);
      else await this.#change(`keep the command ${id} for ${machine}`, commandKey(machine, id), again, options);
    }
  }

  async listeners(machine: MachineKey, options: CallOptions): Promise<readonly Listener[]> {
    const items = await this.#call(`look who listens for ${machine}`, options, (signal) =>
      this.#table.list(listenersOf(machine), signal),
    );
    return items.map((item) => ({ device: item['sk'] as DeviceId, session: item['session'] as string }));
  }

  async listen(machine: MachineKey, { device, session }: Listener, options: CallOptions): Promise<void> {
    await this.#call(`note that ${device} listens for ${machine}`, options, (signal) =>
      this.#table.update({ pk: listenersOf(machine), sk: device }, { set: { session } }, signal),
    );
  }

  async unlisten(machine: MachineKey, device: DeviceId, options: CallOptions): Promise<void> {
    await this.#call(`note that ${device} no longer listens for ${machine}`, options, (signal) =>
      this.#table.delete({ pk: listenersOf(machine), sk: device }, signal),
    );
  }

  /** All that were ever sent a command. */
  async machines(options: CallOptions): Promise<readonly MachineKey[]> {
    const what = 'list machines with commands';
    const items = await this.#call(what, options, (signal) => this.#table.list(MACHINES, signal));
    return items.map((item) => item['sk'] as MachineKey);
  }

  /** Where the item is as the change wants it; else it stays as it is. */
  async #change(what: string, key: DynamoKey, change: DynamoChange, options: CallOptions): Promise<void> {
    try {
      await this.#call(what, options, (signal) => this.#table.update(key, change, signal));
    } catch (error) {
      if (!isPortError(error) || error.code !== 'already_exists') throw error;
    }
  }

  async #kept(machine: MachineKey, options: CallOptions): Promise<readonly KeptCommand[]> {
    const items = await this.#call(`list commands for ${machine}`, options, (signal) =>
      this.#table.list(commandsOf(machine), signal),
    );
    return items.map(commandOf).sort((left, right) => left.position - right.position);
  }

  async #forget(machine: MachineKey, id: string, options: CallOptions): Promise<void> {
    await this.#call(`forget the command ${id} for ${machine}`, options, (signal) =>
      this.#table.delete(commandKey(machine, id), signal),
    );
  }

  #call<Result>(
    what: string,
    { signal }: CallOptions,
    call: (signal: AbortSignal) => Promise<Result>,
  ): Promise<Result> {
    return awsCall({ what, timeoutMs: this.#limits.timeoutMs, signal, codes: CODES }, call);
  }
}

function commandsOf(machine: MachineKey): string {
  return `commands#${machine}`;
}

function listenersOf(machine: MachineKey): string {
  return `listeners#${machine}`;
}

function commandKey(machine: MachineKey, id: string): DynamoKey {
  return { pk: commandsOf(machine), sk: id };
}

function commandOf(item: DynamoItem): KeptCommand {
  return {
    id: item['sk'] as string,
    payload: item['payload'] as Uint8Array,
    expiresAtMs: item['expiresAtMs'] as number,
    position: item['position'] as number,
    sentAtMs: item['sentAtMs'] as number | undefined,
  };
}
