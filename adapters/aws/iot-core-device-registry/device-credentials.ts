import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto';

/** What a device signs in with. */
export interface DeviceCredentials {
  /** PEM. */
  readonly certificate: string;
  readonly key: string;
}

const CREDENTIALS =
  /^(-----BEGIN CERTIFICATE-----\n[A-Za-z0-9+/=\n]+-----END CERTIFICATE-----\n)(-----BEGIN ((?:RSA |EC )?PRIVATE KEY)-----\n[A-Za-z0-9+/=\n]+-----END \3-----\n)$/;
const MAX_CHARACTERS = 16_384;

/** One text of both, as it is shown once. */
export function credentialsText({ certificate, key }: DeviceCredentials): string {
  return `${certificate.trimEnd()}\n${key.trimEnd()}\n`;
}

/** The credentials of such a text, where it is one and the key is the certificate's. */
export function parseCredentials(text: string): DeviceCredentials | undefined {
  const [, certificate, key] = (text.length <= MAX_CHARACTERS && CREDENTIALS.exec(text)) || [];
  if (certificate === undefined || key === undefined) return undefined;
  try {
    const ofKey = createPublicKey(createPrivateKey(key));
    return new X509Certificate(certificate).publicKey.equals(ofKey) ? { certificate, key } : undefined;
  } catch {
    return undefined;
  }
}
