import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Exchange } from './tls-peer.ts';
import type { WireAnswer } from './wire-server.ts';

/** An answer as the vendor documents it; of gRPC the status is the code. */
export interface GoldenAnswer {
  readonly example: string;
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly answer?: unknown;
}

/** A request and its answer as the vendor documents them. */
export interface GoldenPair extends GoldenAnswer {
  readonly request: {
    readonly method: string;
    readonly path: string;
    readonly headers?: Readonly<Record<string, string>>;
    readonly body?: Readonly<Record<string, unknown>>;
  };
}

interface Golden {
  readonly pairs: readonly GoldenPair[];
  /** Those that a peer gives when it is told to. */
  readonly errors?: readonly GoldenAnswer[];
}

/** The pairs of `golden/<name>.json`, which says where they are from. */
export function goldenPairs(name: string): readonly GoldenPair[] {
  return golden(name).pairs;
}

/** The errors of `golden/<name>.json`. */
export function goldenErrors(name: string): readonly GoldenAnswer[] {
  return golden(name).errors ?? [];
}

function golden(name: string): Golden {
  return JSON.parse(readFileSync(join(import.meta.dirname, 'golden', `${name}.json`), 'utf8')) as Golden;
}

/** As a peer is told to give it. */
export function wireAnswer({ status, headers, answer }: GoldenAnswer): WireAnswer {
  return { status, ...(headers && { headers }), body: answer === undefined ? '' : JSON.stringify(answer) };
}

/** Of what a peer was asked and answered, all that is about the same as the pair: as its request asks and its status says. */
export function exchangesLike({ request, status }: GoldenPair, exchanges: readonly Exchange[]): readonly Exchange[] {
  return exchanges.filter(
    ({ request: asked, answer }) =>
      asked.method === request.method && masked(asked.url.pathname) === request.path && answer.status === status,
  );
}

/** The newest exchange that asks as the pair does, in the parts that {@link asDocumented} has of the pair; undefined where there is none. */
export function newestLike(pair: GoldenPair, exchanges: readonly Exchange[]): Compared | undefined {
  const [newest] = exchangesLike(pair, exchanges).slice(-1);
  if (!newest) return undefined;
  const { request, answer } = newest;
  return {
    asked: { headers: masked(request.headers), body: jsonOf(request.body) },
    answered: { headers: answer.headers ?? {}, body: shapeOf(answer.body) },
  };
}

/** What the vendor's document says of a request and its answer, in its form. */
export function asDocumented({ request, headers = {}, answer }: GoldenPair): Compared {
  return {
    asked: { headers: request.headers ?? {}, ...(request.body && { body: request.body }) },
    answered: { headers, ...(answer !== undefined && { body: shapeOf(answer) }) },
  };
}

interface Compared {
  readonly asked: { readonly headers: unknown; readonly body?: unknown };
  readonly answered: { readonly headers: unknown; readonly body?: unknown };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** The names, with the types of their values; of a list those of its first. Members named in `whole` may be anything. */
export function shapeOf(json: unknown, whole: readonly string[] = []): unknown {
  if (Array.isArray(json)) return json.slice(0, 1).map((each) => shapeOf(each, whole));
  if (typeof json !== 'object' || json === null) return json === null ? 'null' : typeof json;
  return Object.fromEntries(
    Object.entries(json).map(([name, value]) => [name, whole.includes(name) ? {} : shapeOf(value, whole)]),
  );
}

/** With the same word for each host, version, time and token, which no two answers share. */
export function masked(json: unknown): unknown {
  const text = JSON.stringify(json)
    .replaceAll(/https:\/\/[^/"]+/g, 'https://host')
    .replaceAll(/[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}/g, '<id>')
    .replaceAll(/:\d{10}\b/g, ':"<s>"')
    .replaceAll(/"Bearer [^"]+"/g, '"Bearer <token>"');
  return JSON.parse(text) as unknown;
}
