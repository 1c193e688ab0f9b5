import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

/**
 * 256 random bits. Nobody chooses them, so there is nothing to guess that a slow hash would have to protect: a plain SHA-256 of the
 * secret is as hard to invert as the secret is to find, and it lets thousands of devices connect in a second where scrypt takes
 * about 50 ms each.
 */
export function generateDeviceSecret(): string {
  return randomBytes(32).toString('base64url');
}

export function hashDeviceSecret(secret: string): Uint8Array {
  return createHash('sha256').update(secret).digest();
}

/** Compares in constant time; an absent hash takes as long as a wrong one. */
export function isDeviceSecret(secret: string, hash: Uint8Array | undefined): boolean {
  return timingSafeEqual(hashDeviceSecret(secret), hash ?? NO_HASH) && hash !== undefined;
}

const NO_HASH = new Uint8Array(32);
