import { RememberedSecrets } from '#core/contracts/remembered-secrets.ts';
import { PortError } from '#core/errors.ts';

/** Secrets of a service whose network is slow at times: then a put fails at its caller, and comes to be when {@link arrive} is called. */
export class LateSecrets extends RememberedSecrets {
  isSlow = false;
  readonly #underWay: (() => Promise<void>)[] = [];

  override async put(name: string, value: string): Promise<void> {
    if (!this.isSlow) return super.put(name, value);
    this.#underWay.push(() => super.put(name, value));
    throw new PortError('deadline_exceeded', `put secret ${name}: no answer in time`);
  }

  /** What callers gave up is put now. */
  async arrive(): Promise<void> {
    for (const put of this.#underWay.splice(0)) await put();
  }
}
