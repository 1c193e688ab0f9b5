import { isPortError, PortError, type PortErrorCode } from '#core/errors.ts';

/** One call to a service of a cloud. */
export interface CloudCall {
  /** What is being done, for the message: `get waveforms/x of bucket y`. */
  readonly what: string;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** How long a call that was told to end may take to do so: to give up what it had begun, such as an upload. */
const ENDS_WITHIN_MS = 1_000;

/** Makes one call with a limit of time. Whatever it throws leaves as a PortError, with the SDK's error as its cause. */
export async function cloudCall<Result>(
  { what, timeoutMs, signal }: CloudCall,
  codeOf: (error: unknown) => PortErrorCode,
  call: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const timeout = AbortSignal.timeout(timeoutMs);
  const stopped = signal ? AbortSignal.any([signal, timeout]) : timeout;
  const throwIfStopped = (cause: unknown): void => {
    if (signal?.aborted) throw new PortError('cancelled', `${what}: the caller stopped waiting`, { cause });
    if (timeout.aborted)
      throw new PortError('deadline_exceeded', `${what}: no answer within ${timeoutMs} ms`, { cause });
  };
  throwIfStopped(signal?.reason);
  try {
    return await heededOrLeft(call(stopped), stopped);
  } catch (error) {
    if (isPortError(error)) throw error;
    throwIfStopped(error);
    throw new PortError(codeOf(error), `${what}: ${String(error)}`, { cause: error });
  }
}

/** Leaves a call behind that does not end when it is told to: SDKs ask for credentials before a request, and hear of no signal meanwhile. */
function heededOrLeft<Result>(call: Promise<Result>, signal: AbortSignal): Promise<Result> {
  const { promise, resolve, reject } = Promise.withResolvers<Result>();
  let leaving: NodeJS.Timeout | undefined;
  const stop = (): void => {
    leaving = setTimeout(() => reject(new Error('it does not end', { cause: signal.reason })), ENDS_WITHIN_MS);
  };
  signal.addEventListener('abort', stop, { once: true });
  const done = (): void => {
    signal.removeEventListener('abort', stop);
    clearTimeout(leaving);
  };
  call.finally(done).then(resolve, reject);
  return promise;
}

const CODE_OF_STATUS: Readonly<Record<number, PortErrorCode>> = {
  400: 'invalid_argument',
  401: 'permission_denied',
  403: 'permission_denied',
  404: 'not_found',
  408: 'unavailable',
  409: 'failed_precondition',
  412: 'failed_precondition',
  413: 'invalid_argument',
  429: 'resource_exhausted',
};

/** What an answer of HTTP means where the service's own name for the error says nothing more; without a status, whether it was the network. */
export function codeOfStatus(status: number | undefined, error: unknown): PortErrorCode {
  if (status === undefined) return isOfNetwork(error) ? 'unavailable' : 'internal';
  return CODE_OF_STATUS[status] ?? (status >= 500 ? 'unavailable' : 'internal');
}

/** Node's own errors of sockets and names have a code such as ECONNRESET. */
function isOfNetwork(error: unknown): boolean {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && /^E[A-Z_]+$/.test(error.code);
}
