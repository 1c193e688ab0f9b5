import { messageOf, PortError, type PortErrorCode } from '#core/errors.ts';
import { codeOfStatus } from './cloud-call.ts';

/** An answer of HTTP other than success. */
export class HttpAnswerError extends Error {
  readonly status: number;
  readonly headers: Headers;
  readonly body: string;

  constructor(status: number, headers: Headers, body: string) {
    super(`HTTP ${status}: ${body.slice(0, 500)}`);
    this.status = status;
    this.headers = headers;
    this.body = body;
  }
}

/** For services that have no SDK of their own: one attempt. @throws HttpAnswerError; PortError unavailable where no whole answer came. */
export async function postJson(
  url: string,
  body: string,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<string> {
  try {
    const given = { 'content-type': 'application/json', ...headers };
    const answer = await fetch(url, { method: 'POST', headers: given, body, signal, redirect: 'error' });
    const text = await answer.text();
    if (answer.ok) return text;
    throw new HttpAnswerError(answer.status, answer.headers, text);
  } catch (error) {
    if (error instanceof HttpAnswerError || signal.aborted) throw error;
    // All else that fetch throws is of the network, of TLS or of the protocol, and has its cause.
    const { cause = error } = error as Error;
    throw new PortError('unavailable', `${new URL(url).host} did not answer: ${messageOf(cause)}`, { cause: error });
  }
}

/** What an error of {@link postJson} means: by its status, or else, where it is another's, as that has it. */
export function codeOfAnswer(error: unknown, codeOfOther: (error: unknown) => PortErrorCode): PortErrorCode {
  return error instanceof HttpAnswerError ? codeOfStatus(error.status, error) : codeOfOther(error);
}
