import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import type { Exchange } from './tls-peer.ts';

export interface WireRequest {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export interface WireAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: string;
}

/** An answer of the service's own, one that never comes, or a connection that breaks. */
export type Fault = WireAnswer | 'hang' | 'reset';

/** An HTTP server that follows a service's published contract, in the process of the test, and can be told to fail. */
export class WireServer implements AsyncDisposable {
  readonly url: string;
  /** What came, faults included, the newest last. */
  readonly requests: WireRequest[] = [];
  /** What it was asked, and answered. */
  readonly exchanges: Exchange[] = [];
  readonly #server: Server;
  readonly #faults: Fault[] = [];

  static async start(answer: (request: WireRequest) => Promise<WireAnswer> | WireAnswer): Promise<WireServer> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new WireServer(server, answer);
  }

  private constructor(server: Server, answer: (request: WireRequest) => Promise<WireAnswer> | WireAnswer) {
    this.#server = server;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on('request', (incoming, response) => {
      void (async () => {
        const { method = '', url = '', headers } = incoming;
        const request = { method, path: url, headers, body: await buffer(incoming) };
        this.requests.push(request);
        const { status, headers: own, body } = await this.#answerOf(request, answer);
        const headersOut = { 'content-type': 'application/json', ...own };
        this.exchanges.push(exchangeOf(request, { status, headers: headersOut, body }));
        response.writeHead(status, headersOut);
        response.end(body);
      })().catch(() => incoming.socket.destroy());
    });
  }

  /** The next requests are answered so, one each, before any is answered as it should. */
  failNext(...faults: readonly Fault[]): void {
    this.#faults.push(...faults);
  }

  async #answerOf(
    request: WireRequest,
    answer: (request: WireRequest) => Promise<WireAnswer> | WireAnswer,
  ): Promise<WireAnswer> {
    const fault = this.#faults.shift();
    if (fault === 'reset') throw new Error('reset');
    if (fault === 'hang') return new Promise(() => undefined);
    return fault ?? answer(request);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }
}

function exchangeOf({ method, path, headers, body }: WireRequest, answer: WireAnswer): Exchange {
  return {
    request: { method, url: new URL(path, 'http://peer'), headers, body: body.toString() },
    answer: { status: answer.status, headers: answer.headers ?? {}, body: parsed(answer.body) },
  };
}

/** As JSON, where it is. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
