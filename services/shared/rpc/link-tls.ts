import { hkdfSync } from 'node:crypto';
import { addAbortSignal } from 'node:stream';
import { connect, type ConnectionOptions, type TLSSocket, type TlsOptions } from 'node:tls';
import { isPortError, PortError } from '#core/errors.ts';
import { isWebSocket, type LinkAddress } from './link-address.ts';
import { dialWebSocket } from './link-websocket.ts';

/**
 * TLS 1.3 with a key that both sides have (RFC 8446, 2.2), and keys of its own for each connection. Certificates would need an authority, renewal
 * and names that fit whatever a cloud calls its copies; and who may be a service of the site is one question, as all of them share the database.
 */
const ONE_VERSION = { minVersion: 'TLSv1.3', maxVersion: 'TLSv1.3', ciphers: 'TLS_AES_128_GCM_SHA256' } as const;
const IDENTITY = 'tribo';
const KEY_BYTES = 32;
const STANDS_WITHIN_MS = 5000;

/** What TLS makes of a text that is hard to guess. */
export function linkKeyOf(text: string): Buffer {
  return Buffer.from(hkdfSync('sha256', text, '', 'tribo links', KEY_BYTES));
}

/** For those who have the key, and nobody else: there is no certificate. */
export function serverTls(key: Buffer): TlsOptions {
  return {
    ...ONE_VERSION,
    handshakeTimeout: STANDS_WITHIN_MS,
    pskCallback: (_socket, identity) => (identity === IDENTITY ? key : null),
  };
}

/** A connection to somebody who has the same key; the signal ends it, and also while it is made. @throws PortError unavailable, with what is wrong. */
export async function connectByKey(address: LinkAddress, key: Buffer, signal: AbortSignal): Promise<TLSSocket> {
  if (!isWebSocket(address)) return connectOver({ host: address.host, port: address.port }, key, signal);
  try {
    const stream = await dialWebSocket(address.url, STANDS_WITHIN_MS, signal);
    return await connectOver({ socket: stream }, key, signal);
  } catch (error) {
    if (isPortError(error) || !(error instanceof Error)) throw error;
    throw new PortError('unavailable', whyNot(error), { cause: error });
  }
}

function connectOver(
  way: Pick<ConnectionOptions, 'host' | 'port' | 'socket'>,
  key: Buffer,
  signal: AbortSignal,
): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const options: ConnectionOptions = {
      ...ONE_VERSION,
      ...way,
      // By no certificate, whoever signed it.
      ca: [],
      pskCallback: () => ({ psk: key, identity: IDENTITY }),
      checkServerIdentity: () => undefined,
    };
    const socket = connect(options);
    addAbortSignal(signal, socket);
    const fail = (why: string, cause?: unknown): void => {
      reject(new PortError('unavailable', why, { cause }));
      socket.destroy();
    };
    const overdue = setTimeout(() => fail(`no answer within ${STANDS_WITHIN_MS} ms`), STANDS_WITHIN_MS);
    // A client that only waits for a server must not keep its process alive.
    socket.unref();
    socket.on('error', (error: Error) => fail(whyNot(error), error));
    socket.on('close', () => {
      clearTimeout(overdue);
      reject(new PortError('unavailable', 'the connection was closed at once'));
    });
    socket.once('secureConnect', () => {
      clearTimeout(overdue);
      if (Object.keys(socket.getPeerCertificate()).length > 0) fail('it has a certificate in place of the key');
      else resolve(socket);
    });
  });
}

const ANOTHER_KEY = 'it has another key: TRIBO_LINK_KEY, or what TRIBO_LINK_KEY_FILE holds, must be the same there';
const NO_KEY = 'it does not show the key of the links';
const NO_TLS = 'it does not speak TLS';

/** By the codes of OpenSSL: what a client, or a server, finds of the other. */
const REASONS: Readonly<Record<string, string>> = {
  ERR_SSL_TLSV1_ALERT_DECRYPT_ERROR: ANOTHER_KEY,
  ERR_SSL_BINDER_DOES_NOT_VERIFY: ANOTHER_KEY,
  ERR_SSL_NO_SUITABLE_SIGNATURE_ALGORITHM: NO_KEY,
  'ERR_SSL_SSL/TLS_ALERT_HANDSHAKE_FAILURE': NO_KEY,
  ERR_SSL_NO_SHARED_CIPHER: NO_KEY,
  ERR_SSL_UNSUPPORTED_PROTOCOL: NO_KEY,
  ERR_SSL_WRONG_VERSION_NUMBER: NO_TLS,
  ERR_SSL_HTTP_REQUEST: NO_TLS,
  ERR_SSL_PACKET_LENGTH_TOO_LONG: NO_TLS,
  ECONNREFUSED: 'nothing listens there',
  ENOTFOUND: 'the name is not known',
};

/** Why a connection came to nothing. */
export function whyNot(error: Error): string {
  const code = 'code' in error ? String(error.code) : '';
  return REASONS[code] ?? (code || error.message);
}
