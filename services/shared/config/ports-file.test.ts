import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { z } from 'zod';
import { ConfigurationError } from './load.ts';
import { loadPortsFile } from './ports-file.ts';

const offers = [
  {
    port: 'objectStore',
    adapter: 'bucket-object-store',
    schema: z.strictObject({ bucket: z.string(), parts: z.int().default(8) }),
  },
  { port: 'objectStore', adapter: 'tape-object-store', schema: z.strictObject({ reel: z.int().positive() }) },
  { port: 'eventStream', adapter: 'log-event-stream', schema: z.strictObject({ brokers: z.array(z.string()).min(1) }) },
];

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tribo-ports-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function load(text: string): ReturnType<typeof loadPortsFile> {
  const path = join(folder, 'ports.yaml');
  writeFileSync(path, text);
  return loadPortsFile(path, offers);
}

function problemsOf(text: string): readonly string[] {
  try {
    load(text);
  } catch (error) {
    if (error instanceof ConfigurationError) return error.problems.map((each) => each.replace(`${folder}/`, ''));
    throw error;
  }
  return [];
}

describe('the file that says which ports are had from elsewhere', () => {
  it('gives each chosen adapter its settings, with the defaults of its schema', () => {
    const chosen = load(
      'objectStore:\n  adapter: bucket-object-store\n  bucket: plant\neventStream: { adapter: log-event-stream, brokers: [a] }',
    );
    expect(chosen.map(({ offer, settings }) => [offer.adapter, settings])).toEqual([
      ['bucket-object-store', { bucket: 'plant', parts: 8 }],
      ['log-event-stream', { brokers: ['a'] }],
    ]);
  });

  it('may say once what several sections share, by the merge key of YAML', () => {
    const chosen = load('objectStore:\n  <<: { adapter: tape-object-store, reel: 1 }\n  reel: 3');
    expect(chosen).toMatchObject([{ settings: { reel: 3 } }]);
  });

  it('may be JSON, as the outputs of a stack are', () => {
    expect(load('{"objectStore":{"adapter":"tape-object-store","reel":3}}')).toMatchObject([{ settings: { reel: 3 } }]);
  });

  it('is told everything that is wrong or missing at once', () => {
    const text = [
      'objectStore: { adapter: bucket-object-store, parts: many, color: red }',
      'eventStream: { adapter: tape-object-store }',
      'coffeeMachine: { adapter: x }',
    ];
    expect(problemsOf(text.join('\n'))).toEqual([
      'ports.yaml: objectStore.bucket: Invalid input: expected string, received undefined (bucket-object-store)',
      'ports.yaml: objectStore.parts: Invalid input: expected number, received string (bucket-object-store)',
      'ports.yaml: objectStore: Unrecognized key: "color" (bucket-object-store)',
      'ports.yaml: eventStream.adapter must be one of log-event-stream, got "tape-object-store"',
      'ports.yaml: coffeeMachine is no port with an adapter to choose; there are objectStore, eventStream',
    ]);
  });

  it.each([
    ['- a list', 'ports.yaml must be a mapping from ports to the adapters that they have'],
    ['', 'ports.yaml must be a mapping from ports to the adapters that they have'],
    [
      'objectStore: just-a-name',
      'ports.yaml: objectStore.adapter must be one of bucket-object-store, tape-object-store, got undefined',
    ],
  ])('that says %j is refused', (text, problem) => {
    expect(problemsOf(text)).toEqual([problem]);
  });

  it('that is not there, or no YAML, is refused', () => {
    expect(() => loadPortsFile(join(folder, 'none.yaml'), offers)).toThrow(
      /TRIBO_PORTS_FILE .*none\.yaml cannot be read: .*ENOENT/,
    );
    expect(problemsOf('a: [')).toEqual([expect.stringMatching(/^TRIBO_PORTS_FILE .*ports\.yaml cannot be read: /)]);
  });
});
