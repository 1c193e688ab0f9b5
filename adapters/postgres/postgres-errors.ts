import { isPortError, PortError, type PortErrorCode } from '#core/errors.ts';

/** What SQLSTATEs mean (Appendix A of PostgreSQL's manual): by the whole code, else by its class. What is not listed is `internal`. */
const CODE_OF_STATE: Readonly<Record<string, PortErrorCode>> = {
  '08': 'unavailable', // connection exception
  '0A': 'unimplemented',
  '22': 'invalid_argument', // data exception
  '23': 'failed_precondition', // integrity constraint violation
  '23505': 'already_exists',
  '25006': 'unavailable', // read-only transaction: the server became a standby
  '25P03': 'unavailable', // idle in a transaction for too long
  '28': 'permission_denied', // invalid authorization
  '3D000': 'failed_precondition', // no such database
  '3F000': 'failed_precondition', // no such schema
  '40': 'unavailable', // serialization failure, deadlock: the transaction was rolled back
  '42501': 'permission_denied',
  '42P01': 'failed_precondition', // no such table
  '53': 'resource_exhausted', // disk full, out of memory, too many connections
  '54': 'invalid_argument', // a limit of PostgreSQL
  '55': 'failed_precondition',
  '55P03': 'unavailable', // another held the lock for too long
  '57': 'unavailable', // shut down, crashed, not up yet
  '57014': 'deadline_exceeded', // statement_timeout
  '58': 'unavailable', // system error
  XX001: 'data_loss',
  XX002: 'data_loss',
};

/** Errors of the client's own have no code: by how their messages begin. */
const CODE_OF_MESSAGE: readonly (readonly [begin: string, code: PortErrorCode])[] = [
  ['Query read timeout', 'deadline_exceeded'],
  ['timeout exceeded when trying to connect', 'unavailable'],
  ['timeout expired', 'unavailable'],
  ['Connection terminated', 'unavailable'],
  ['Client has encountered a connection error', 'unavailable'],
  ['Client was closed', 'unavailable'],
  ['The server does not support SSL', 'failed_precondition'],
  ['Cannot use a pool after calling end', 'failed_precondition'],
  ['SASL', 'permission_denied'], // no password was given
];

/** What to do where the connection is refused for its TLS, of which neither side says a setting: by the error's code and message. */
const REMEDIES: readonly (readonly [sign: RegExp, remedy: string])[] = [
  [/^ERR_TLS_CERT_ALTNAME_INVALID /, 'set host to a name of the certificate'],
  [/^(UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_)/, 'set tlsCaFile to the PEM file of the authority that issued it'],
  [/^The server does not support SSL/, 'switch on ssl at the server; set tls to off only on loopback'],
  [
    /^28000 .*pg_hba\.conf.*(no encryption|SSL off)$/,
    'set tls to verify-full: the server may refuse what comes in clear',
  ],
];

/** Gives an error of `pg` its code; leaves a PortError as it is. */
export function postgresPortError(error: unknown): PortError {
  if (isPortError(error)) return error;
  const state = stateOf(error);
  const detail = `${state === undefined ? '' : `${state} `}${messageOf(error)}`;
  return new PortError(codeOf(error, state), `PostgreSQL: ${detail}${remedyOf(error)}`, { cause: error });
}

function remedyOf(error: unknown): string {
  const code = errorCode(error);
  const words = `${code === undefined ? '' : `${code} `}${messageOf(error)}`;
  const remedy = REMEDIES.find(([sign]) => sign.test(words))?.[1];
  return remedy === undefined ? '' : `; ${remedy}`;
}

/** Whether the server answered with this error, so that the connection can be used again; else what became of it is unknown. */
export function isOfServer(error: unknown): boolean {
  const state = stateOf(error);
  return state !== undefined && !/^(08|57P|25P03)/.test(state);
}

function codeOf(error: unknown, state: string | undefined): PortErrorCode {
  if (state !== undefined) return CODE_OF_STATE[state] ?? CODE_OF_STATE[state.slice(0, 2)] ?? 'internal';
  const message = messageOf(error);
  const known = CODE_OF_MESSAGE.find(([begin]) => message.startsWith(begin));
  if (known) return known[1];
  const code = errorCode(error);
  if (code === undefined) return 'internal';
  if (/^E[A-Z]+(_[A-Z]+)?$/.test(code) && !code.startsWith('ERR_')) return 'unavailable'; // of the network
  return /^ERR_TLS_|CERT|SIGNATURE|ISSUER/.test(code) ? 'permission_denied' : 'internal';
}

/** Five characters, and only where the server speaks. */
function stateOf(error: unknown): string | undefined {
  const code = errorCode(error);
  return code !== undefined && /^[0-9A-Z]{5}$/.test(code) && 'severity' in (error as object) ? code : undefined;
}

function errorCode(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** By shape, because an error of Node's own modules may come from another realm than ours. Several addresses that failed are several errors. */
function messageOf(error: unknown): string {
  if (typeof error !== 'object' || error === null) return String(error);
  if ('errors' in error && Array.isArray(error.errors)) return error.errors.map(messageOf).join('; ');
  return 'message' in error ? String(error.message) : 'the database failed';
}
