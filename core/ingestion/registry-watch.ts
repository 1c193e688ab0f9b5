import type { Clock } from '../clock.ts';
import type { DeviceId } from '../domain/ids.ts';
import type { Device, DeviceRegistry } from '../ports/device-registry.ts';

interface RegistryWatchDependencies {
  readonly devices: Pick<DeviceRegistry, 'listDevices' | 'onChange'>;
  readonly clock: Clock;
  readonly onProblem: (what: string, error: unknown) => void;
  /** The devices of interest now. */
  readonly known: () => readonly Device[];
  /** Told after a change of each device that was of interest before the reading: as it is now, undefined where it was removed. */
  readonly apply: (id: DeviceId, device: Device | undefined) => void;
  /** Told once all have been applied. */
  readonly applied?: () => void;
}

/**
 * Follows the device registry for a gateway. Takes at most a tenth of the time, however often devices change; but waits no longer than ten seconds
 * between readings, however long they take: what was disabled is let in until then.
 */
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
    const { devices, clock, onProblem, known, apply, applied } = this.#dependencies;
    const startedMs = clock.monotonicMs();
    this.#isDue = false;
    try {
      const before = known();
      const ids = new Set(before.map(({ id }) => id));
      const registered = new Map<DeviceId, Device>();
      for (const tenant of new Set(before.map((device) => device.tenant)))
        for (const device of await devices.listDevices(tenant)) registered.set(device.id, device);
      if (this.#isStopped) return;
      for (const id of ids) apply(id, registered.get(id));
      applied?.();
      // Of those that came meanwhile the reading may be too old: the next is about them.
      this.#isDue ||= known().some(({ id }) => !ids.has(id));
    } catch (error) {
      onProblem('reading the device registry', error);
      this.#isDue = true;
    }
    const tenfoldMs = 10 * (clock.monotonicMs() - startedMs);
    this.#delayMs = Math.min(Math.max(MIN_DELAY_MS, tenfoldMs), MAX_DELAY_MS);
    this.#timer = undefined;
    if (this.#isDue) this.#schedule();
  }
}

const MIN_DELAY_MS = 100;
const MAX_DELAY_MS = 10_000;
