import { setTimeout as wait } from 'node:timers/promises';
import pRetry from 'p-retry';
import { z } from 'zod';

const CALL_MS = 60_000;
/** Of what is only read: a deployment that goes on at Google is not given up for a call that failed. */
const READ_AGAIN = { retries: 6, minTimeout: 1000, maxTimeout: 30_000, randomize: true };
const PASSING = [408, 429, 500, 502, 503, 504];

const operation = z.object({
  name: z.string(),
  done: z.boolean().optional(),
  error: z.object({ code: z.number(), message: z.string() }).optional(),
  response: z.unknown().optional(),
});
const refusal = z.object({ error: z.object({ status: z.string(), message: z.string() }) });

/** What Vertex AI answered that is no success. */
export class VertexAiError extends Error {
  readonly status: number;

  constructor(what: string, status: number, body: string) {
    const said = refusal.safeParse(parsed(body)).data?.error;
    super(`${what}: ${said ? `${said.status}: ${said.message}` : `HTTP ${status}: ${body.slice(0, 300)}`}`);
    this.status = status;
  }
}

interface ApiOptions {
  /** Of whoever deploys: `gcloud auth print-access-token`. */
  readonly token: string;
  /** `https://<region>-aiplatform.googleapis.com`. */
  readonly origin: string;
  /** Ends all waiting. */
  readonly signal: AbortSignal;
  /** Between two looks at something that goes on, at the most: the first come sooner. */
  readonly pollMs: number;
}

/** Version 1 of the API of Vertex AI, of which a release takes a few calls: https://cloud.google.com/vertex-ai/docs/reference/rest/v1 */
export class VertexAiApi {
  readonly #options: ApiOptions;

  constructor(options: ApiOptions) {
    this.#options = options;
  }

  /** Undefined where it is not there. @throws VertexAiError */
  async read<Schema extends z.ZodType>(name: string, schema: Schema): Promise<z.infer<Schema> | undefined> {
    try {
      return schema.parse(await this.#read(name));
    } catch (error) {
      if (error instanceof VertexAiError && error.status === 404) return undefined;
      throw error;
    }
  }

  /** Asks for something that takes its time, and waits until it is done. @throws VertexAiError; Error where it failed */
  async finish<Schema extends z.ZodType>(
    method: 'POST' | 'DELETE',
    name: string,
    body: object | undefined,
    schema: Schema,
  ): Promise<z.infer<Schema>> {
    const { signal, pollMs } = this.#options;
    let state = operation.parse(await this.#call(method, name, body));
    for (let delayMs = pollMs / 10; state.done !== true; delayMs = Math.min(2 * delayMs, pollMs)) {
      await wait(delayMs, undefined, { signal });
      state = operation.parse(await this.#read(state.name));
    }
    if (state.error) throw new Error(`${method} ${name} failed: ${state.error.message}`);
    return schema.parse(state.response);
  }

  #read(name: string): Promise<unknown> {
    return pRetry(() => this.#call('GET', name), {
      ...READ_AGAIN,
      signal: this.#options.signal,
      shouldRetry: ({ error }) => !(error instanceof VertexAiError) || PASSING.includes(error.status),
    });
  }

  async #call(method: string, name: string, body?: object): Promise<unknown> {
    const { status, text } = await this.#send(method, name, body);
    if (status >= 300) throw new VertexAiError(`${method} ${name}`, status, text);
    return parsed(text);
  }

  async #send(method: string, name: string, body?: object) {
    const { origin, token, signal } = this.#options;
    try {
      const answer = await fetch(`${origin}/v1/${name}`, {
        method,
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        ...(body !== undefined && { body: JSON.stringify(body) }),
        signal: AbortSignal.any([signal, AbortSignal.timeout(CALL_MS)]),
        redirect: 'error',
      });
      return { status: answer.status, text: await answer.text() };
    } catch (error) {
      const { cause = error } = error as { readonly cause?: unknown };
      throw new Error(`${method} ${name}: ${origin} did not answer: ${String(cause)}`, { cause: error });
    }
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
