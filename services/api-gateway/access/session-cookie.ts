import { stringifySetCookie } from 'cookie';
import type { ApiGatewayConfig } from '../config.ts';

type CookieConfig = Pick<ApiGatewayConfig, 'tls' | 'publicUrl'>;

/** Whether people come by TLS, which the gateway ends itself, or something before it. */
function isByTls({ tls, publicUrl }: CookieConfig): boolean {
  return tls !== undefined || publicUrl?.startsWith('https:') === true;
}

/** Over TLS the prefix makes browsers refuse a cookie of that name that a sibling host or plain HTTP has set. */
export function sessionCookieName(config: CookieConfig): string {
  return isByTls(config) ? '__Host-tribo_session' : 'tribo_session';
}

/** The Set-Cookie value; a life of 0 takes the cookie away. */
export function sessionCookie(config: CookieConfig, value: string, maxAgeMs: number): string {
  return stringifySetCookie(sessionCookieName(config), value, {
    httpOnly: true,
    sameSite: 'strict',
    secure: isByTls(config),
    path: '/',
    maxAge: Math.floor(maxAgeMs / 1000),
  });
}
