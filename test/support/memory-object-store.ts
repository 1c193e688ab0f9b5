import type { ObjectInfo, ObjectStore } from '#core/ports/object-store.ts';
import { PortError } from '#core/errors.ts';

/** An object store in memory, for tests of what stands on one; can be full for a while. */
export class MemoryObjectStore implements ObjectStore {
  readonly #objects = new Map<string, Uint8Array>();
  /** While true each put fails as on a full disk. */
  full = false;

  async put(key: string, bytes: Uint8Array, { ifAbsent = false }: { readonly ifAbsent?: boolean } = {}) {
    if (this.full) throw new PortError('resource_exhausted', 'the disk is full');
    const created = !this.#objects.has(key);
    if (created || !ifAbsent) this.#objects.set(key, bytes.slice());
    return { created };
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    return this.#objects.get(key)?.slice();
  }

  async list(query: { readonly prefix: string; readonly after?: string; readonly limit: number }) {
    const { prefix, after, limit } = query;
    return [...this.#objects]
      .filter(([key]) => key.startsWith(prefix) && (after === undefined || key > after))
      .sort(([left], [right]) => (left < right ? -1 : 1))
      .slice(0, limit)
      .map(([key, { byteLength }]): ObjectInfo => ({ key, bytes: byteLength, modifiedAtMs: 0 }));
  }

  async delete(key: string): Promise<void> {
    this.#objects.delete(key);
  }
}
