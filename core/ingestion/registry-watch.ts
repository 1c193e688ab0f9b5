import type { Clock } from '../clock.ts';
import type { DeviceId, TenantId } from '../domain/ids.ts';
import type { Device, DeviceRegistry } from '../ports/device-registry.ts';

interface RegistryWatchDependencies {
  readonly devices: Pick<DeviceRegistry, 'listDevices' | 'onChange'>;
  readonly clock: Clock;
  readonly onProblem: (what: string, error: unknown) => void;
  /** Whose devices are of interest now. */
  readonly tenants: () => Iterable<TenantId>;
  /** Told of all devices of those tenants after a change. */
  readonly apply: (registered: ReadonlyMap<DeviceId, Device>) => void;
}

/** Follows the device registry for a gateway. Takes at most a tenth of the time, however often devices change. */
export class RegistryWatch {
  readonly #dependencies: RegistryWatchDependencies;
  readonly #stopListening: () => void;
  #timer: NodeJS.Timeout | undefined;
  #delayMs = MIN_DELAY_MS;
  /** Devices changed since the last reading began. */
  #isDue = false;
  #isStopped = false;

  constructor(dependencies: RegistryWatchDependencies) {
    this.#dependencies = dependencies;
    this.#stopListening = dependencies.devices.onChange(() => this.#schedule());
  }

  stop(): void {
    this.#isStopped = true;
    this.#stopListening();
    clearTimeout(this.#timer);
  }

  #schedule(): void {
    this.#isDue = true;
    if (!this.#isStopped) this.#timer ??= setTimeout(() => void this.#refresh(), this.#delayMs);
  }

  async #refresh(): Promise<void> {
    const { devices, clock, onProblem, tenants, apply } = this.#dependencies;
    const startedMs = clock.monotonicMs();
    this.#isDue = false;
    try {
      const registered = new Map<DeviceId, Device>();
      for (const tenant of new Set(tenants()))
        for (const device of await devices.listDevices(tenant)) registered.set(device.id, device);
      if (!this.#isStopped) apply(registered);
    } catch (error) {
      onProblem('reading the device registry', error);
      this.#isDue = true;
    }
    this.#delayMs = Math.max(MIN_DELAY_MS, 10 * (clock.monotonicMs() - startedMs));
    this.#timer = undefined;
    if (this.#isDue) this.#schedule();
  }
}

const MIN_DELAY_MS = 100;
