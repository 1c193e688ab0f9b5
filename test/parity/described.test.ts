import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { FAMILIES } from '#adapters/providers.ts';
import { undescribed, type AdapterPages } from './described.ts';

const docs = join(import.meta.dirname, '../../docs');
const read = (name: string) => readFileSync(join(docs, name), 'utf8');

const OFFERS = [
  { family: 'gauges', adapter: 'owned-gauge-store', isVerified: false },
  { family: 'gauges', adapter: 'rented-gauge-store', isVerified: true },
];
const row = (adapter: string) => `| \`gaugeStore\` | x | [x](adapters/${adapter}.md) |\n`;
const EXAMPLE = '# shared, said once: dials, gauges.\n';
const OWNED = { 'owned-gauge-store': '# `owned-gauge-store`, unlike `rented-gauge-store`' };
const WHOLE: AdapterPages = {
  providers: EXAMPLE + row('owned-gauge-store') + row('rented-gauge-store'),
  verify: '| `rented-*` | ten gauges |',
  adapters: { ...OWNED, 'rented-gauge-store': '# `rented-gauge-store`' },
};
const LACKING: readonly (readonly [what: string, pages: AdapterPages, problems: readonly string[]])[] = [
  ['nothing', WHOLE, []],
  [
    'the family',
    { ...WHOLE, providers: WHOLE.providers.replace(', gauges', '') },
    ['docs/providers.md: add gauges to the families in its example of a ports file'],
  ],
  [
    'the row',
    { ...WHOLE, providers: EXAMPLE + row('owned-gauge-store') },
    [
      'docs/providers.md: add a row for rented-gauge-store to "All adapters", with a link to adapters/rented-gauge-store.md',
    ],
  ],
  [
    'the page',
    { ...WHOLE, adapters: OWNED },
    ['rented-gauge-store has no page: write docs/adapters/rented-gauge-store.md'],
  ],
  [
    'what a verification makes',
    { ...WHOLE, verify: '' },
    ['docs/verify.md: add a row for what `tribo verify` makes for rented-gauge-store'],
  ],
];

describe('the pages of adapters', () => {
  it('tell of each that a site may choose', () => {
    const pages = readdirSync(join(docs, 'adapters')).map((name) => [basename(name, '.md'), read(`adapters/${name}`)]);
    const offers = Object.entries(FAMILIES).flatMap(([family, ofFamily]) =>
      ofFamily.map(({ adapter, verify }) => ({ family, adapter, isVerified: verify !== undefined })),
    );
    const adapters = Object.fromEntries(pages) as Readonly<Record<string, string>>;
    expect(undescribed(offers, { providers: read('providers.md'), verify: read('verify.md'), adapters })).toEqual([]);
  });

  it.each(LACKING)('are found to lack %s', (_what, pages, problems) => {
    expect(undescribed(OFFERS, pages)).toEqual(problems);
  });
});
