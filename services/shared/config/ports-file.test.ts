import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { z } from 'zod';
import { ConfigurationError } from './load.ts';
import { loadPortsFile } from './ports-file.ts';

const place = { region: z.string(), timeoutMs: z.int().default(30) };
const bucket = {
  port: 'objectStore',
  adapter: 'bucket-object-store',
  schema: z.strictObject({ ...place, bucket: z.string(), parts: z.int().default(8) }),
};
const vault = { port: 'secretStore', adapter: 'vault-secret-store', schema: z.strictObject(place) };
const shelf = { port: 'secretStore', adapter: 'shelf-secret-store', schema: z.strictObject({}) };
const tape = {
  port: 'objectStore',
  adapter: 'tape-object-store',
  schema: z.strictObject({ reel: z.int().positive() }),
};
const log = {
  port: 'eventStream',
  adapter: 'log-event-stream',
  schema: z.strictObject({
    brokers: z.array(z.string()).min(1),
    login: z.strictObject({ user: z.string() }).optional(),
  }),
};
const bell = {
  ...{ port: 'notifiers', adapter: 'bell-notifier', isOneOfSeveral: true },
  schema: z.strictObject({ region: z.string(), name: z.string().default('bell') }),
};
const guard = {
  ...{ port: 'guards', adapter: 'guard', isOneOfSeveral: true },
  schema: z.strictObject({ gate: z.string() }),
  aloneFor: (settings: unknown) => [`the gate ${(settings as { readonly gate: string }).gate.toLowerCase()}`],
};
const press = {
  ...{ port: 'press', adapter: 'tape-press', needs: { objectStore: 'tape-object-store' } },
  schema: z.strictObject({}),
};
const choice = {
  families: { sky: [bucket, vault, shelf], attic: [tape, press], log: [log], tower: [bell, guard] },
  providers: { embedded: {}, sky: { objectStore: 'bucket-object-store', secretStore: 'vault-secret-store' } },
};

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tribo-ports-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function load(text: string): ReturnType<typeof loadPortsFile> {
  const path = join(folder, 'ports.yaml');
  writeFileSync(path, text);
  return loadPortsFile(path, choice);
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

const adaptersOf = (text: string) => load(text).map(({ offer, settings }) => [offer.adapter, settings]);

describe('the file that says which ports are had from elsewhere', () => {
  it('gives each chosen adapter its settings, with the defaults of its schema', () => {
    const text =
      'objectStore:\n  adapter: bucket-object-store\n  bucket: plant\n  region: north\n' +
      'eventStream: { adapter: log-event-stream, brokers: [a] }';
    expect(adaptersOf(text)).toEqual([
      ['bucket-object-store', { bucket: 'plant', region: 'north', timeoutMs: 30, parts: 8 }],
      ['log-event-stream', { brokers: ['a'] }],
    ]);
  });

  it('selects what a provider has by one line, and shares what its adapters have in common', () => {
    const text = 'provider: sky\nsky: { region: north, bucket: plant }';
    expect(adaptersOf(text)).toEqual([
      ['bucket-object-store', { bucket: 'plant', region: 'north', timeoutMs: 30, parts: 8 }],
      ['vault-secret-store', { region: 'north', timeoutMs: 30 }],
    ]);
  });

  it.each([
    ['its settings', 'objectStore: { bucket: other, region: south }', 'bucket-object-store', { region: 'south' }],
    ['its adapter', 'objectStore: { adapter: tape-object-store, reel: 1 }', 'tape-object-store', { reel: 1 }],
    ['its adapter, by the family', 'objectStore: attic\nattic: { reel: 1 }', 'tape-object-store', { reel: 1 }],
  ])('takes of a port %s rather than those of the provider', (_what, text, adapter, settings) => {
    const chosen = load(`provider: sky\nsky: { region: north }\n${text}`);
    expect(chosen.map(({ offer }) => offer.port).sort()).toEqual(['objectStore', 'secretStore']);
    expect(chosen.find(({ offer }) => offer.port === 'objectStore')).toMatchObject({ offer: { adapter }, settings });
  });

  it('may keep a port on this machine whatever the provider has', () => {
    const text = 'provider: sky\nsky: { region: north }\nobjectStore: embedded';
    expect(adaptersOf(text)).toEqual([['vault-secret-store', { region: 'north', timeoutMs: 30 }]]);
    expect(load('provider: embedded')).toEqual([]);
  });

  it('may say once what several sections share, by the merge key of YAML', () => {
    const chosen = load('objectStore:\n  <<: { adapter: tape-object-store, reel: 1 }\n  reel: 3');
    expect(chosen).toMatchObject([{ settings: { reel: 3 } }]);
  });

  it('may be JSON, as the outputs of a stack are', () => {
    expect(load('{"objectStore":{"adapter":"tape-object-store","reel":3}}')).toMatchObject([{ settings: { reel: 3 } }]);
  });

  it('is told everything that is wrong or missing at once, with its line', () => {
    const text = [
      'objectStore:',
      '  adapter: bucket-object-store',
      '  parts: many',
      '  color: red',
      'eventStream: { adapter: tape-object-store }',
      'coffeeMachine: { adapter: x }',
    ];
    expect(problemsOf(text.join('\n'))).toEqual([
      'ports.yaml:6: coffeeMachine is no port with an adapter to choose; there are objectStore, secretStore, press, eventStream, notifiers, guards',
      'ports.yaml:5: eventStream.adapter must be one of embedded, log-event-stream, got "tape-object-store"',
      'ports.yaml:2: objectStore.region is missing: string (bucket-object-store)',
      'ports.yaml:2: objectStore.bucket is missing: string (bucket-object-store)',
      'ports.yaml:3: objectStore.parts is wrong: Invalid input: expected number, received string (bucket-object-store)',
      'ports.yaml:4: objectStore.color is no setting of bucket-object-store, which has region, timeoutMs, bucket, parts',
    ]);
  });

  it('is told once what is missing or wrong for several adapters', () => {
    expect(problemsOf('# A site\nprovider: sky\nsky: { timeoutMs: soon }')).toEqual([
      'ports.yaml:3: sky.region is missing: string (bucket-object-store, vault-secret-store)',
      'ports.yaml:3: sky.timeoutMs is wrong: Invalid input: expected number, received string (bucket-object-store, vault-secret-store)',
      'ports.yaml:2: objectStore.bucket is missing: string (bucket-object-store)',
    ]);
  });

  it.each([
    ['provider: moon', 'ports.yaml:1: provider must be one of embedded, sky, got "moon"'],
    ['provider: toString', 'ports.yaml:1: provider must be one of embedded, sky, got "toString"'],
    [
      'eventStream: { adapter: log, brokers: [a], login: {} }',
      'ports.yaml:1: eventStream.login.user is missing: string (log-event-stream)',
    ],
    [
      'objectStore: just-a-name',
      'ports.yaml:1: objectStore.adapter must be one of embedded, bucket-object-store, tape-object-store, got "just-a-name"',
    ],
    [
      'objectStore: { bucket: plant }',
      'ports.yaml:1: objectStore.adapter must be one of embedded, bucket-object-store, tape-object-store, got undefined',
    ],
    [
      'secretStore: sky\nsky: { region: north }',
      'ports.yaml:1: secretStore.adapter must be one of embedded, vault-secret-store, shelf-secret-store, got "sky"',
    ],
    [
      'objectStore: { adapter: embedded, bucket: plant }',
      'ports.yaml:1: objectStore.bucket is no setting of what is embedded',
    ],
    ['provider: embedded\nlog: { brokers: [a] }', 'ports.yaml:2: log is of no use: no port has an adapter of it'],
    [
      'log: everywhere\neventStream: { adapter: log, brokers: [a] }',
      'ports.yaml:1: log must be a mapping of the settings that its adapters share',
    ],
    [
      'eventStream: log\nlog:\n  brokers: [a]\n  color: red',
      'ports.yaml:4: log.color is no setting of the chosen adapters of log, which have brokers, login',
    ],
    ['- a list', 'ports.yaml must be a mapping from ports to the adapters that they have'],
    ['', 'ports.yaml must be a mapping from ports to the adapters that they have'],
  ])('that says %j is refused', (text, problem) => {
    expect(problemsOf(text)).toEqual([expect.stringContaining(problem)]);
  });

  it('that is not there, or no YAML, is refused', () => {
    expect(() => loadPortsFile(join(folder, 'none.yaml'), choice)).toThrow(
      /TRIBO_PORTS_FILE .*none\.yaml cannot be read: .*ENOENT/,
    );
    expect(problemsOf('a: [')).toEqual([expect.stringMatching(/^TRIBO_PORTS_FILE .*ports\.yaml cannot be read: /)]);
  });

  it('takes a list for a port that may have several, each with what its family shares', () => {
    const text =
      'tower: { region: north }\nnotifiers:\n  - tower\n  - { adapter: bell-notifier, name: second, region: south }';
    expect(adaptersOf(text)).toEqual([
      ['bell-notifier', { region: 'north', name: 'bell' }],
      ['bell-notifier', { region: 'south', name: 'second' }],
    ]);
    expect(adaptersOf('notifiers: { adapter: tower, region: north }')).toHaveLength(1);
  });

  it.each([
    [
      'embedded',
      'press: attic',
      'ports.yaml:1: press.adapter tape-press needs tape-object-store, and objectStore is embedded: set objectStore.adapter to tape-object-store, or choose another press',
    ],
    [
      'the provider’s',
      'provider: sky\nsky: { region: north, bucket: plant }\npress:\n  adapter: tape-press',
      'ports.yaml:4: press.adapter tape-press needs tape-object-store, and objectStore is bucket-object-store: set objectStore.adapter to tape-object-store, or choose another press',
    ],
  ])('refuses an adapter beside another than the one that it works with: %s', (_what, text, problem) => {
    expect(problemsOf(text)).toEqual([problem]);
  });

  it('takes an adapter beside the one that it works with', () => {
    expect(adaptersOf('attic: { reel: 1 }\nobjectStore: attic\npress: attic')).toHaveLength(2);
  });

  it.each([
    [
      'notifiers:\n  - { adapter: bell-notifier, region: north }\n  - adapter: bell-notifier\n    regoin: south',
      'ports.yaml:4: notifiers.1.regoin is no setting of bell-notifier, which has region, name',
    ],
    [
      'tower: { region: north }\nnotifiers:\n  - tower\n  - tower',
      'ports.yaml:4: notifiers.1.name must be another for each, and bell is taken',
    ],
    [
      'guards:\n  - { adapter: guard, gate: North }\n  - { adapter: guard, gate: south }\n  - { adapter: guard, gate: north }',
      'ports.yaml:4: guards.2 is for the gate north, as guards.0 is: name it once (guard)',
    ],
    ['notifiers: [gong]', 'ports.yaml:1: notifiers.0.adapter must be one of embedded, bell-notifier, got "gong"'],
    [
      'objectStore: [attic]',
      'ports.yaml:1: objectStore.adapter must be one of embedded, bucket-object-store, tape-object-store, got ["attic"]',
    ],
  ])('says what is wrong in a list: %j', (text, problem) => {
    expect(problemsOf(text)).toContain(problem);
  });
});
