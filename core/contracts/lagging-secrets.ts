import type { SecretStore } from '../ports/secret-store.ts';
import { RememberedSecrets } from './remembered-secrets.ts';

/** Secrets as a service has them that is eventually consistent: what is put or deleted is read later, so long after it was done or when {@link show} is called. */
export class LaggingSecrets implements SecretStore {
  readonly #shown = new RememberedSecrets();
  readonly #lagMs: number;
  readonly #hidden: (() => Promise<void>)[] = [];

  constructor(lagMs = Infinity) {
    this.#lagMs = lagMs;
  }

  get(name: string): Promise<string | undefined> {
    return this.#shown.get(name);
  }

  async put(name: string, value: string): Promise<void> {
    this.#hide(() => this.#shown.put(name, value));
  }

  async delete(name: string): Promise<void> {
    this.#hide(() => this.#shown.delete(name));
  }

  /** From now on all is read that was done until now. */
  async show(): Promise<void> {
    for (const change of this.#hidden.splice(0)) await change();
  }

  #hide(change: () => Promise<void>): void {
    this.#hidden.push(change);
    if (this.#lagMs !== Infinity) setTimeout(() => void this.#hidden.shift()?.(), this.#lagMs);
  }
}
