import { machineRef, type MachineKey, type TenantId } from '#core/domain/ids.ts';
import type { CallOptions } from '#core/errors.ts';
import type { Device, DeviceRegistry } from '#core/ports/device-registry.ts';

/**
 * Which devices speak for a machine. A hub answers few queries a minute, so a tenant's list is kept until devices change, and read anew for a
 * machine that it does not have; what it says of a device is looked up, so that none is sent what it may not have any more.
 */
export class MachineDevices {
  readonly #registry: DeviceRegistry;
  readonly #lists = new Map<TenantId, Promise<readonly Device[]>>();
  readonly #stopListening: () => void;

  constructor(registry: DeviceRegistry) {
    this.#registry = registry;
    this.#stopListening = registry.onChange(() => this.#lists.clear());
  }

  /** Those that are enabled. */
  async of(machine: MachineKey, options: CallOptions = {}): Promise<readonly Device[]> {
    const { tenant } = machineRef(machine);
    const speaks = (device: Device | undefined) => device?.enabled === true && device.machines.includes(machine);
    let listed = (await this.#list(tenant)).filter(speaks);
    if (listed.length === 0) {
      this.#lists.delete(tenant);
      listed = (await this.#list(tenant)).filter(speaks);
    }
    const devices = await Promise.all(listed.map(({ id }) => this.#registry.getDevice(id, options)));
    return devices.filter((device) => device !== undefined).filter(speaks);
  }

  close(): void {
    this.#stopListening();
  }

  #list(tenant: TenantId): Promise<readonly Device[]> {
    let list = this.#lists.get(tenant);
    if (list === undefined) {
      const reading = (list = this.#registry.listDevices(tenant));
      this.#lists.set(tenant, reading);
      reading.catch(() => {
        if (this.#lists.get(tenant) === reading) this.#lists.delete(tenant);
      });
    }
    return list;
  }
}
