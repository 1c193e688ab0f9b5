import { Buffer } from 'node:buffer';
import type { Judging, SavedMachine } from '#core/alerting/judging.ts';
import type { StreamName } from '#core/domain/event.ts';
import type { CheckpointStore } from '#core/ports/checkpoint-store.ts';

/** Until when, by stream, every event accepted is in the saved state. */
export type TakenUntil = Readonly<Partial<Record<StreamName, number>>>;

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

/**
 * The state of judging in a checkpoint store: its shards, saved one by one, and a manifest that says since when events have to be taken again,
 * saved when a pass over the shards is complete. Each machine's own marks tell which of these events it has already.
 */
export class SavedState {
  readonly #checkpoints: Pick<CheckpointStore, 'load' | 'save'>;
  readonly #judging: Judging;
  readonly #shards: number;
  readonly #versions = new Map<string, number>();
  #pass: Pass | undefined;

  constructor(checkpoints: Pick<CheckpointStore, 'load' | 'save'>, judging: Judging, shards: number) {
    this.#checkpoints = checkpoints;
    this.#judging = judging;
    this.#shards = shards;
  }

  /** Restores what was saved, and says since when events have to be taken again; undefined where nothing (usable) was. */
  async load(): Promise<TakenUntil | undefined> {
    const manifest = (await this.#load(MANIFEST)) as Manifest | undefined;
    const isUsable = manifest?.format === 1 && manifest.shards === this.#shards;
    for (let shard = 0; shard < this.#shards; shard++) {
      const machines = (await this.#load(nameOf(shard))) as readonly SavedMachine[] | undefined;
      if (isUsable && machines) this.#judging.restore(machines);
    }
    return isUsable ? manifest.takenUntilMs : undefined;
  }

  /**
   * Saves shards that changed, for about `budgetMs` of this thread's time; the next call goes on from there. `quiesce` resolves, in the
   * same turn as its caller goes on, when all that judging has decided is durable; false when that is not to be had now.
   */
  async save(takenUntilMs: TakenUntil, budgetMs: number, quiesce: () => Promise<boolean>): Promise<void> {
    this.#pass ??= { takenUntilMs, left: [...this.#judging.dirtyShards()] };
    const { left } = this.#pass;
    let spentMs = 0;
    for (let shard = left.pop(); shard !== undefined; shard = left.pop()) {
      if (!(await quiesce())) {
        left.push(shard);
        return;
      }
      const startedMs = performance.now();
      const state = Buffer.from(JSON.stringify(this.#judging.saveShard(shard)));
      spentMs += performance.now() - startedMs;
      try {
        await this.#save(nameOf(shard), state);
      } catch (error) {
        this.#judging.spoilShard(shard);
        left.push(shard);
        throw error;
      }
      if (spentMs >= budgetMs && left.length > 0) return;
    }
    const manifest: Manifest = { format: 1, shards: this.#shards, takenUntilMs: this.#pass.takenUntilMs };
    this.#pass = undefined;
    await this.#save(MANIFEST, Buffer.from(JSON.stringify(manifest)));
  }

  async #load(name: string): Promise<unknown> {
    const checkpoint = await this.#checkpoints.load(name);
    this.#versions.set(name, checkpoint?.version ?? 0);
    return checkpoint && JSON.parse(Buffer.from(checkpoint.state).toString());
  }

  async #save(name: string, state: Uint8Array): Promise<void> {
    const { version } = await this.#checkpoints.save(name, state, this.#versions.get(name) ?? 0);
    this.#versions.set(name, version);
  }
}

function nameOf(shard: number): string {
  return `alert-engine/shard-${shard}`;
}
