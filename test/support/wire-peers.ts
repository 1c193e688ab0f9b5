import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { Aedes } from 'aedes';
import { startHttpReceiver } from './http-receiver.ts';

/** A real MQTT broker for tests: what it acknowledged stands in `published`, in order. */
export interface TestBroker {
  readonly url: string;
  readonly port: number;
  readonly published: { topic: string; payload: string; retain: boolean; clientId: string | undefined }[];
  /** Ids of all telemetry messages and waveforms it acknowledged, in order, duplicates included. */
  readonly ids: () => string[];
  /** Cuts all connections as a crash does. */
  readonly cut: () => void;
  readonly stop: () => Promise<void>;
}

export interface TestBrokerOptions {
  readonly port?: number;
  /** Device id to secret; absent: anybody. */
  readonly secrets?: Readonly<Record<string, string>>;
  /** How long it thinks before each PUBACK. */
  readonly acknowledgeAfterMs?: number;
}

export async function startBroker(options: TestBrokerOptions = {}): Promise<TestBroker> {
  const { secrets, acknowledgeAfterMs = 0 } = options;
  const published: TestBroker['published'] = [];
  const aedes = await Aedes.createBroker({
    authenticate: (client, username, password, done) => {
      const known = secrets === undefined || (client.id === username && secrets[client.id] === password?.toString());
      done(known ? null : Object.assign(new Error('bad credentials'), { returnCode: 4 }), known);
    },
    authorizePublish: (client, packet, callback) => {
      const acknowledge = (): void => {
        published.push({
          topic: packet.topic,
          payload: packet.payload.toString(),
          retain: packet.retain,
          clientId: client?.id,
        });
        callback(null);
      };
      if (acknowledgeAfterMs === 0) acknowledge();
      else setTimeout(acknowledge, acknowledgeAfterMs).unref();
    },
  });
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    aedes.handle(socket);
  });
  const port = await listen(server, options.port);
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    url: `mqtt://127.0.0.1:${port}`,
    port,
    published,
    ids: () => published.flatMap(({ topic, payload }) => (topic.endsWith('/status') ? [] : idsIn(JSON.parse(payload)))),
    cut,
    stop: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      cut();
      await new Promise<void>((resolve) => aedes.close(resolve));
      await closed;
    },
  };
}

/** A real HTTP server for tests that hands each request to `answer`. */
export interface TestGateway {
  readonly url: string;
  readonly port: number;
  readonly requests: { path: string; authorization: string | undefined; body: Buffer }[];
  readonly stop: () => Promise<void>;
}

export async function startGateway(
  answer: (request: IncomingMessage, response: ServerResponse, body: Buffer) => void = acceptAll,
  port?: number,
): Promise<TestGateway> {
  const requests: TestGateway['requests'] = [];
  const receiver = await startHttpReceiver((request, response, body) => {
    requests.push({ path: request.url ?? '', authorization: request.headers.authorization, body });
    answer(request, response, body);
  }, port);
  return { url: receiver.url, port: receiver.port, requests, stop: () => receiver[Symbol.asyncDispose]() };
}

export function acceptAll(_request: IncomingMessage, response: ServerResponse): void {
  response.writeHead(202, { 'content-type': 'application/json' });
  response.end('{"accepted":1,"duplicate":0,"rejected":[],"rejectedItems":0}');
}

function idsIn(payload: unknown): string[] {
  return (Array.isArray(payload) ? payload : [payload]).map((message: { id: string }) => message.id);
}

function listen(server: Server, port = 0): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
  });
}
