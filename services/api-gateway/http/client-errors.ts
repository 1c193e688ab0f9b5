import type { Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { HttpProblem, problemBody } from '../../shared/http/problem.ts';
import type { ApiGatewayConfig } from '../config.ts';

type Timeouts = Pick<ApiGatewayConfig, 'headersWithinMs' | 'requestWithinMs'>;

/** Answers what is no HTTP request, and so reaches no route, with problem details as well; then closes the connection. */
export function answerClientErrors(server: Server, timeouts: Timeouts): void {
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) => {
    if (!socket.writable || error.code === 'ECONNRESET') {
      socket.destroy();
      return;
    }
    const body = problemBody(problemIn(error.code, timeouts));
    const json = Buffer.from(JSON.stringify(body));
    const head = [
      `HTTP/1.1 ${body.status} ${body.title}`,
      'content-type: application/problem+json; charset=utf-8',
      `content-length: ${json.length}`,
      'connection: close',
    ];
    socket.end(Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), json]), () => socket.destroy());
  });
}

/** By the code of Node.js' parser. */
function problemIn(code: string | undefined, { headersWithinMs, requestWithinMs }: Timeouts): HttpProblem {
  if (code === 'HPE_HEADER_OVERFLOW') {
    return new HttpProblem('headers-too-large', {
      detail: 'The request line and headers are larger than 16 KiB.',
      remedy: 'Send shorter headers, and data in the body.',
    });
  }
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    return new HttpProblem('request-timeout', {
      detail: `The request did not come whole in time: headers within ${headersWithinMs / 1000} s, all of it within ${requestWithinMs / 1000} s.`,
      remedy: 'Send it without pauses; split it where the line is slow.',
    });
  }
  return new HttpProblem('malformed-request', {
    detail: `This is no HTTP/1.1 request${code?.startsWith('HPE_') ? ` (${code.slice(4).toLowerCase().replaceAll('_', ' ')})` : ''}.`,
    remedy: 'Send HTTP/1.1 (RFC 9112); MQTT and TLS have ports of their own, or none.',
  });
}
