import type { IncomingMessage } from 'node:http';
import { isUtf8 } from 'node:buffer';
import { HttpProblem } from '../../shared/http/problem.ts';
import type { HeldBody } from './body-budget.ts';

/** Deeper JSON is an attack on whoever walks it, not data. */
export const MAX_NESTING = 32;

/** The content type without its parameters, in lower case; empty where there is none. */
export function contentTypeOf(request: IncomingMessage): string {
  return (request.headers['content-type'] ?? '').split(';', 1)[0]!.trim().toLowerCase();
}

/**
 * Reads the whole body, and reserves its bytes before it takes them.
 * @throws HttpProblem body-too-large and overloaded (both as soon as that is known), unsupported-media-type for a content encoding.
 */
export async function readBytes(request: IncomingMessage, maxBytes: number, held: HeldBody): Promise<Buffer> {
  const encoding = request.headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity') {
    throw new HttpProblem('unsupported-media-type', {
      detail: `The content encoding ${encoding.slice(0, 40)} is not supported.`,
      pointer: 'header:content-encoding',
      remedy: 'Send the body as it is, without compression.',
    });
  }
  const announcedBytes = Number(request.headers['content-length'] ?? 0);
  if (announcedBytes > maxBytes) throw tooLarge(maxBytes);
  held.reserve(announcedBytes);
  const chunks: Buffer[] = [];
  let bytes = 0;
  // Not destroyed where it is too large: the answer has to get out.
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw tooLarge(maxBytes);
    // Of a body in chunks nothing is known before it comes.
    if (bytes > announcedBytes) held.reserve(chunk.length);
    chunks.push(chunk);
  }
  return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, bytes);
}

const MAX_DISCARDED_BYTES = 64 * 2 ** 20;
const DISCARDED_WITHIN_MS = 5000;

/**
 * Reads the rest of a body and keeps nothing of it: a connection that is closed on unread bytes is reset, and the client may never see
 * why it was refused. Resolves false where that is too much or takes too long: then the connection has to be closed.
 */
export async function discardRest(request: IncomingMessage): Promise<boolean> {
  if (request.readableEnded) return true;
  if (Number(request.headers['content-length'] ?? 0) > MAX_DISCARDED_BYTES) return false;
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const overdue = setTimeout(() => resolve(false), DISCARDED_WITHIN_MS);
  let bytes = 0;
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > MAX_DISCARDED_BYTES) resolve(false);
  });
  request.once('end', () => resolve(true)).once('close', () => resolve(request.readableEnded));
  request.resume();
  const isRead = await promise;
  clearTimeout(overdue);
  if (!isRead) request.pause();
  return isRead;
}

/** @throws HttpProblem malformed-json, nesting-too-deep. */
export function parseJson(bytes: Buffer, pointer = ''): unknown {
  if (!isUtf8(bytes)) throw malformed('it is not UTF-8', pointer);
  if (isNestedDeeperThan(MAX_NESTING, bytes)) {
    throw new HttpProblem('nesting-too-deep', {
      detail: `The JSON is nested deeper than ${MAX_NESTING} levels.`,
      ...(pointer !== '' && { pointer }),
      remedy: 'Send it flatter.',
    });
  }
  try {
    return JSON.parse(bytes.toString('utf8')) as unknown;
  } catch (error) {
    throw malformed(error instanceof Error ? error.message.slice(0, 200) : 'it cannot be read', pointer);
  }
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** Counts brackets outside strings, before anything is built of them. */
export function isNestedDeeperThan(limit: number, bytes: Uint8Array): boolean {
  let depth = 0;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i]!;
    if (byte === QUOTE) {
      for (i++; i < bytes.length && bytes[i] !== QUOTE; i++) if (bytes[i] === BACKSLASH) i++;
      // "[" and "{" differ in one bit, and so do "]" and "}".
    } else if ((byte | 0x20) === 0x7b) {
      if (++depth > limit) return true;
    } else if ((byte | 0x20) === 0x7d) depth--;
  }
  return false;
}

function tooLarge(maxBytes: number): HttpProblem {
  return new HttpProblem('body-too-large', {
    detail: `The body is larger than ${maxBytes} bytes.`,
    remedy: 'Split it into several requests.',
  });
}

function malformed(reason: string, pointer: string): HttpProblem {
  return new HttpProblem('malformed-json', {
    detail: `The body cannot be read as JSON: ${reason}.`,
    ...(pointer !== '' && { pointer }),
    remedy: 'Send JSON (RFC 8259) in UTF-8.',
  });
}
