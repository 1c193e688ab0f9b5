import { Agent, request as send, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { startHttpReceiver, type HttpReceiver } from '../support/http-receiver.ts';
import type { WireRequest } from './wire-server.ts';

export interface WireAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders | Readonly<Record<string, string>>;
  readonly body: Buffer;
}

/** What becomes of a request: `pass` hands it, or another in its place, to the peer. */
export type WireFault = (
  request: WireRequest,
  pass: (changed?: Partial<WireRequest>) => Promise<WireAnswer>,
) => Promise<WireAnswer | 'cut'>;

/** As if nothing were between. */
export const noFault: WireFault = (_request, pass) => pass();
/** The connection ends before the peer sees the request. */
export const cutBefore: WireFault = async () => 'cut';
/** The peer does it, and its answer is lost. */
export const cutAfter: WireFault = async (_request, pass) => {
  await pass();
  return 'cut';
};
/** The peer does it, and its answer is late. */
export const late =
  (ms: number): WireFault =>
  async (_request, pass) => {
    const answer = await pass();
    await sleep(ms, undefined, { ref: false });
    return answer;
  };
/** Something before the peer answers in its place. */
export const answered =
  (status: number, body: string, headers: Readonly<Record<string, string>> = {}): WireFault =>
  async () => ({ status, headers, body: Buffer.from(body) });

/** Of contracts that ask for a service that is out of order, never answers, or is gone. */
export const SEEMING: Readonly<Record<'failing' | 'hanging' | 'gone', WireFault>> = {
  failing: answered(503, ''),
  hanging: () => new Promise(() => undefined),
  gone: cutBefore,
};

/** Stands between an adapter and a peer that speaks HTTP, and does to each request what `fault` says. */
export class HttpFaults implements AsyncDisposable {
  readonly #server: HttpReceiver;
  readonly #agent: Agent;
  readonly #set: (fault: WireFault) => void;

  static async start(target: string): Promise<HttpFaults> {
    const agent = new Agent({ keepAlive: true });
    let fault = noFault;
    const server = await startHttpReceiver(({ method = 'GET', url: path = '/', headers }, response, body) => {
      const request = { method, path, headers, body };
      const pass = (changed: Partial<WireRequest> = {}) => forward(target, agent, { ...request, ...changed });
      void fault(request, pass).then(
        (answer) => respond(response, answer),
        () => response.destroy(),
      );
    });
    return new HttpFaults(server, agent, (next) => (fault = next));
  }

  private constructor(server: HttpReceiver, agent: Agent, set: (fault: WireFault) => void) {
    this.#server = server;
    this.#agent = agent;
    this.#set = set;
  }

  /** Without a path. */
  get endpoint(): string {
    return this.#server.url;
  }

  /** Of every request from now on. */
  set fault(fault: WireFault) {
    this.#set(fault);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server[Symbol.asyncDispose]();
    this.#agent.destroy();
  }
}

function respond(response: ServerResponse, answer: WireAnswer | 'cut'): void {
  if (answer === 'cut') {
    response.destroy();
    return;
  }
  const { 'transfer-encoding': _chunked, connection: _connection, 'keep-alive': _idle, ...headers } = answer.headers;
  // Of a HEAD request the length is the object's.
  const length =
    answer.body.length > 0 || !('content-length' in headers) ? { 'content-length': answer.body.length } : {};
  response.writeHead(answer.status, { ...headers, ...length }).end(answer.body);
}

function forward(target: string, agent: Agent, { method, path, headers, body }: WireRequest): Promise<WireAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<WireAnswer>();
  const { 'transfer-encoding': _chunked, connection: _connection, expect: _expect, ...rest } = headers;
  const options = { method, agent, headers: { ...rest, 'content-length': String(body.length) } };
  const sent = send(new URL(path, target), options, (answer) => {
    const chunks: Buffer[] = [];
    answer.on('data', (chunk: Buffer) => chunks.push(chunk));
    answer.on('error', reject);
    answer.on('end', () =>
      resolve({ status: answer.statusCode ?? 500, headers: answer.headers, body: Buffer.concat(chunks) }),
    );
  });
  sent.on('error', reject).end(body);
  return promise;
}
