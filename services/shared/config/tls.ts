import { readFileSync } from 'node:fs';
import { PortError } from '#core/errors.ts';
import type { Configuration } from './settings.ts';

/** PEM texts of the certificate chain and its key. */
export interface TlsTexts {
  readonly cert: string;
  readonly key: string;
}

/** What the two TLS settings name; undefined where neither is set. @throws PortError failed_precondition: one without the other, or not readable. */
export function readTls({ tlsCert, tlsKey }: Pick<Configuration, 'tlsCert' | 'tlsKey'>): TlsTexts | undefined {
  if (tlsCert === undefined && tlsKey === undefined) return undefined;
  if (tlsCert === undefined || tlsKey === undefined)
    throw new PortError('failed_precondition', 'TLS needs both TRIBO_TLS_CERT and TRIBO_TLS_KEY: set the other too');
  return { cert: readPem(tlsCert, 'TRIBO_TLS_CERT'), key: readPem(tlsKey, 'TRIBO_TLS_KEY') };
}

function readPem(path: string, variable: string): string {
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
