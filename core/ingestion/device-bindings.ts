import type { Clock } from '../clock.ts';
import type { DeviceId } from '../domain/ids.ts';
import type { CallOptions } from '../errors.ts';
import type { Device, DeviceRegistry } from '../ports/device-registry.ts';
import { DeviceAccess } from './device-access.ts';
import { RegistryWatch } from './registry-watch.ts';

type Registry = Pick<DeviceRegistry, 'getDevice' | 'listDevices' | 'onChange'>;

/** What the registry says of the devices that were heard of, kept up to date; as many as there are in the registry at most. */
export class DeviceBindings {
  readonly #devices: Registry;
  readonly #clock: Clock;
  readonly #known = new Map<DeviceId, DeviceAccess>();
  readonly #watch: RegistryWatch;
  readonly #stopListening: () => void;
  /** Counts the times that the registry was read after a change. */
  #version = 0;
  /** When the registry was asked in vain about whom, the longest ago first. */
  readonly #uselessMs = new Map<DeviceId, number>();
  /** Counts the changes that the registry told of. */
  #changes = 0;

  constructor(devices: Registry, clock: Clock, onProblem: (what: string, error: unknown) => void) {
    this.#devices = devices;
    this.#clock = clock;
    this.#watch = new RegistryWatch({
      ...{ devices, clock, onProblem },
      known: () => [...this.#known.values()].map(({ device }) => device),
      apply: (id, device) => this.#remember(id, device),
      applied: () => {
        this.#version++;
      },
    });
    this.#stopListening = devices.onChange(() => {
      this.#changes++;
      this.#uselessMs.clear();
    });
  }

  /** The device, where it was heard of before and may speak. */
  known(id: DeviceId): DeviceAccess | undefined {
    return this.#known.get(id);
  }

  /** The device as the registry has it now, where it may speak. */
  async find(id: DeviceId, options: CallOptions = {}): Promise<DeviceAccess | undefined> {
    for (;;) {
      const version = this.#version;
      const device = await this.#devices.getDevice(id, options);
      // Else it may have been read before the change.
      if (version === this.#version) return this.#remember(id, device);
    }
  }

  /**
   * For a device that may not do what it does, as far as is known: {@link find}, unless the registry said in the second before that nothing is new of it,
   * and has told of no change since. However often such a device sends, it costs little.
   */
  async recheck(id: DeviceId, options: CallOptions = {}): Promise<DeviceAccess | undefined> {
    const askedMs = this.#clock.monotonicMs();
    const uselessMs = this.#uselessMs.get(id);
    const before = this.known(id);
    if (uselessMs !== undefined && askedMs - uselessMs < RECHECK_AFTER_MS) return before;
    const changes = this.#changes;
    const found = await this.find(id, options);
    this.#uselessMs.delete(id);
    if (changes === this.#changes && isSame(before, found)) this.#uselessMs.set(id, askedMs);
    if (this.#uselessMs.size > MAX_USELESS) this.#uselessMs.delete(this.#uselessMs.keys().next().value!);
    return found;
  }

  close(): void {
    this.#watch.stop();
    this.#stopListening();
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

function isSame(before: DeviceAccess | undefined, after: DeviceAccess | undefined): boolean {
  return before?.device.machines.toSorted().join(' ') === after?.device.machines.toSorted().join(' ');
}

/** What a device sends so shortly after it was registered or bound may be refused, where it sent the like before and the registry is slow to tell. */
const RECHECK_AFTER_MS = 1000;
const MAX_USELESS = 10_000;
