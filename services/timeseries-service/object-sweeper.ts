import type { Clock } from '#core/clock.ts';
import type { MeasuredStream } from '#core/ports/event-stream.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import { STORE_GROUP } from './store-group.ts';

const PAGE = 1000;
const PREFIX = 'waveforms/';
const DAY_MS = 86_400_000;

export interface ObjectSweeperDependencies {
  readonly objects: Pick<ObjectStore, 'list' | 'delete'>;
  readonly store: { unreferencedObjects(keys: readonly string[]): Promise<readonly string[]> };
  readonly stream: Pick<MeasuredStream, 'lag'>;
  readonly clock: Clock;
}

/**
 * Deletes waveform objects that nothing refers to: samples are stored before their event is published, and a crash in between leaves them.
 * An object may wait for its event as long as the stream keeps events, so only older ones go, and none while settlement is behind.
 * Returns how many were deleted.
 */
export async function sweepObjects(
  { objects, store, stream, clock }: ObjectSweeperDependencies,
  sweepAfterMs: number,
  signal: AbortSignal,
): Promise<number> {
  const { oldestAgeMs } = await stream.lag('raw-waveform', STORE_GROUP, { signal });
  if (oldestAgeMs > DAY_MS) return 0;
  const beforeMs = clock.nowMs() - sweepAfterMs;
  let deleted = 0;
  let after: string | undefined;
  while (!signal.aborted) {
    const page = await objects.list({ prefix: PREFIX, limit: PAGE, ...(after !== undefined && { after }) }, { signal });
    const old = page.filter((object) => object.modifiedAtMs < beforeMs).map(({ key }) => key);
    for (const key of old.length > 0 ? await store.unreferencedObjects(old) : []) {
      await objects.delete(key);
      deleted += 1;
    }
    if (page.length < PAGE) break;
    after = page.at(-1)!.key;
  }
  return deleted;
}
