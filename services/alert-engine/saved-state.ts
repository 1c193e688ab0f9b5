import { Buffer } from 'node:buffer';
import type { Judging, SavedMachine } from '#core/alerting/judging.ts';
import type { StreamName } from '#core/domain/event.ts';
import type { MachineKey } from '#core/domain/ids.ts';
import { isPortError, PortError } from '#core/errors.ts';
import type { CheckpointStore } from '#core/ports/checkpoint-store.ts';

/** Until when, by stream, every event accepted is in the saved state. */
export type TakenUntil = Readonly<Partial<Record<StreamName, number>>>;

/** What was decided or could not be judged, on its way to where it is durable. */
export interface Unsettled {
  /** Makes durable what can be now. @throws PortError of what takes it. */
  readonly settle: () => Promise<void>;
  /** Whether all of it is durable, in the turn in which this is asked. */
  readonly isEmpty: () => boolean;
}

interface Manifest {
  readonly format: 1;
  readonly shards: number;
  readonly takenUntilMs: TakenUntil;
}

/** A pass over all shards that had changed when it began. */
interface Pass {
  readonly takenUntilMs: TakenUntil;
  readonly left: number[];
}

const MANIFEST = 'alert-engine/manifest';
/** Saving a shard of so many takes about 3 ms of this thread, during which nothing is judged. */
const MACHINES_PER_SHARD = 64;
const MAX_SHARDS = 1024;
const NO_MACHINES = Buffer.from('[]');

/**
 * The state of judging in a checkpoint store: its shards, saved one by one, and a manifest that says since when events have to be taken again,
 * saved when a pass over the shards is complete. Each machine's own marks tell which of these events it has already.
 */
export class SavedState {
  readonly #checkpoints: Pick<CheckpointStore, 'load' | 'save'>;
  readonly #judging: Judging;
  readonly #confirmLease: () => Promise<void>;
  readonly #versions = new Map<string, number>();
  #pass: Pass | undefined;
  /** Into so many the shards that would be restored are divided. */
  #savedShards = 0;

  /** `confirmLease` asks the store of leases, and rejects unless this process still has the one to save this state. */
  constructor(
    checkpoints: Pick<CheckpointStore, 'load' | 'save'>,
    judging: Judging,
    confirmLease: () => Promise<void>,
  ) {
    this.#checkpoints = checkpoints;
    this.#judging = judging;
    this.#confirmLease = confirmLease;
  }

  /**
   * Restores what was saved, and says since when events have to be taken again; undefined where nothing was. A plant that has outgrown its
   * shards gets more: those of another division have names of their own, and are good until the next manifest.
   */
  async load(machines: number): Promise<TakenUntil | undefined> {
    const manifest = (await this.#load(MANIFEST)) as Manifest | undefined;
    const shards = manifest?.shards ?? 0;
    this.#savedShards = shards;
    this.#judging.divide(Math.max(shards, shardsFor(machines)));
    for (let shard = 0; shard < shards; shard++) {
      const saved = (await this.#load(nameOf(shard, shards))) as readonly SavedMachine[] | undefined;
      if (saved) this.#judging.restore(saved);
    }
    if (shards !== this.#judging.shardCount) await this.#loadVersions(this.#judging.shardCount);
    return manifest?.takenUntilMs;
  }

  /** True between the first and the last call of {@link SavedState.save} that one pass takes. */
  get isSaving(): boolean {
    return this.#pass !== undefined;
  }

  /**
   * Saves shards that changed, for about `budgetMs` of this thread's time, as long as nothing is unsettled. True when the pass is complete;
   * else the next call goes on from there.
   */
  async save(takenUntilMs: TakenUntil, budgetMs: number, unsettled: Unsettled): Promise<boolean> {
    if (!this.#pass) {
      await this.#growShards();
      this.#pass = { takenUntilMs, left: [...this.#judging.dirtyShards()] };
    }
    const { left } = this.#pass;
    let spentMs = 0;
    for (let shard = left.at(-1); shard !== undefined; shard = left.at(-1)) {
      await unsettled.settle();
      if (!unsettled.isEmpty()) return false;
      const startedMs = performance.now();
      await this.#saveShard(shard);
      left.pop();
      // With the write, during which a database in this process holds the thread as well.
      spentMs += performance.now() - startedMs;
      if (spentMs >= budgetMs && left.length > 0) return false;
    }
    const manifest: Manifest = { format: 1, shards: this.#judging.shardCount, takenUntilMs: this.#pass.takenUntilMs };
    this.#pass = undefined;
    await this.#save(MANIFEST, Buffer.from(JSON.stringify(manifest)));
    const outgrown = this.#savedShards === manifest.shards ? 0 : this.#savedShards;
    this.#savedShards = manifest.shards;
    for (let shard = 0; shard < outgrown; shard++) await this.#save(nameOf(shard, outgrown), NO_MACHINES);
    return true;
  }

  /** Saves what is known of one machine, and of those of its shard. @throws PortError unavailable when it is not to be had now. */
  async saveMachine(key: MachineKey, takenUntilMs: TakenUntil, unsettled: Unsettled): Promise<void> {
    // Shards of a division that no manifest names would not be restored.
    const isDivided =
      this.#judging.shardCount === this.#savedShards || (await this.save(takenUntilMs, Infinity, unsettled));
    await unsettled.settle();
    if (!isDivided || !unsettled.isEmpty())
      throw new PortError('unavailable', 'what was decided is not durable yet; try again');
    const shard = this.#judging.shardOf(key);
    if (shard !== undefined) await this.#saveShard(shard);
  }

  /** To be called in the turn in which all is quiet. */
  async #saveShard(shard: number): Promise<void> {
    const { shardCount } = this.#judging;
    const state = Buffer.from(JSON.stringify(this.#judging.saveShard(shard)));
    try {
      await this.#save(nameOf(shard, shardCount), state);
    } catch (error) {
      this.#judging.spoilShard(shard);
      throw error;
    }
    // Before the manifest says so, the shards of another division are restored.
    if (shardCount === this.#savedShards) this.#judging.shardSaved(shard);
  }

  /** A shard of a plant that grew would be long to save, and nothing is judged meanwhile. */
  async #growShards(): Promise<void> {
    const shards = shardsFor(this.#judging.machineCount);
    if (shards <= this.#judging.shardCount) return;
    await this.#loadVersions(shards);
    this.#judging.divide(shards);
  }

  /** An unfinished pass of an earlier process may have saved some of the shards. */
  async #loadVersions(shards: number): Promise<void> {
    for (let shard = 0; shard < shards; shard++) await this.#load(nameOf(shard, shards));
  }

  async #load(name: string): Promise<unknown> {
    const checkpoint = await this.#checkpoints.load(name);
    this.#versions.set(name, checkpoint?.version ?? 0);
    return checkpoint && JSON.parse(Buffer.from(checkpoint.state).toString());
  }

  async #save(name: string, state: Uint8Array): Promise<void> {
    try {
      const { version } = await this.#checkpoints.save(name, state, this.#versions.get(name) ?? 0);
      this.#versions.set(name, version);
    } catch (error) {
      if (!isPortError(error) || error.code !== 'failed_precondition') throw error;
      await this.#learnVersion(name);
      throw new PortError('unavailable', `${name} has another version than was known here; try again`, {
        cause: error,
      });
    }
  }

  /** A save of this process that seemed to fail was not lost; or another process was first, and then has the lease. */
  async #learnVersion(name: string): Promise<void> {
    const found = await this.#checkpoints.load(name);
    // After the load: what another process saves from here on has a version that is not known here.
    await this.#confirmLease();
    this.#versions.set(name, found?.version ?? 0);
  }
}

function nameOf(shard: number, shards: number): string {
  return `alert-engine/${shards}/${shard}`;
}

/** A power of two, so that a growing plant goes through few divisions. */
function shardsFor(machines: number): number {
  let shards = 1;
  while (shards * MACHINES_PER_SHARD < machines && shards < MAX_SHARDS) shards *= 2;
  return shards;
}
