import { execFileSync } from 'node:child_process';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import { GATEWAY_NAME, RELAY_NAME } from '#adapters/sql/reserved-device-ids.ts';
import { commandsOf } from '#test/peers/commands-of-pages.ts';

const DOMAIN = 'tribo.akron.example';
const SITE: Readonly<Record<string, string>> = { '<domain>': DOMAIN, '<site>': 'akron', '<stage>': 'prod' };
/** Extended key usages: RFC 5280, 4.2.1.12. */
const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';
const TIMEOUT_MS = 60_000;

const folder = mkdtempSync(join(tmpdir(), 'tribo-certificates-'));
afterAll(() => rmSync(folder, { recursive: true }));
const files = join(folder, 'certificates');
const certificate = (name: string) => new X509Certificate(readFileSync(join(files, `${name}.pem`)));
const key = (name: string) => createPrivateKey(readFileSync(join(files, `${name}.pem`)));

describe('certificates of the brokers at Google Cloud, by the commands of docs/deployment.md', () => {
  it(
    'are in the files that infra/README.md puts into secrets, readable by their owner alone',
    () => {
      const commands = commandsOf('docs/deployment.md', 'issue()').replaceAll(
        /<(domain|site|stage)>/g,
        (name) => SITE[name]!,
      );
      const said = execFileSync('bash', ['-euo', 'pipefail', '-c', commands], {
        cwd: folder,
        stdio: 'pipe',
      }).toString();
      expect(said.match(/: OK$/gm)).toHaveLength(3);
      const [, secrets] = /for secret in ((?:[\w\s-]|\\\n)*?)\s*do /.exec(
        commandsOf('infra/README.md', 'for secret in'),
      )!;
      const names = secrets!.split(/[\s\\]+/).filter((name) => name !== '');
      expect(names).toHaveLength(9);
      expect(names.filter((name) => !existsSync(join(files, `${name}.pem`)))).toEqual([]);
      expect(execFileSync('find', [files, '-type', 'f', '-perm', '/077']).toString()).toBe('');
    },
    TIMEOUT_MS,
  );

  it.each([
    { name: 'mqtt-server', commonName: `mqtt.${DOMAIN}`, authority: 'broker', usage: SERVER_AUTH },
    { name: 'mqtt-gateway', commonName: GATEWAY_NAME, authority: 'platform', usage: CLIENT_AUTH },
    { name: 'mqtt-relay', commonName: RELAY_NAME, authority: 'platform', usage: CLIENT_AUTH },
    { name: 'press-7', commonName: 'press-7', authority: 'device', usage: CLIENT_AUTH },
  ])('$name is $commonName by the authority $authority alone, and no authority itself', (each) => {
    const issued = certificate(`${each.name}-certificate`);
    expect(issued.subject).toBe(`CN=${each.commonName}`);
    expect(issued.keyUsage).toEqual([each.usage]);
    expect(issued.ca).toBe(false);
    expect(issued.checkPrivateKey(key(`${each.name}-key`))).toBe(true);
    const issuers = ['broker', 'platform', 'device'].filter((authority) => {
      const { publicKey, ca } = certificate(`mqtt-${authority}-authority`);
      return ca && issued.verify(publicKey);
    });
    expect(issuers).toEqual([each.authority]);
  });

  it.each([`mqtt.${DOMAIN}`, `broker.internal.${DOMAIN}`])('the broker is known as %s', (name) => {
    expect(certificate('mqtt-server-certificate').checkHost(name)).toBe(name);
  });
});
