import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { loadConfiguration } from '#services/shared/config/load.ts';
import { selfSignedCertificate } from '#test/support/self-signed-certificate.ts';
import { certificateChecks } from './certificate-checks.ts';

const NOW_MS = Date.UTC(2026, 10, 21);
const DAY_MS = 86_400_000;
const YEAR = { fromMs: NOW_MS - 300 * DAY_MS, toMs: NOW_MS + 65 * DAY_MS };

describe('what the doctor says of a certificate', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'tribo-doctor-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  function checks(
    { cert, key }: { readonly cert: string; readonly key: string },
    env: Readonly<Record<string, string>> = {},
  ) {
    const [TRIBO_TLS_CERT, TRIBO_TLS_KEY] = [join(folder, 'tribo.pem'), join(folder, 'tribo.key')];
    writeFileSync(TRIBO_TLS_CERT, cert);
    writeFileSync(TRIBO_TLS_KEY, key);
    return certificateChecks(loadConfiguration({ env: { TRIBO_TLS_CERT, TRIBO_TLS_KEY, ...env } }), NOW_MS);
  }

  it('is nothing where there is none', () => {
    expect(certificateChecks(loadConfiguration({}), NOW_MS)).toEqual([]);
  });

  it.each([
    ['has two months left of its year', YEAR, true, /^valid until 2027-01-25 00:00 UTC, 65 days$/],
    ['has a month less a day left', { ...YEAR, toMs: NOW_MS + 29 * DAY_MS }, false, /29 days$/],
    ['has five of its seven days left', { fromMs: NOW_MS - 2 * DAY_MS, toMs: NOW_MS + 5 * DAY_MS }, true, /5 days$/],
    ['has two of its seven days left', { fromMs: NOW_MS - 5 * DAY_MS, toMs: NOW_MS + 2 * DAY_MS }, false, /2 days$/],
    ['has expired', { ...YEAR, toMs: NOW_MS - DAY_MS }, false, /^expired 2026-11-20 00:00 UTC$/],
    ['begins tomorrow', { ...YEAR, fromMs: NOW_MS + DAY_MS }, false, /^not valid before 2026-11-22 00:00 UTC$/],
  ])('that %s', (_what, validity, ok, detail) => {
    const [found] = checks(selfSignedCertificate(validity));
    expect(found).toMatchObject({ name: 'certificate', ok, detail: expect.stringMatching(detail) });
    expect(found?.remedy).toMatch(ok ? /./ : /SIGHUP|clock/);
  });

  it.each([
    [['127.0.0.1'], {}, true, /^it is for 127\.0\.0\.1$/],
    [['tribo.example'], {}, false, /127\.0\.0\.1/],
    [['tribo.example'], { TRIBO_PUBLIC_URL: 'https://tribo.example' }, true, /^it is for tribo\.example$/],
    [['*.plant.example'], { TRIBO_PUBLIC_URL: 'https://tribo.plant.example:8443' }, true, /./],
    [
      ['tribo.example'],
      { TRIBO_PUBLIC_URL: 'https://tribo.example', TRIBO_PUBLIC_MQTT_URL: 'mqtts://mqtt.example' },
      false,
      /mqtt\.example/,
    ],
  ])('for %j with the addresses %j', (names, env, ok, detail) => {
    const found = checks(selfSignedCertificate({ ...YEAR, names }), env).find(
      ({ name }) => name === 'certificate names',
    );
    expect(found).toMatchObject({ ok, detail: expect.stringMatching(detail) });
    expect(found?.remedy).toContain(`(${names[0] === '127.0.0.1' ? 'IP Address' : 'DNS'}:${names[0]})`);
  });

  it('of which the key is another’s, or the authority is not there', () => {
    const one = selfSignedCertificate(YEAR);
    expect(checks({ ...one, key: selfSignedCertificate().key })).toEqual([
      { name: 'certificate', ok: false, detail: expect.stringContaining('is not the key of') },
    ]);
    expect(checks(one, { TRIBO_TLS_CA_FILE: join(folder, 'none.pem') })).toEqual([
      {
        name: 'certificate',
        ok: false,
        detail: expect.stringMatching(/none\.pem cannot be read .* TRIBO_TLS_CA_FILE/),
      },
    ]);
  });
});
