import { stringifySetCookie } from 'cookie';
import type { ApiGatewayConfig } from '../config.ts';

/** Over TLS the prefix makes browsers refuse a cookie of that name that a sibling host or plain HTTP has set. */
export function sessionCookieName({ tls }: Pick<ApiGatewayConfig, 'tls'>): string {
  return tls ? '__Host-tribo_session' : 'tribo_session';
}

/** The Set-Cookie value; a life of 0 takes the cookie away. */
export function sessionCookie(config: Pick<ApiGatewayConfig, 'tls'>, value: string, maxAgeMs: number): string {
  return stringifySetCookie(sessionCookieName(config), value, {
    httpOnly: true,
    sameSite: 'strict',
    secure: config.tls !== undefined,
    path: '/',
    maxAge: Math.floor(maxAgeMs / 1000),
  });
}
