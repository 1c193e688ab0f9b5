import { once } from 'node:events';
import { createServer } from 'node:https';
import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { selfSignedCertificate } from '#test/support/self-signed-certificate.ts';

/** An answer of a service: JSON, where it has a body. */
export interface PeerAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

export interface PeerRequest {
  readonly method: string;
  readonly url: URL;
  readonly headers: IncomingMessage['headers'];
  /** The text of it. */
  readonly body: string;
}

/** What it was asked, and answered. */
export interface Exchange {
  readonly request: PeerRequest;
  readonly answer: PeerAnswer;
}

/** What the peer answers instead of what it would, and `hanging` for nothing at all. */
export type Disturbance = PeerAnswer | 'hanging';

/** A service that speaks JSON over HTTPS on loopback, under a certificate of its own, in the process of the test. */
export class TlsPeer implements AsyncDisposable {
  readonly url: string;
  /** What a client of it has to trust. */
  readonly ca: string;
  /** From now on. */
  disturbance: Disturbance | undefined;
  readonly exchanges: Exchange[] = [];
  /** Is waited for before a request is answered. */
  before: () => Promise<void> = async () => undefined;
  readonly #server: ReturnType<typeof createServer>;

  static async start(answer: (request: PeerRequest, origin: string) => PeerAnswer): Promise<TlsPeer> {
    const { cert, key } = selfSignedCertificate();
    const server = createServer({ cert, key });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    return new TlsPeer(server, cert, answer);
  }

  private constructor(
    server: ReturnType<typeof createServer>,
    ca: string,
    answer: (request: PeerRequest, origin: string) => PeerAnswer,
  ) {
    this.#server = server;
    this.ca = ca;
    this.url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on('request', (request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      const respond = async () => {
        await this.before();
        const body = Buffer.concat(chunks).toString();
        const { method = '', url = '', headers } = request;
        const whole = { method, url: new URL(url, this.url), headers, body };
        if (this.disturbance === 'hanging') return;
        const answered = this.disturbance ?? answer(whole, this.url);
        this.exchanges.push({ request: whole, answer: answered });
        const { status, headers: given = {}, body: json } = answered;
        response.writeHead(status, { 'content-type': 'application/json; charset=utf-8', ...given });
        response.end(json === undefined ? undefined : JSON.stringify(json));
      };
      request.on('end', () => void respond());
    });
  }

  /** Cuts what is open; idempotent. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }
}
