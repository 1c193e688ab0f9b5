import { expect } from '@jest/globals';
import type { ObjectStore } from '#core/ports/object-store.ts';

/** Where the bucket is not there, nothing that is asked of it is taken for an absent object; `place` is how its name is told. */
export async function expectAbsentPlace(store: ObjectStore, place: string): Promise<void> {
  const missing = { code: 'failed_precondition', message: expect.stringContaining(`of ${place}`) };
  await expect(store.get('a/x')).rejects.toMatchObject(missing);
  await expect(store.put('a/x', new Uint8Array(1))).rejects.toMatchObject(missing);
  await expect(store.delete('a/x')).rejects.toMatchObject(missing);
}
