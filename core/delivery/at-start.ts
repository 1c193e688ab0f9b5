import { isPortError, isRetryable, type CallOptions } from '../errors.ts';
import type { StreamName } from '../domain/event.ts';
import type { EventStream } from '../ports/event-stream.ts';
import { retry } from './retry.ts';

/** Within some seconds: whoever starts a service with a wrong address is told so. */
const AT_START = { maxAttempts: 8, firstDelayMs: 50, longestDelayMs: 2000 };

/**
 * Makes a call without which a service does not start, again where a connection broke or the other side is too busy: a single one of these
 * ends no process. What has no answer in its time is told at once, as it was waited for already.
 */
export function atStart<Result>(call: () => Promise<Result>, options: CallOptions = {}): Promise<Result> {
  const mayPass = (error: unknown): boolean =>
    isRetryable(error) && isPortError(error) && error.code !== 'deadline_exceeded';
  return retry(call, AT_START, { ...options, mayPass });
}

/** Declares the group as a service that starts does. */
export function declareGroup(stream: EventStream, name: StreamName, group: string): Promise<void> {
  return atStart(() => stream.declareGroup(name, group));
}
