import { PortError, type CallOptions } from '../errors.ts';
import type { SecretStore } from '../ports/secret-store.ts';

/** A version of a secret under a name of its own, which has this value or is absent. */
export interface SecretVersion {
  readonly name: string;
  readonly value: string;
}

/**
 * A secret that several processes agree on, in a place that shows to each what was written: a database, the checkpoint store. A secret store may
 * show later what was put, and a put may arrive after its caller has given up. So each version is put under a name of its own, and what was agreed
 * on names it: nothing that comes late replaces it, and whoever does not see it waits. One per process.
 */
export class AgreedSecret {
  readonly #secrets: SecretStore;
  readonly #name: string;
  readonly #remedy: string;
  #pending: SecretVersion | undefined;
  readonly #retired = new Set<string>();

  /** `remedy` says what to do where the secret was lost. */
  constructor(secrets: SecretStore, name: string, remedy: string) {
    this.#secrets = secrets;
    this.#name = name;
    this.#remedy = remedy;
  }

  /** The name of a version: `version` is no other's. */
  nameOf(version: string): string {
    return `${this.#name}.${version}`;
  }

  /**
   * What this process has proposed, until it is settled what was agreed on. It is to be put again in place of another: what seemed to fail may have
   * arrived, or arrive later, and so does no harm and leaves one name.
   */
  get pending(): SecretVersion | undefined {
    return this.#pending;
  }

  /** Proposes a version, to be put and agreed on. The one before was not agreed on, and will not be. */
  propose(version: string, value: string): SecretVersion {
    const proposed = { name: this.nameOf(version), value };
    if (this.#pending && this.#pending.name !== proposed.name) this.retire([this.#pending.name]);
    this.#pending = proposed;
    return proposed;
  }

  /** Puts what was proposed; nobody may agree on it before. @throws PortError those of the store. */
  async put({ name, value }: SecretVersion, options?: CallOptions): Promise<void> {
    await this.#secrets.put(name, value, options);
  }

  /** Once a version was agreed on: what this process proposed is that one, or nobody will ever need it. */
  settle(agreed: string): void {
    const proposed = this.#pending?.name;
    this.#pending = undefined;
    if (proposed !== undefined && proposed !== agreed) this.retire([proposed]);
  }

  /**
   * What was agreed on, of the first of these names that has it. What this process has put itself it need not be shown.
   * @throws PortError unavailable while the secret store does not show it, and those of the store.
   */
  async read(names: readonly string[], isAgreed: (value: string) => boolean): Promise<SecretVersion> {
    const found: string[] = [];
    for (const name of names) {
      const value = name === this.#pending?.name ? this.#pending.value : await this.#secrets.get(name);
      if (value !== undefined && isAgreed(value)) return { name, value };
      found.push(`${name} ${value === undefined ? 'is absent' : 'is not what was agreed on'}`);
    }
    throw new PortError(
      'unavailable',
      `the secret ${found.join(', and ')}: the secret store may show it later; if it was lost, bring it back, or ${this.#remedy}`,
    );
  }

  /** Has {@link tidy} delete versions that nobody needs. */
  retire(names: readonly string[]): void {
    for (const name of names) this.#retired.add(name);
  }

  /** Deletes what nobody needs, each in one attempt. One that fails is told by its name, and only costs what a secret costs. */
  async tidy(onProblem: (what: string, error: unknown) => void): Promise<void> {
    const names = [...this.#retired];
    this.#retired.clear();
    for (const name of names)
      await this.#secrets.delete(name).catch((error: unknown) => {
        onProblem(`deleting the secret ${name}, which nobody needs any more,`, error);
      });
  }
}
