import type { Clock } from '../clock.ts';
import type { DeviceId } from '../domain/ids.ts';
import { DeviceAccess } from './device-access.ts';
import { RegistryWatch } from './registry-watch.ts';
import type { Device, DeviceRegistry } from '../ports/device-registry.ts';

/** What the registry says of the devices that were heard of, kept up to date; as many as there are in the registry at most. */
export class DeviceBindings {
  readonly #devices: DeviceRegistry;
  readonly #known = new Map<DeviceId, DeviceAccess>();
  readonly #watch: RegistryWatch;
  /** Counts the times that the registry was read after a change. */
  #version = 0;

  constructor(devices: DeviceRegistry, clock: Clock, onProblem: (what: string, error: unknown) => void) {
    this.#devices = devices;
    this.#watch = new RegistryWatch({
      ...{ devices, clock, onProblem },
      known: () => [...this.#known.values()].map(({ device }) => device),
      apply: (id, device) => this.#remember(id, device),
      applied: () => {
        this.#version++;
      },
    });
  }

  /** The device, where it was heard of before and may speak. */
  known(id: DeviceId): DeviceAccess | undefined {
    return this.#known.get(id);
  }

  /** The device as the registry has it now, where it may speak. */
  async find(id: DeviceId): Promise<DeviceAccess | undefined> {
    for (;;) {
      const version = this.#version;
      const device = await this.#devices.getDevice(id);
      // Else it may have been read before the change.
      if (version === this.#version) return this.#remember(id, device);
    }
  }

  close(): void {
    this.#watch.stop();
  }

  #remember(id: DeviceId, device: Device | undefined): DeviceAccess | undefined {
    if (device?.enabled !== true) {
      this.#known.delete(id);
      return undefined;
    }
    const access = new DeviceAccess(device);
    this.#known.set(id, access);
    return access;
  }
}
