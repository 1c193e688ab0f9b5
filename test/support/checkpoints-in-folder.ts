import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SqliteCheckpointStore } from '#adapters/embedded/sqlite-checkpoint-store/sqlite-checkpoint-store.ts';
import { systemClock, type Clock } from '#core/clock.ts';
import type { CheckpointStore } from '#core/ports/checkpoint-store.ts';

/** Checkpoints in a folder of their own, which goes with them. */
export async function checkpointsInFolder(
  clock: Clock = systemClock,
): Promise<{ readonly store: CheckpointStore } & AsyncDisposable> {
  const folder = mkdtempSync(join(tmpdir(), 'tribo-checkpoints-'));
  const store = await SqliteCheckpointStore.open({ databasePath: join(folder, 'checkpoints') }, clock);
  return {
    store,
    [Symbol.asyncDispose]: async () => {
      await store.close();
      rmSync(folder, { recursive: true });
    },
  };
}
