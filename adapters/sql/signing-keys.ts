import { exportJWK, generateKeyPair, importJWK, type CryptoKey, type JWK } from 'jose';
import { z } from 'zod';
import { PortError } from '#core/errors.ts';

const storedKeySchema = z.object({
  kid: z.string(),
  createdAtMs: z.number(),
  /** It signs from here on, until a newer one does. */
  activeAtMs: z.number(),
  jwk: z.record(z.string(), z.unknown()),
});
const keyRingSchema = z.array(storedKeySchema).min(1);

export type StoredKey = z.infer<typeof storedKeySchema>;

export const SIGNING_ALGORITHM = 'ES256';
const PUBLIC_MEMBERS = ['kty', 'crv', 'x', 'y'];

/** An issuer's signing keys, newest last. Immutable: each change gives a new ring to be stored. */
export class KeyRing {
  readonly keys: readonly StoredKey[];

  constructor(keys: readonly StoredKey[]) {
    this.keys = keys;
  }

  /** @throws PortError data_loss: a ring that cannot be read must not be replaced in silence, because its tokens would all fail. */
  static parse(json: string): KeyRing {
    try {
      return new KeyRing(keyRingSchema.parse(JSON.parse(json)));
    } catch {
      // Without its cause, which quotes what it cannot read: private keys, and it is logged.
      throw new PortError('data_loss', "the identity issuer's keys in the secret store are damaged");
    }
  }

  toJson(): string {
    return JSON.stringify(this.keys);
  }

  /** With a further key that signs from `activeAtMs`. */
  async withNewKey(kid: string, nowMs: number, activeAtMs: number): Promise<KeyRing> {
    const { privateKey } = await generateKeyPair(SIGNING_ALGORITHM, { extractable: true });
    const jwk = { ...(await exportJWK(privateKey)) };
    return new KeyRing([...this.keys, { kid, createdAtMs: nowMs, activeAtMs, jwk }]);
  }

  /** Without the keys whose last token has expired. */
  withoutRetired(nowMs: number, maxTokenLifetimeMs: number): KeyRing {
    return new KeyRing(
      this.keys.filter((_key, index) => {
        const successor = this.keys[index + 1];
        return successor === undefined || successor.activeAtMs + maxTokenLifetimeMs > nowMs;
      }),
    );
  }

  has(kid: string): boolean {
    return this.keys.some((key) => key.kid === kid);
  }

  get newest(): StoredKey | undefined {
    return this.keys.at(-1);
  }

  /** The key that signs now. */
  active(nowMs: number): StoredKey {
    const key = this.keys.findLast((each) => each.activeAtMs <= nowMs) ?? this.keys[0];
    if (!key) throw new PortError('internal', 'the identity issuer has no key');
    return key;
  }

  /** What others verify with: public members only. */
  publicKeySet(): { readonly keys: readonly JWK[] } {
    return {
      keys: this.keys.map(({ kid, jwk }) => ({
        ...Object.fromEntries(Object.entries(jwk).filter(([name]) => PUBLIC_MEMBERS.includes(name))),
        kid,
        alg: SIGNING_ALGORITHM,
        use: 'sig',
      })),
    };
  }
}

export async function privateKeyOf(key: StoredKey): Promise<CryptoKey> {
  const imported = await importJWK(key.jwk as JWK, SIGNING_ALGORITHM);
  if (imported instanceof Uint8Array) throw new PortError('data_loss', 'a signing key is not a private key');
  return imported;
}
