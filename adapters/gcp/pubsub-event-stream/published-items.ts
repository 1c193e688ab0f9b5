import type { TenantId } from '#core/domain/ids.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';

const SAVE_EVERY_MS = 1000;

/**
 * Each tenant's items on a topic since its begin. Pub/Sub cannot tell what was last published, so the counts are saved as an object, each
 * second and at the end: those of the last second before a crash are not in the counts that go on.
 */
export class PublishedItems {
  readonly #objects: ObjectStore;
  readonly #key: string;
  readonly #items: Map<string, number>;
  readonly #timer: NodeJS.Timeout;
  readonly #onFailure: (error: unknown) => void;
  #isChanged = false;
  #saving: Promise<void> = Promise.resolve();

  static async open(objects: ObjectStore, topic: string, onFailure: (error: unknown) => void): Promise<PublishedItems> {
    const key = `streams/${topic}/published-items.json`;
    const saved = await objects.get(key);
    const items = saved === undefined ? {} : (JSON.parse(Buffer.from(saved).toString()) as Record<string, number>);
    return new PublishedItems(objects, key, new Map(Object.entries(items)), onFailure);
  }

  private constructor(
    objects: ObjectStore,
    key: string,
    items: Map<string, number>,
    onFailure: (error: unknown) => void,
  ) {
    this.#objects = objects;
    this.#key = key;
    this.#items = items;
    this.#onFailure = onFailure;
    this.#timer = setInterval(() => void this.#save(), SAVE_EVERY_MS).unref();
  }

  /** The tenant's items with these: to be taken back by a negative number where they were refused. */
  add(tenant: TenantId, items: number): number {
    const sum = (this.#items.get(tenant) ?? 0) + items;
    this.#items.set(tenant, sum);
    this.#isChanged = true;
    return sum;
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#save();
  }

  #save(): Promise<void> {
    return (this.#saving = this.#saving.then(async () => {
      if (!this.#isChanged) return;
      this.#isChanged = false;
      const text = JSON.stringify(Object.fromEntries(this.#items));
      await this.#objects.put(this.#key, Buffer.from(text)).catch((error: unknown) => {
        this.#isChanged = true;
        this.#onFailure(error);
      });
    }));
  }
}
