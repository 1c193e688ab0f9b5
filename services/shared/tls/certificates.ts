import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { messageOf, PortError } from '#core/errors.ts';
import type { Configuration } from '../config/settings.ts';

/** PEM texts of the certificate chain, the own certificate first, and its key. */
export interface TlsTexts {
  readonly cert: string;
  readonly key: string;
}

/** The certificate that this process's servers present, and how they come by the next one. */
export class Certificates {
  readonly #configuration: CertificateSettings;
  readonly #listeners: ((renewed: TlsTexts) => void)[] = [];
  #current: TlsTexts | undefined;

  /** @throws PortError failed_precondition, as {@link readTls}. */
  constructor(configuration: CertificateSettings) {
    this.#configuration = configuration;
    this.#current = readTls(configuration);
  }

  /** Undefined where there is no TLS. */
  get current(): TlsTexts | undefined {
    return this.#current;
  }

  /** Has a server present a renewed certificate to those who connect from then on. */
  readonly onRenewal = (listener: (renewed: TlsTexts) => void): void => void this.#listeners.push(listener);

  /** Reads the files again. @throws PortError as {@link readTls}: then the former certificate stays in use. */
  renew(): void {
    const renewed = readTls(this.#configuration);
    if (!renewed) return;
    this.#current = renewed;
    for (const listener of this.#listeners) listener(renewed);
  }
}

type CertificateSettings = Pick<Configuration, 'tlsCert' | 'tlsKey'>;

/**
 * What the two TLS settings name; undefined where neither is set.
 * @throws PortError failed_precondition: one without the other, not readable, no PEM, or a key of another certificate.
 */
export function readTls({ tlsCert, tlsKey }: CertificateSettings): TlsTexts | undefined {
  if (tlsCert === undefined && tlsKey === undefined) return undefined;
  if (tlsCert === undefined || tlsKey === undefined)
    throw new PortError('failed_precondition', 'TLS needs both TRIBO_TLS_CERT and TRIBO_TLS_KEY: set the other too');
  const texts = { cert: readPem(tlsCert, 'TRIBO_TLS_CERT'), key: readPem(tlsKey, 'TRIBO_TLS_KEY') };
  const certificate = parsed(`${tlsCert} holds no PEM certificate`, 'correct TRIBO_TLS_CERT', () =>
    ownCertificate(texts.cert),
  );
  const key = parsed(`${tlsKey} holds no PEM private key without a passphrase`, 'correct TRIBO_TLS_KEY', () =>
    createPrivateKey(texts.key),
  );
  if (!certificate.checkPrivateKey(key)) {
    throw new PortError(
      'failed_precondition',
      `${tlsKey} is not the key of ${tlsCert}: set TRIBO_TLS_CERT and TRIBO_TLS_KEY to files that were made together, the own certificate first in its chain`,
    );
  }
  parsed(`${tlsCert} and ${tlsKey} cannot be used for TLS`, 'have another certificate made', () =>
    createSecureContext(texts),
  );
  return texts;
}

/** The first certificate of a chain. */
export function ownCertificate(chain: string): X509Certificate {
  return new X509Certificate(chain);
}

/** @throws PortError failed_precondition, naming the variable. */
export function readPem(path: string, variable: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new PortError(
      'failed_precondition',
      `${path} cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown'}): correct ${variable}`,
      { cause: error },
    );
  }
}

function parsed<Value>(problem: string, remedy: string, parse: () => Value): Value {
  try {
    return parse();
  } catch (error) {
    throw new PortError('failed_precondition', `${problem} (${messageOf(error)}): ${remedy}`, { cause: error });
  }
}
