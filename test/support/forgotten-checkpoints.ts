import type { CheckpointStore } from '#core/ports/checkpoint-store.ts';

/** For a process that a test kills: what it says of itself is never known to others. */
export const FORGOTTEN_CHECKPOINTS: Pick<CheckpointStore, 'load' | 'save'> = {
  load: async () => undefined,
  save: async (_name, state, version) => ({ version: version + 1, state }),
};
