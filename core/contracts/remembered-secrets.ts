import type { SecretStore } from '../ports/secret-store.ts';

/** Secrets of a contract's run, which never leave its process. */
export class RememberedSecrets implements SecretStore {
  readonly #values = new Map<string, string>();

  /** Of those that there are. */
  get names(): readonly string[] {
    return [...this.#values.keys()];
  }

  async get(name: string): Promise<string | undefined> {
    return this.#values.get(name);
  }

  async put(name: string, value: string): Promise<void> {
    this.#values.set(name, value);
  }

  async delete(name: string): Promise<void> {
    this.#values.delete(name);
  }
}
