import type { PortErrorCode } from '#core/errors.ts';

/** What a broker's reason codes mean (MQTT 5.0, 2.4). Others are `internal`. */
const CODES: Readonly<Record<number, PortErrorCode>> = {
  0x84: 'failed_precondition', // Unsupported Protocol Version
  0x85: 'invalid_argument', // Client Identifier not valid
  0x86: 'permission_denied', // Bad User Name or Password
  0x87: 'permission_denied', // Not authorized
  0x88: 'unavailable', // Server unavailable
  0x89: 'unavailable', // Server busy
  0x8a: 'permission_denied', // Banned
  0x8b: 'unavailable', // Server shutting down
  0x8c: 'permission_denied', // Bad authentication method
  0x8d: 'unavailable', // Keep Alive timeout
  0x8e: 'failed_precondition', // Session taken over
  0x8f: 'invalid_argument', // Topic Filter invalid
  0x90: 'invalid_argument', // Topic Name invalid
  0x93: 'resource_exhausted', // Receive Maximum exceeded
  0x95: 'invalid_argument', // Packet too large
  0x96: 'resource_exhausted', // Message rate too high
  0x97: 'resource_exhausted', // Quota exceeded
  0x9a: 'failed_precondition', // Retain not supported
  0x9b: 'failed_precondition', // QoS not supported
  0x9c: 'unavailable', // Use another server
  0x9d: 'unavailable', // Server moved
  0x9e: 'failed_precondition', // Shared Subscriptions not supported
  0x9f: 'resource_exhausted', // Connection rate exceeded
  0xa0: 'unavailable', // Maximum connect time
  0xa2: 'failed_precondition', // Wildcard Subscriptions not supported
};

/** The code of an error of the client: the broker's reason, an error of TLS, or of the network. */
export function codeOfMqttError(error: unknown): PortErrorCode {
  const { code, message } = (error ?? {}) as { readonly code?: unknown; readonly message?: unknown };
  if (typeof code === 'number') return CODES[code] ?? 'internal';
  if (typeof code === 'string') return codeOfNode(code);
  const isLost = error instanceof ConnectionLost || (typeof message === 'string' && LOST.test(message));
  return isLost ? 'unavailable' : 'internal';
}

/** Of Node: a certificate that one side does not accept, or the network. */
function codeOfNode(code: string): PortErrorCode {
  if (/^ERR_SSL_|^ERR_TLS_|CERT|SIGNATURE/.test(code)) return 'permission_denied';
  return /^E[A-Z_]+$/.test(code) ? 'unavailable' : 'internal';
}

/** What the client says of a connection that is gone or was never answered: without a code. */
const LOST = /^(client disconnecting|connack timeout|connection closed)/i;

/** The connection ended without a word of the broker. */
export class ConnectionLost extends Error {
  override readonly name = 'ConnectionLost';
}
