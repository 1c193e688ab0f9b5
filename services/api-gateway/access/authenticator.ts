import type { IncomingMessage } from 'node:http';
import { isPortError } from '#core/errors.ts';
import type { DeviceRegistry } from '#core/ports/device-registry.ts';
import type { IdentityVerifier } from '#core/ports/identity-verifier.ts';
import { HttpProblem } from '../../shared/http/problem.ts';
import type { Principal } from './principal.ts';
import { cookieIn } from './session-cookie.ts';
import type { Sessions } from './sessions.ts';

const MAX_CREDENTIALS_LENGTH = 16_384;

/** Finds out who makes a request: a bearer token, a device's own credentials where the route takes them, or the page's session. */
export class Authenticator {
  readonly #verifier: IdentityVerifier;
  readonly #devices: DeviceRegistry;
  readonly #sessions: Sessions;
  readonly #cookieName: string;

  constructor(options: {
    readonly verifier: IdentityVerifier;
    readonly devices: DeviceRegistry;
    readonly sessions: Sessions;
    readonly cookieName: string;
  }) {
    this.#verifier = options.verifier;
    this.#devices = options.devices;
    this.#sessions = options.sessions;
    this.#cookieName = options.cookieName;
  }

  /** @throws HttpProblem unauthenticated, or unavailable where nobody can tell now. */
  async authenticate(request: IncomingMessage, options: { readonly devices: boolean }): Promise<Principal> {
    const { authorization } = request.headers;
    if (authorization === undefined) return this.#bySession(request);
    const [scheme = '', credentials = ''] = authorization.slice(0, MAX_CREDENTIALS_LENGTH).split(/ +/, 2);
    if (/^bearer$/i.test(scheme)) return this.#byToken(credentials);
    if (/^basic$/i.test(scheme) && options.devices) return this.#byDevice(credentials);
    throw unauthenticated(
      options.devices
        ? 'Authorization must be Bearer, or Basic for a device.'
        : 'Authorization must be a Bearer token here.',
    );
  }

  async #byToken(token: string): Promise<Principal> {
    try {
      const { subject, tenant, roles, expiresAtMs } = await this.#verifier.verify(token);
      return { kind: 'token', subject, tenant, roles, expiresAtMs };
    } catch (error) {
      if (isPortError(error) && error.code === 'permission_denied') {
        throw unauthenticated(`The bearer token is refused: ${error.message}.`);
      }
      throw error;
    }
  }

  async #byDevice(credentials: string): Promise<Principal> {
    const text = Buffer.from(credentials, 'base64').toString('utf8');
    const separator = text.indexOf(':');
    const id = text.slice(0, Math.max(0, separator));
    const device = await this.#devices.authenticate(id, text.slice(separator + 1));
    if (!device) {
      throw unauthenticated(
        'No enabled device has this id and secret.',
        'Check the id and the secret: npx tribo device list shows which are enabled, npx tribo device secret <id> replaces a lost secret.',
      );
    }
    const { tenant, machines } = device;
    return {
      kind: 'device',
      subject: device.id,
      tenant,
      roles: ['ingest'],
      expiresAtMs: Infinity,
      machines: new Set(machines),
    };
  }

  #bySession(request: IncomingMessage): Principal {
    const cookie = cookieIn(request.headers.cookie, this.#cookieName);
    const principal = cookie === undefined ? undefined : this.#sessions.read(cookie);
    if (!principal) throw unauthenticated('The request has no valid credentials.');
    return principal;
  }
}

function unauthenticated(
  detail: string,
  remedy = 'Send a valid token as "Authorization: Bearer ...", or sign in at the page with a one-time link (npx tribo token sign-in).',
): HttpProblem {
  return new HttpProblem('unauthenticated', { detail, remedy });
}
