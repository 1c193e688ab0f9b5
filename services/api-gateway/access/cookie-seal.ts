import { createHmac, randomBytes, randomUUID, timingSafeEqual } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { PortError } from '#core/errors.ts';
import type { CheckpointStore } from '#core/ports/checkpoint-store.ts';
import type { SecretStore } from '#core/ports/secret-store.ts';

const KEY_SECRET = 'api-gateway.session-key';
const LEASE_MS = 30_000;
/** Longer than the lease of a copy that was killed with it. */
const MADE_WITHIN_MS = 60_000;
const LOOK_EVERY_MS = 200;

type Stores = { readonly secrets: SecretStore; readonly checkpoints: CheckpointStore };

/** What a cookie of one purpose says is nothing in one of another. */
type Purpose = 'session' | 'csrf' | 'sign-in';

/** Signs what browsers keep, with a key from the secret store: it outlives a restart, and any replica can read it. */
export class CookieSeal {
  readonly #key: Buffer;

  /** Of copies that start together one makes the key, and all have it. @throws PortError of the stores. */
  static async open(stores: Stores): Promise<CookieSeal> {
    const lastMs = performance.now() + MADE_WITHIN_MS;
    for (;;) {
      const key = (await stores.secrets.get(KEY_SECRET)) ?? (await makeKey(stores));
      if (key !== undefined) return new CookieSeal(Buffer.from(key, 'base64url'));
      if (performance.now() > lastMs)
        throw new PortError('unavailable', `another copy makes the secret ${KEY_SECRET} and does not end; start again`);
      await sleep(LOOK_EVERY_MS);
    }
  }

  private constructor(key: Buffer) {
    this.#key = key;
  }

  /** The value of a cookie that whoever has it can read, and nobody can change. */
  seal(purpose: Purpose, content: object): string {
    const text = Buffer.from(JSON.stringify(content)).toString('base64url');
    return `${text}.${this.mac(purpose, text)}`;
  }

  /** What was sealed for that purpose; undefined where it was not. */
  unseal(purpose: Purpose, cookie: string): unknown {
    const [text, mac, rest] = cookie.split('.', 3);
    if (text === undefined || mac === undefined || rest !== undefined || !this.isMac(purpose, text, mac))
      return undefined;
    return JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));
  }

  mac(purpose: Purpose, text: string): string {
    return this.#mac(purpose, text).toString('base64url');
  }

  isMac(purpose: Purpose, text: string, sent: string): boolean {
    const expected = this.#mac(purpose, text);
    const given = Buffer.from(sent, 'base64url');
    return given.length === expected.length && timingSafeEqual(given, expected);
  }

  #mac(purpose: Purpose, text: string): Buffer {
    return createHmac('sha256', this.#key).update(`${purpose}:${text}`).digest();
  }
}

/** Undefined while another copy is at it. */
async function makeKey({ secrets, checkpoints }: Stores): Promise<string | undefined> {
  const lease = await checkpoints.acquireLease(KEY_SECRET, randomUUID(), LEASE_MS);
  if (!lease) return undefined;
  try {
    const known = await secrets.get(KEY_SECRET);
    if (known !== undefined) return known;
    const made = randomBytes(32).toString('base64url');
    await secrets.put(KEY_SECRET, made);
    return made;
  } finally {
    await checkpoints.releaseLease(lease);
  }
}
