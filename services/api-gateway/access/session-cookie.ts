import { parseCookie, stringifySetCookie } from 'cookie';
import type { ApiGatewayConfig } from '../config.ts';

type CookieConfig = Pick<ApiGatewayConfig, 'tls' | 'publicUrl'>;

/** Whether people come by TLS, which the gateway ends itself, or something before it. */
function isByTls({ tls, publicUrl }: CookieConfig): boolean {
  return tls !== undefined || publicUrl?.startsWith('https:') === true;
}

const MAX_COOKIES_LENGTH = 16_384;

/** The value of a cookie in a Cookie header. */
export function cookieIn(header: string | undefined, name: string): string | undefined {
  return parseCookie((header ?? '').slice(0, MAX_COOKIES_LENGTH))[name];
}

/** Over TLS the prefix makes browsers refuse a cookie of that name that a sibling host or plain HTTP has set. */
export function sessionCookieName(config: CookieConfig): string {
  return isByTls(config) ? '__Host-tribo_session' : 'tribo_session';
}

/** The Set-Cookie value; a life of 0 takes the cookie away. */
export function sessionCookie(config: CookieConfig, value: string, maxAgeMs: number): string {
  return setCookie(config, sessionCookieName(config), value, 'strict', maxAgeMs);
}

/** As {@link sessionCookieName}, of the cookie that remembers a sign-in that was begun. */
export function signInCookieName(config: CookieConfig): string {
  return isByTls(config) ? '__Host-tribo_sign_in' : 'tribo_sign_in';
}

/** As {@link sessionCookie}. The browser comes back from another site, and must have it then. */
export function signInCookie(config: CookieConfig, value: string, maxAgeMs: number): string {
  return setCookie(config, signInCookieName(config), value, 'lax', maxAgeMs);
}

function setCookie(
  config: CookieConfig,
  name: string,
  value: string,
  sameSite: 'strict' | 'lax',
  maxAgeMs: number,
): string {
  return stringifySetCookie(name, value, {
    ...{ httpOnly: true, sameSite, secure: isByTls(config), path: '/' },
    maxAge: Math.floor(maxAgeMs / 1000),
  });
}
