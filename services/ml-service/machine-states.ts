import type { MachineKey } from '#core/domain/ids.ts';
import { isPortError, PortError, type CallOptions } from '#core/errors.ts';
import {
  decodeMachineHealth,
  encodeMachineHealth,
  NEW_MACHINE,
  type MachineHealth,
} from '#core/inference/machine-health.ts';
import type { CheckpointStore } from '#core/ports/checkpoint-store.ts';

interface Known {
  /** Of the checkpoint; 0 where there is none yet. */
  readonly version: number;
  readonly state: MachineHealth;
}

/** States of machines in memory and in their checkpoints, of which a machine has one. */
export class MachineStates {
  readonly #store: Pick<CheckpointStore, 'load' | 'save'>;
  readonly #maxCached: number;
  /** In order of use, the least recent first. */
  readonly #known = new Map<MachineKey, Known>();

  constructor(store: Pick<CheckpointStore, 'load' | 'save'>, options: { readonly maxCached: number }) {
    this.#store = store;
    this.#maxCached = options.maxCached;
  }

  async load(key: MachineKey, options: CallOptions): Promise<MachineHealth> {
    const { state } = this.#known.get(key) ?? (await this.#read(key, options));
    return state;
  }

  /** Saves what followed from the state that {@link load} gave. @throws PortError unavailable when another process saved one meanwhile: load again. */
  async save(key: MachineKey, state: MachineHealth, options: CallOptions): Promise<void> {
    const before = this.#known.get(key)?.version ?? 0;
    try {
      const { version } = await this.#store.save(checkpointName(key), encodeMachineHealth(state), before, options);
      this.#remember(key, { version, state });
    } catch (error) {
      // Whether it was saved is not known for sure: the checkpoint itself says.
      this.#known.delete(key);
      if (!isPortError(error) || error.code !== 'failed_precondition') throw error;
      throw new PortError('unavailable', `${key} is judged by another process too`, { cause: error });
    }
  }

  async #read(key: MachineKey, options: CallOptions): Promise<Known> {
    const checkpoint = await this.#store.load(checkpointName(key), options);
    const known = checkpoint
      ? { version: checkpoint.version, state: decodeMachineHealth(key, checkpoint.state) }
      : { version: 0, state: NEW_MACHINE };
    this.#remember(key, known);
    return known;
  }

  #remember(key: MachineKey, known: Known): void {
    this.#known.delete(key);
    if (this.#known.size >= this.#maxCached) this.#known.delete(this.#known.keys().next().value!);
    this.#known.set(key, known);
  }
}

function checkpointName(key: MachineKey): string {
  return `ml/health/${key}`;
}
