/**
 * A front end of HTTP for the test of links: passes requests and WebSockets on to one backend after the other, byte by byte, as a cloud's would, and
 * ends connections when it is told to.
 */
import { createServer, request, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';

export type FrontEndOrder =
  /** What is open, or of that what was made first. */
  | { readonly do: 'cut'; readonly only?: 'oldest' }
  /** Requests are let in anew, or are answered with that status. */
  | { readonly do: 'answer'; readonly status: number | undefined }
  | { readonly do: 'pass to'; readonly ports: readonly number[] };

export type FrontEndNews =
  | { readonly is: 'listening'; readonly port: number }
  | { readonly is: 'done' }
  /** How many WebSockets were let through, and refused, since it runs, and how many are open. */
  | { readonly is: 'passing'; readonly taken: number; readonly refused: number; readonly open: number };

let ports = process.argv.slice(2).map(Number);
let refusesWith: number | undefined;
let taken = 0;
let refused = 0;
const open = new Set<Duplex>();

const tell = (news: FrontEndNews): void => {
  if (process.connected) process.send?.(news);
};
// Whoever started it is gone.
process.on('disconnect', () => process.exit());
const tellPassing = (): void => tell({ is: 'passing', taken, refused, open: open.size });

const server = createServer((asked, response) => {
  if (refusesWith !== undefined) {
    response.writeHead(refusesWith).end();
    return;
  }
  const passed = passedOn(asked);
  passed.on('error', () => response.writeHead(502).end());
  passed.on('response', (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.pipe(response);
  });
  asked.pipe(passed);
});

server.on('upgrade', (asked: IncomingMessage, caller: Duplex, head: Buffer) => {
  caller.on('error', () => caller.destroy());
  const refuse = (status: number): void => {
    caller.end(`HTTP/1.1 ${status} Refused\r\nContent-Length: 0\r\n\r\n`);
    refused++;
    tellPassing();
  };
  if (refusesWith !== undefined) {
    refuse(refusesWith);
    return;
  }
  const passed = passedOn(asked);
  passed.on('error', () => refuse(502));
  passed.on('response', ({ statusCode = 502 }) => refuse(statusCode));
  passed.on('upgrade', (answer, backend, first) => {
    const headers = Object.entries(answer.headers).map(([name, value]) => `${name}: ${String(value)}\r\n`);
    caller.write(`HTTP/1.1 101 Switching Protocols\r\n${headers.join('')}\r\n`);
    caller.write(first);
    backend.write(head);
    taken++;
    open.add(caller);
    for (const [one, other] of [
      [caller, backend],
      [backend, caller],
    ] as const) {
      one.on('error', () => other.destroy());
      one.on('close', () => other.destroy());
      one.pipe(other);
    }
    caller.on('close', () => {
      open.delete(caller);
      tellPassing();
    });
    tellPassing();
  });
  passed.end();
});

function passedOn({ method, url, headers }: IncomingMessage) {
  const [next = 0, ...others] = ports;
  ports = [...others, next];
  return request({ host: '127.0.0.1', port: next, method, path: url, headers, agent: false });
}

process.on('message', (order: FrontEndOrder) => {
  if (order.do === 'pass to') ports = [...order.ports];
  else if (order.do === 'answer') refusesWith = order.status;
  else for (const each of order.only === 'oldest' ? [...open].slice(0, 1) : open) each.destroy();
  tell({ is: 'done' });
});

server.listen(0, '127.0.0.1', () => tell({ is: 'listening', port: (server.address() as AddressInfo).port }));
