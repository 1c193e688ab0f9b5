import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Exchange } from './tls-peer.ts';

/** A request and its answer as the vendor documents them. */
export interface GoldenPair {
  readonly example: string;
  readonly request: {
    readonly method: string;
    readonly path: string;
    readonly body?: Readonly<Record<string, unknown>>;
  };
  readonly status: number;
  readonly answer?: unknown;
}

/** The pairs of `golden/<name>.json`, which says where they are from. */
export function goldenPairs(name: string): readonly GoldenPair[] {
  const text = readFileSync(join(import.meta.dirname, 'golden', `${name}.json`), 'utf8');
  return (JSON.parse(text) as { readonly pairs: readonly GoldenPair[] }).pairs;
}

/** Of what a peer was asked and answered, all that is about the same as the pair: as its request asks and its status says. */
export function exchangesLike({ request, status }: GoldenPair, exchanges: readonly Exchange[]): readonly Exchange[] {
  return exchanges.filter(
    ({ request: asked, answer }) =>
      asked.method === request.method && masked(asked.url.pathname) === request.path && answer.status === status,
  );
}

/** With the same word for each host, version and time, which no two answers share. */
export function masked(json: unknown): unknown {
  const text = JSON.stringify(json)
    .replaceAll(/https:\/\/[^/"]+/g, 'https://host')
    .replaceAll(/[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}/g, '<id>')
    .replaceAll(/:\d{10}\b/g, ':"<s>"');
  return JSON.parse(text) as unknown;
}
