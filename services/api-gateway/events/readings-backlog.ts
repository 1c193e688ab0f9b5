import type { MachineKey } from '#core/domain/ids.ts';
import type { LiveMachine } from '#core/live/live-feed.ts';

/**
 * Machines whose changes were not sent yet, because an event holds so many and no more. Whoever waits longest comes first, so that a fleet
 * of any size is shown in turns; meanwhile a machine's changes are joined, newest value first. Bounded by the fleet.
 */
export class ReadingsBacklog {
  readonly #waiting = new Map<MachineKey, LiveMachine>();

  /** Adds what changed, and takes up to `limit` machines out. */
  take(changed: readonly LiveMachine[], limit: number): readonly LiveMachine[] {
    if (this.#waiting.size === 0 && changed.length <= limit) return changed;
    for (const machine of changed) this.#waiting.set(machine.key, joined(this.#waiting.get(machine.key), machine));
    const taken = [...this.#waiting.values()].slice(0, limit);
    for (const { key } of taken) this.#waiting.delete(key);
    return taken;
  }

  clear(): void {
    this.#waiting.clear();
  }
}

function joined(earlier: LiveMachine | undefined, later: LiveMachine): LiveMachine {
  if (!earlier) return later;
  return { ...earlier, ...later, metrics: { ...earlier.metrics, ...later.metrics } };
}
