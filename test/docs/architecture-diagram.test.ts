import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { LEDGERED_STREAMS, STREAMS } from '#core/domain/event.ts';
import { ALERT_INPUTS } from '#services/alert-engine/alert-engine.ts';
import { COMPUTE_GROUP } from '#services/feature-service/feature-service.ts';
import { ML_GROUP } from '#services/ml-service/ml-service.ts';
import { STREAM_GROUPS } from '#services/shared/observability/stream-lag.ts';
import { RAW_ARCHIVE_GROUP } from '#services/timeseries-service/raw-archiver.ts';
import { STORE_GROUP } from '#services/timeseries-service/store-group.ts';

const root = join(import.meta.dirname, '../..');
const [, diagram = ''] =
  /```mermaid\n([\s\S]*?)```/.exec(readFileSync(join(root, 'docs/architecture.md'), 'utf8')) ?? [];

/** The texts of the diagram's nodes by shape, and its arrows from text to text. */
const SHAPES = { stream: ['[[', ']]'], port: ['[(', ')]'], outside: ['([', '])'], service: ['[', ']'] } as const;
type Shape = keyof typeof SHAPES;

const texts = new Map<string, { readonly shape: Shape; readonly text: string }>();
for (const [, id, opening, text] of diagram.matchAll(/(\w+)(\[\[|\[\(|\(\[|\[)([^[\]()]+)/g)) {
  const shape = (Object.keys(SHAPES) as Shape[]).find((each) => SHAPES[each][0] === opening);
  if (id && shape && text) texts.set(id, { shape, text });
}
const of = (shape: Shape): string[] =>
  [...texts.values()].flatMap((node) => (node.shape === shape ? [node.text] : [])).sort();

/** `stream, group -> service` of each arrow that names a consumer group. */
const consumers = [...diagram.matchAll(/^\s*(\w+)[^\n]*?-->\|group ([\w-]+)\| (\w+)/gm)].map(
  ([, from, group, to]) => `${texts.get(from!)?.text}, ${group} -> ${texts.get(to!)?.text}`,
);

const CONSUMERS: readonly (readonly [stream: string, group: string, service: string])[] = [
  ...STREAMS.filter((stream) => stream !== 'alarms').map(
    (stream) => [stream, STORE_GROUP, 'timeseries-service'] as const,
  ),
  ...LEDGERED_STREAMS.map((stream) => [stream, RAW_ARCHIVE_GROUP, 'timeseries-service'] as const),
  ['raw-waveform', COMPUTE_GROUP, 'feature-service'],
  ['features', ML_GROUP, 'ml-service'],
  ...ALERT_INPUTS.map(({ stream, group }) => [stream, group, 'alert-engine'] as const),
];

describe('the diagram of docs/architecture.md', () => {
  it('shows every service, and none that does not exist', () => {
    const folders = readdirSync(join(root, 'services')).filter((name) =>
      existsSync(join(root, 'services', name, 'main.ts')),
    );
    const composed = diagram.includes('subgraph platform') ? ['platform'] : [];
    expect([...of('service'), ...composed].sort()).toEqual([...new Set([...folders, 'frontend', 'platform'])].sort());
  });

  it('shows every stream, and none that does not exist', () => {
    expect(of('stream')).toEqual([...STREAMS].sort());
  });

  it('names no port that does not exist', () => {
    const ports = readdirSync(join(root, 'core/ports')).map((name) => name.replace(/\.ts$/, ''));
    expect(of('port').filter((name) => !ports.includes(name.replaceAll(' ', '-')))).toEqual([]);
  });

  it('shows who consumes which stream by which group, as the code does', () => {
    expect(consumers.sort()).toEqual(
      CONSUMERS.map(([stream, group, service]) => `${stream}, ${group} -> ${service}`).sort(),
    );
  });
});

describe('the lag of streams', () => {
  it('is told of every group that consumes one', () => {
    const pairs = STREAM_GROUPS.map(([stream, group]) => `${stream}, ${group}`);
    expect(pairs.sort()).toEqual(CONSUMERS.map(([stream, group]) => `${stream}, ${group}`).sort());
  });
});
