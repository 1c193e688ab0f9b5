import type { DeviceId, MachineKey } from '#core/domain/ids.ts';
import type { LiveChanges } from '#core/live/live-feed.ts';
import type { DevicePresence } from '#core/ports/device-gateway.ts';

/** Whether a device is there for a machine, and since when (milliseconds since 1970). */
export interface DeviceState {
  readonly device: DeviceId;
  readonly online: boolean;
  readonly sinceMs: number;
  /** How it is known: by its connection, or by what it said of the machine on the status topic. */
  readonly by: DevicePresence['by'];
}

/** Which devices are there, as the feed tells: nothing of those that have not connected since it is remembered. */
export class DeviceBoard {
  readonly #connections = new Map<DeviceId, DevicePresence>();
  readonly #statuses = new Map<MachineKey, Map<DeviceId, DevicePresence>>();
  readonly #devicesOf = new Map<MachineKey, Set<DeviceId>>();

  take({ isAll, presence }: Pick<LiveChanges, 'isAll' | 'presence'>): void {
    if (isAll) for (const known of [this.#connections, this.#statuses, this.#devicesOf]) known.clear();
    for (const each of presence) {
      if (each.by === 'connection') this.#connections.set(each.device, each);
      for (const machine of each.machines) {
        if (each.by === 'connection') entryOf(this.#devicesOf, machine, () => new Set()).add(each.device);
        else entryOf(this.#statuses, machine, () => new Map()).set(each.device, each);
      }
    }
  }

  /** As its connection says. */
  stateOf(device: DeviceId): DeviceState | undefined {
    const connection = this.#connections.get(device);
    return connection && toState(connection);
  }

  /** The devices that connected for the machine. One that is connected may have said that the machine behind it is not there. */
  statesFor(machine: MachineKey): readonly DeviceState[] {
    return [...(this.#devicesOf.get(machine) ?? [])].flatMap((device) => {
      const connection = this.#connections.get(device);
      if (!connection) return [];
      const status = this.#statuses.get(machine)?.get(device);
      const isSaid = connection.online && status?.online === false && status.atMs >= connection.atMs;
      return [toState(isSaid ? status : connection)];
    });
  }
}

function toState({ device, online, by, atMs: sinceMs }: DevicePresence): DeviceState {
  return { device, online, sinceMs, by };
}

function entryOf<Value>(map: Map<MachineKey, Value>, key: MachineKey, make: () => Value): Value {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = make();
  map.set(key, made);
  return made;
}
