import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import { FAMILIES } from '#adapters/providers.ts';
import { runCommand } from '#test/support/platform-process.ts';

const TIMEOUT_MS = 120_000;
const folder = mkdtempSync(join(tmpdir(), 'tribo-site-'));
afterAll(() => rmSync(folder, { recursive: true }));

const site = join(folder, 'ports.yaml');
writeFileSync(site, 'objectStore: { adapter: s3-object-store, bucket: akron, region: us-east-2 }');
const wrong = join(folder, 'wrong.yaml');
writeFileSync(wrong, 'objectStore: { adapter: s3-object-store, bucket: akron }');

describe('tribo verify', () => {
  it.each([
    { given: [], code: 78, says: /nothing deployed elsewhere[^]*--site, or TRIBO_PORTS_FILE/ },
    { given: ['--site', join(folder, 'nothing.yaml')], code: 66, says: /there is no file .*nothing\.yaml/ },
    { given: ['--site', wrong], code: 78, says: /objectStore\.region is missing/ },
    {
      given: ['--site', site, '--port', 'ruleStore'],
      code: 64,
      says: /has no ruleStore from elsewhere[^]*objectStore/,
    },
    { given: ['--site', site, '--within', 'soon'], code: 64, says: /must be a number above 0/ },
  ])(
    '$given ends with $code and says why',
    async ({ given, code, says }) => {
      const ended = await runCommand(['verify', ...given]);
      expect(ended).toEqual({ code, stdout: '', stderr: expect.stringMatching(says) });
    },
    TIMEOUT_MS,
  );
});

describe('the adapters that a site may choose', () => {
  it('say how they are looked at where they are deployed: an offer in module.ts has its `verify`', () => {
    const offers = Object.values(FAMILIES).flat();
    const without = offers.filter(({ verify }) => !verify).map(({ adapter }) => adapter);
    expect(offers.length).toBeGreaterThan(0);
    expect(without).toEqual([]);
  });
});
