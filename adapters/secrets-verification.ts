import { secretStoreContract } from '#core/contracts/secret-store.contract.ts';
import { deployedContract, VERIFICATION_MARK, wasLeft, type Verification } from '#core/contracts/verification.ts';
import type { CallOptions } from '#core/errors.ts';
import type { SecretStore } from '#core/ports/secret-store.ts';
import { checkSecret } from './secret-names.ts';

type ClosableStore = SecretStore & { close?(): unknown };

/** The secret whose value is the names of those that runs have made. */
const INDEX = `${VERIFICATION_MARK}-index`;

/** Runs the contract of secret stores with secrets of names of its own, `where` for who reads: `account, below tribo/akron/`. */
export async function secretsVerification(
  open: () => Promise<ClosableStore>,
  { run, where, needs }: { readonly run: string; readonly where: string; readonly needs: string },
): Promise<Verification> {
  const [store, other] = [await open(), await open()];
  const index = new SecretIndex(store);
  let cases = 0;
  const makeHarness = async () => ({
    store: index.noting(store),
    reopen: () => index.noting(other),
    prefix: `${VERIFICATION_MARK}-${run}-${++cases}-`,
    [Symbol.asyncDispose]: async () => undefined,
  });
  return {
    ...{ makes: `some ten secrets ${VERIFICATION_MARK}-${run}-* in ${where}, and ${INDEX} with their names`, needs },
    contracts: [deployedContract(secretStoreContract, makeHarness)],
    sweep: (isOver) => index.sweep(isOver),
    close: async () => {
      await store.close?.();
      await other.close?.();
    },
  };
}

/**
 * Remembers in a secret which secrets there are to be deleted: to list secrets needs a right that the services do not have. It is written
 * before they are, and is not made for two runs at once.
 */
class SecretIndex {
  readonly #store: SecretStore;
  readonly #noted = new Set<string>();
  #writing: Promise<void> = Promise.resolve();

  constructor(store: SecretStore) {
    this.#store = store;
  }

  /** The store, with each secret's name noted before it is first put. */
  noting(store: SecretStore): SecretStore {
    return {
      get: (name, options) => store.get(name, options),
      delete: (name, options) => store.delete(name, options),
      put: async (name: string, value: string, options?: CallOptions) => {
        checkSecret(name, value);
        await this.#note(name);
        await store.put(name, value, options);
      },
    };
  }

  /** Deletes the noted secrets of the runs that are over, and itself with the last. */
  async sweep(isOver: (run: string) => boolean): Promise<number> {
    const names = await this.#read();
    const over = names.filter((name) => wasLeft(name, isOver));
    // What a case has deleted may still be on its way out, when a vault deletes it no second time.
    for (const name of over) if ((await this.#store.get(name)) !== undefined) await this.#store.delete(name);
    if (over.length > 0) await this.#write(names.filter((name) => !over.includes(name)));
    return over.length;
  }

  /** One after another, whatever became of the one before. */
  #note(name: string): Promise<void> {
    const noting = this.#writing.then(async () => {
      if (this.#noted.has(name)) return;
      await this.#write([...(await this.#read()), name]);
      this.#noted.add(name);
    });
    this.#writing = noting.catch(() => undefined);
    return noting;
  }

  async #read(): Promise<readonly string[]> {
    const text = await this.#store.get(INDEX);
    return text === undefined ? [] : text.split('\n');
  }

  async #write(names: readonly string[]): Promise<void> {
    if (names.length === 0) await this.#store.delete(INDEX);
    else await this.#store.put(INDEX, names.join('\n'));
  }
}
