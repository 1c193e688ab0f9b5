import type { Problem } from '#services/shared/http/problem-types.ts';
import { SITE, type PlatformProcess } from './platform-process.ts';

export interface HttpAnswer {
  readonly status: number;
  readonly retryAfterS: number | undefined;
  /** Of an answer that is not a 2xx. */
  readonly problem: Problem | undefined;
  readonly body: unknown;
}

/** Sends messages of one machine by HTTP, as an integrator would. */
export function sendTelemetry(
  platform: PlatformProcess,
  machine: string,
  messages: readonly object[],
): Promise<HttpAnswer> {
  return request(platform, '/v1/telemetry', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ site: SITE, machine, messages }),
  });
}

/** Any request with the token of the platform's own administrator, unless it brings another. */
export async function request(platform: PlatformProcess, path: string, init: RequestInit = {}): Promise<HttpAnswer> {
  const headers = new Headers(init.headers);
  if (!headers.has('authorization')) headers.set('authorization', `Bearer ${platform.api.token}`);
  const response = await fetch(new URL(path, platform.url), { ...init, headers });
  const text = await response.text();
  const isJson = /json/.test(response.headers.get('content-type') ?? '');
  const body: unknown = isJson && text !== '' ? JSON.parse(text) : text;
  const retryAfter = response.headers.get('retry-after');
  return {
    status: response.status,
    retryAfterS: retryAfter === null ? undefined : Number(retryAfter),
    problem: response.ok ? undefined : (body as Problem),
    body,
  };
}

/** Why the platform says that it is not ready, by the part that says so; empty when it is. */
export function unreadiness(platform: PlatformProcess): Promise<Readonly<Record<string, string>>> {
  return reasonsOf(platform, false);
}

/** What the platform says calls for attention although it is ready, by the part that says so. */
export function attention(platform: PlatformProcess): Promise<Readonly<Record<string, string>>> {
  return reasonsOf(platform, true);
}

async function reasonsOf(platform: PlatformProcess, isOk: boolean): Promise<Readonly<Record<string, string>>> {
  const { checks } = (await request(platform, '/health/ready')).body as {
    readonly checks: readonly { readonly name: string; readonly ok: boolean; readonly reason?: string }[];
  };
  return Object.fromEntries(checks.filter(({ ok }) => ok === isOk).map(({ name, reason }) => [name, reason ?? '']));
}
