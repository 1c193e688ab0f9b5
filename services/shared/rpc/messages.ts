import { codeOf, messageOf, PortError, type PortErrorCode } from '#core/errors.ts';

/**
 * So many calls of one connection are under way at once: kept by whoever calls, and held to by whoever answers, for whom one that was cancelled
 * counts until its method has ended.
 */
export const MAX_CALLS_UNDER_WAY = 10_000;

export type Request =
  | {
      readonly type: 'call';
      readonly id: number;
      /** Whose method it is, where several ports are answered at one place. */
      readonly port?: string;
      readonly method: string;
      readonly arguments: readonly unknown[];
      readonly withSignal: boolean;
    }
  | { readonly type: 'cancel'; readonly id: number }
  /** Whether the server lives: a call may take as long as it needs, an answer to this may not. */
  | { readonly type: 'ping' };

export type Response =
  | { readonly type: 'result'; readonly id: number; readonly value: unknown }
  | { readonly type: 'error'; readonly id: number; readonly code: PortErrorCode; readonly message: string }
  /** Nothing was done: the port is not offered there, or not yet. */
  | { readonly type: 'absent'; readonly id: number }
  /** The first thing that a copy of a service says over a link: which one it is. */
  | { readonly type: 'hello'; readonly copy: string }
  | { readonly type: 'pong' };

/** What an error is on the other side: its code and message. Anything but a port error is `internal`. */
export function encodeError(id: number, error: unknown): Extract<Response, { type: 'error' }> {
  return { type: 'error', id, code: codeOf(error), message: messageOf(error) };
}

export function decodeError(response: Extract<Response, { type: 'error' }>): PortError {
  return new PortError(response.code, response.message);
}
