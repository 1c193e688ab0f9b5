import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import type { Configuration } from '../config/settings.ts';
import { ownCertificate, type TlsTexts } from './certificates.ts';

/**
 * The file with the authority that clients of this platform are to trust, as an absolute path: the configured one, else a certificate that is
 * its own authority; undefined where systems know the authority, or there is no TLS.
 */
export function authorityFile(
  { tlsCert, tlsCaFile }: Pick<Configuration, 'tlsCert' | 'tlsCaFile'>,
  tls: TlsTexts | undefined,
): string | undefined {
  if (tlsCaFile !== undefined) return resolve(tlsCaFile);
  return tlsCert !== undefined && tls && isSelfSigned(tls.cert) ? resolve(tlsCert) : undefined;
}

function isSelfSigned(chain: string): boolean {
  const certificate = ownCertificate(chain);
  return certificate.checkIssued(certificate) && certificate.verify(certificate.publicKey);
}

const known = getCACertificates('default');
let trusted: string | undefined;

/**
 * Has this whole process trust the authorities in the file, besides those that it trusts anyway, in the connections that it makes from now on.
 * A file that changed is read again by the next call. @throws the error of the file system.
 */
export function trustAuthority(path: string): void {
  const pem = readFileSync(path, 'utf8');
  if (pem === trusted) return;
  setDefaultCACertificates([...known, pem]);
  trusted = pem;
}

/** By the code of the error with which a connection ended, before anything was sent. */
const REMEDIES: Readonly<Record<string, string>> = {
  ERR_TLS_CERT_ALTNAME_INVALID:
    'use an address that the certificate names, set TRIBO_PUBLIC_URL to it where the platform runs, or have a certificate made for this one',
  CERT_HAS_EXPIRED: 'renew the certificate, then send the platform SIGHUP',
  CERT_NOT_YET_VALID: 'set the clock right, here or where the certificate was made',
  ...Object.fromEntries(
    [
      'DEPTH_ZERO_SELF_SIGNED_CERT',
      'SELF_SIGNED_CERT_IN_CHAIN',
      'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
      'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
      'UNABLE_TO_GET_ISSUER_CERT',
      'CERT_SIGNATURE_FAILURE',
    ].map((code) => [code, 'set TRIBO_TLS_CA_FILE to the certificate of the authority that issued the platform’s']),
  ),
};

/** What to do about a certificate that was not accepted; undefined for an error of another kind. */
export function certificateRemedy(error: unknown): string | undefined {
  const { cause, code } = (error ?? {}) as { readonly cause?: unknown; readonly code?: unknown };
  const own = typeof code === 'string' ? REMEDIES[code] : undefined;
  return own ?? (cause === undefined ? undefined : certificateRemedy(cause));
}
