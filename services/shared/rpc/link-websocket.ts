import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { addAbortSignal, type Duplex } from 'node:stream';
import { createWebSocketStream, WebSocket, WebSocketServer } from 'ws';
import { PortError } from '#core/errors.ts';

/** What is written goes in messages of so much at the most; a larger one is a defect or an attack, and ends the connection. */
const MAX_MESSAGE_BYTES = 64 * 1024;
/** Bytes that do not compress, as they are encrypted. */
const AS_IT_IS = { maxPayload: MAX_MESSAGE_BYTES, perMessageDeflate: false } as const;
/** Whatever is between the two sides may forget a connection on which nothing goes, and tell neither. */
const PING_EVERY_MS = 15_000;
const PINGS = 2;
/** What asks for no WebSocket within that time is ended, so that it keeps no service from stopping. */
const ASKED_WITHIN_MS = 5000;
/** Of `X-Forwarded-For`, which anybody may make as long as a header can be. */
const MAX_CLAIM_CHARS = 200;
/** What a front end asks whether the process is alive; it is what `/health/live` on loopback answers. */
const LIVE_PATH = '/health/live';

/** Where a connection came from. */
export interface Origin {
  /** The other side's address: a front end's, where there is one. */
  readonly from: string | undefined;
  /** Whom that says it passes on, by `X-Forwarded-For`; whoever reaches the port may claim anything there. */
  readonly forwardedFor?: string;
}

/**
 * A stream of bytes within a WebSocket, once that stands: an address of this form is behind something that takes HTTP alone, and tells nobody else
 * what it passes on; the signal ends it, and also while it is made. Rejects with what is wrong.
 */
export function dialWebSocket(url: string, withinMs: number, signal: AbortSignal): Promise<Duplex> {
  const webSocket = new WebSocket(url, { ...AS_IT_IS, handshakeTimeout: withinMs, followRedirects: false });
  // Before it stands, so that no message goes by.
  const stream = addAbortSignal(signal, streamIn(webSocket));
  return new Promise((resolve, reject) => {
    const fail = (error: Error): void => {
      reject(error);
      stream.destroy();
    };
    // A client that only waits for a server must not keep its process alive.
    webSocket.on('upgrade', ({ socket }) => socket.unref());
    webSocket.on('unexpected-response', (_request, { statusCode }) =>
      fail(new PortError('unavailable', `it answers with status ${statusCode} in place of a WebSocket`)),
    );
    webSocket.on('error', fail);
    webSocket.once('open', () => resolve(stream));
  });
}

/** Takes WebSockets, and hands on the bytes in each; says at `/health/live` that it does. */
export function webSocketListener(take: (stream: Duplex, cameFrom: Origin) => void): Server {
  const server = createServer({ headersTimeout: ASKED_WITHIN_MS, requestTimeout: ASKED_WITHIN_MS }, answerPlainly);
  server.timeout = ASKED_WITHIN_MS;
  const webSockets = new WebSocketServer({ noServer: true, clientTracking: false, ...AS_IT_IS });
  server.on('upgrade', (request, socket, head) => {
    // It is forgotten where the other side is gone already.
    const cameFrom = originOf(request);
    webSockets.handleUpgrade(request, socket, head, (webSocket) => take(streamIn(webSocket), cameFrom));
  });
  return server;
}

function originOf({ socket, headers }: IncomingMessage): Origin {
  const claimed = headers['x-forwarded-for'];
  const forwardedFor = typeof claimed === 'string' ? claimed.slice(0, MAX_CLAIM_CHARS) : undefined;
  return { from: socket.remoteAddress, ...(forwardedFor !== undefined && { forwardedFor }) };
}

function answerPlainly({ method, url }: IncomingMessage, response: ServerResponse): void {
  const isAskedAfter = (method === 'GET' || method === 'HEAD') && url === LIVE_PATH;
  if (isAskedAfter) response.writeHead(200, { 'content-type': 'text/plain' }).end('ok\n');
  else response.writeHead(426, { upgrade: 'websocket', connection: 'upgrade' }).end();
}

/** Bytes in messages, which wait for each other in both directions; ended once the other side answers no ping. */
function streamIn(webSocket: WebSocket): Duplex {
  const stream = createWebSocketStream(webSocket, { allowHalfOpen: false });
  const send = stream._write.bind(stream);
  stream._write = (chunk: Buffer, encoding, done) => {
    const sendFrom = (start: number): void => {
      const end = start + MAX_MESSAGE_BYTES;
      send(chunk.subarray(start, end), encoding, (error) =>
        error || end >= chunk.length ? done(error) : sendFrom(end),
      );
    };
    sendFrom(0);
  };
  // Who reads it is told by its end.
  stream.on('error', () => stream.destroy());
  webSocket.on('error', () => undefined);
  let unanswered = 0;
  const timer = setInterval(() => {
    if (webSocket.readyState !== WebSocket.OPEN) return;
    if (unanswered++ < PINGS) webSocket.ping();
    else webSocket.terminate();
  }, PING_EVERY_MS);
  timer.unref();
  for (const sign of ['message', 'ping', 'pong'] as const) webSocket.on(sign, () => (unanswered = 0));
  webSocket.on('close', () => clearInterval(timer));
  return stream;
}
