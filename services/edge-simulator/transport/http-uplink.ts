import { PortError, throwIfAborted } from '#core/errors.ts';
import { certificateRemedy } from '#services/shared/tls/authority.ts';
import type { CallOptions, PortErrorCode } from '#core/errors.ts';
import { systemErrorCode } from '../system-error.ts';
import type { WaveformMessage } from '../messages.ts';
import { ThrottledError } from './uplink.ts';
import type { Batch, SendReceipt, Uplink } from './uplink.ts';

export interface HttpUplinkOptions {
  /** Origin of the gateway, for example `http://127.0.0.1:8080`. */
  readonly url: string;
  readonly site: string;
  /** Bearer token, or how to get the current one. */
  readonly token?: string | (() => string | Promise<string>);
  /** Old data on purpose: any age is accepted, and no live alarm is raised. */
  readonly imported?: boolean;
  readonly timeoutMs?: number;
}

/** POST /v1/telemetry and /v1/waveforms. Knows what became of every item, which MQTT does not tell. */
export class HttpUplink implements Uplink {
  /** Half of what an HTTP body may hold at the gateway's smallest setting, so that no batch is refused for its size. */
  readonly limits = { maxMessages: 1000, maxBytes: 512 * 1024 };
  /** Two requests travel on two connections and may overtake one another. */
  readonly pipelines = false;
  readonly #options: HttpUplinkOptions;
  readonly #closing = new AbortController();

  constructor(options: HttpUplinkOptions) {
    this.#options = options;
  }

  async send(batch: Batch, options: CallOptions = {}): Promise<SendReceipt> {
    throwIfAborted(options.signal);
    throwIfAborted(this.#closing.signal);
    const timeout = AbortSignal.timeout(this.#options.timeoutMs ?? 30_000);
    const stop = AbortSignal.any([this.#closing.signal, ...(options.signal ? [options.signal] : [])]);
    try {
      const response = await this.#post(batch, AbortSignal.any([stop, timeout]));
      const body = await response.text();
      if (!response.ok) throw responseError(response, body, batch.machine);
      return receipt(body);
    } catch (error) {
      if (error instanceof PortError) throw error;
      if (stop.aborted) throw new PortError('cancelled', 'the caller stopped waiting', { cause: error });
      if (timeout.aborted) throw new PortError('deadline_exceeded', `no answer from ${this.#options.url} in time`);
      const remedy = certificateRemedy(error);
      const what = remedy === undefined ? '' : `; ${remedy}`;
      throw new PortError('unavailable', `no connection to ${this.#options.url}: ${networkReason(error)}${what}`, {
        cause: error,
      });
    }
  }

  close(): Promise<void> {
    this.#closing.abort();
    return Promise.resolve();
  }

  async #post(batch: Batch, signal: AbortSignal): Promise<Response> {
    const { token } = this.#options;
    const bearer = typeof token === 'function' ? await token() : token;
    const authorization: Record<string, string> = bearer === undefined ? {} : { authorization: `Bearer ${bearer}` };
    const { path, contentType, body } = this.#request(batch);
    return fetch(new URL(path, this.#options.url), {
      method: 'POST',
      headers: { ...authorization, 'content-type': contentType },
      body,
      signal,
    });
  }

  #request(batch: Batch): { path: string; contentType: string; body: string | Uint8Array<ArrayBuffer> } {
    const { site, imported = false } = this.#options;
    if (batch.kind === 'telemetry') {
      const messages = batch.messages.map(({ json }) => json).join(',');
      return {
        path: imported ? '/v1/telemetry?import=true' : '/v1/telemetry',
        contentType: 'application/json',
        body: `{"site":${JSON.stringify(site)},"machine":${JSON.stringify(batch.machine)},"messages":[${messages}]}`,
      };
    }
    const query = waveformQuery(site, batch.machine, batch.sensor, batch.message);
    if (imported) query.set('import', 'true');
    return {
      path: `/v1/waveforms?${query.toString()}`,
      contentType: 'application/octet-stream',
      body: new Uint8Array(batch.message.samples),
    };
  }
}

function waveformQuery(site: string, machine: string, sensor: string, waveform: WaveformMessage): URLSearchParams {
  const { samples: _samples, ...description } = waveform;
  const query = new URLSearchParams({ site, machine, sensor });
  for (const [name, value] of Object.entries(description)) query.set(name, String(value));
  return query;
}

/** What each status means for the sender; anything else of 4xx will never be taken, anything else may pass later. */
const CODES: Readonly<Record<number, PortErrorCode>> = {
  401: 'permission_denied',
  403: 'permission_denied',
  // The address is wrong, not the message.
  404: 'failed_precondition',
  405: 'failed_precondition',
  408: 'unavailable',
  425: 'unavailable',
  429: 'resource_exhausted',
};

function responseError(response: Response, body: string, machine: string): PortError {
  const message = `${new URL(response.url).pathname} answered ${response.status} for ${machine}: ${problemText(body)}`;
  const code = CODES[response.status] ?? (response.status < 500 ? 'invalid_argument' : 'unavailable');
  const waitMs = parseRetryAfterMs(response.headers.get('retry-after'), Date.now());
  if (code === 'resource_exhausted' || (code === 'unavailable' && waitMs > 0))
    return new ThrottledError(message, waitMs);
  return new PortError(code, message);
}

/** Seconds or an HTTP date (RFC 9110, 10.2.3), in milliseconds from now; 0 when absent or not understood, an hour at most. */
export function parseRetryAfterMs(header: string | null, nowMs: number): number {
  if (header === null) return 0;
  const waitMs = /^\d+$/.test(header.trim()) ? Number(header) * 1000 : Date.parse(header) - nowMs;
  return Number.isFinite(waitMs) ? Math.min(Math.max(0, waitMs), 3_600_000) : 0;
}

/** The parts of a problem document (RFC 9457) that help, else the begin of the body. */
function problemText(body: string): string {
  const problem = parseObject(body);
  const parts = [problem['title'], problem['detail'], problem['remedy']].filter((part) => typeof part === 'string');
  return parts.length > 0 ? parts.join(' - ') : body.slice(0, 200);
}

function receipt(body: string): SendReceipt {
  const { duplicate, rejectedItems, rejected } = parseObject(body);
  const [first] = Array.isArray(rejected) ? (rejected as unknown[]) : [];
  return {
    duplicateItems: typeof duplicate === 'number' ? duplicate : 0,
    rejectedItems: typeof rejectedItems === 'number' ? rejectedItems : Array.isArray(rejected) ? rejected.length : 0,
    ...(first === undefined ? {} : { rejection: JSON.stringify(first) }),
  };
}

function parseObject(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

/** fetch hides the network's error as the cause of a TypeError. */
function networkReason(error: unknown): string {
  const { cause = error } = error as { cause?: unknown };
  const { message, name } = cause as Partial<Error>;
  return message || systemErrorCode(cause) || name || String(cause);
}
