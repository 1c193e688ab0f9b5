import { execFile } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { accessSync, constants, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { connect } from 'node:tls';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { AddedDevice } from '#services/api-gateway/schemas/devices.ts';
import type { MachineDetail, Series } from '#services/api-gateway/schemas/machines.ts';
import { MqttDevice } from '#test/support/mqtt-device.ts';
import { PlatformProcess, SITE, until } from '#test/support/platform-process.ts';
import {
  certificateAuthority,
  issuedCertificate,
  selfSignedCertificate,
  type TestCertificate,
} from '#test/support/self-signed-certificate.ts';

const TIMEOUT_MS = 240_000;
/** What can send the lines that are printed for devices; each is used where the machine has it. */
const SENDERS = ['curl', 'mosquitto_pub'].filter(isOnPath);

/** Certificate files as a platform is given them. */
class CertificateFiles implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'tribo tls-'));
  readonly env = { TRIBO_TLS_CERT: join(this.folder, 'tribo.pem'), TRIBO_TLS_KEY: join(this.folder, 'tribo.key') };
  readonly authority = join(this.folder, 'authority.pem');

  write({ cert, key }: TestCertificate): void {
    writeFileSync(this.env.TRIBO_TLS_CERT, cert);
    writeFileSync(this.env.TRIBO_TLS_KEY, key);
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true });
  }
}

describe('a platform with a certificate that is its own authority', () => {
  const files = new CertificateFiles();
  let platform: PlatformProcess;
  beforeAll(async () => {
    files.write(selfSignedCertificate());
    platform = await PlatformProcess.start({ env: { ...files.env, TRIBO_DEMO_SPEED: '3' }, demo: true });
  }, TIMEOUT_MS);
  afterAll(async () => {
    await platform[Symbol.asyncDispose]();
    files[Symbol.dispose]();
  });

  it(
    'signs in by a link that opens over HTTPS, with a cookie for HTTPS alone',
    async () => {
      const link = new URL(platform.signInLink);
      expect(link.protocol).toBe('https:');
      expect((await fetch(link)).status).toBe(200);
      const signIn = await fetch(new URL('/v1/session', link), {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ code: link.searchParams.get('code') }),
      });
      expect(signIn.status).toBe(201);
      expect(signIn.headers.get('set-cookie')).toMatch(/^__Host-tribo_session=.*; Secure/);
    },
    TIMEOUT_MS,
  );

  it.each(SENDERS)(
    'prints lines of which that of %s works as pasted',
    async (sender) => {
      const machine = `by-${sender.replace('_', '-')}`;
      const { stdout, code } = await platform.command('device', 'add', machine);
      expect(code).toBe(0);
      const line = stdout.split('\n').find((each) => each.startsWith(`  ${sender} `)) ?? '';
      expect(line).toContain(`'${files.env.TRIBO_TLS_CERT}'`);
      const before = Date.now();
      await promisify(execFile)('sh', ['-c', line]);
      await until('its reading is stored', async () => {
        const path = `/v1/machines/${machine}/series?site=${SITE}&metric=velocity_rms&from=${before - 1000}&to=${before + 60_000}`;
        return (await platform.api.request<Series>('GET', path)).columns['value']?.[0] === 2.31;
      });
    },
    TIMEOUT_MS,
  );

  it(
    'takes the same message by MQTT over TLS from a device that trusts the certificate, and says so in its ledger',
    async () => {
      const { stdout } = await platform.command('--json', 'device', 'add', 'press-7');
      const { secret, topics } = JSON.parse(stdout) as AddedDevice;
      const device = await MqttDevice.connect(platform.mqttPort, {
        protocol: 'mqtts',
        ca: readFileSync(files.env.TRIBO_TLS_CERT),
        clientId: 'press-7',
        username: 'press-7',
        password: secret,
      });
      await device.publishTo(topics[0] ?? '', JSON.stringify({ id: 'one', ts: Date.now(), metrics: { rpm: 1480 } }));
      await device.disconnect();
      await until('it is there', async () => isSeen(platform, 'press-7'));
      expect(await platform.ledger()).toMatchObject({ exact: true });
    },
    TIMEOUT_MS,
  );

  it.each(['mqtt', 'http'])(
    'takes what the simulator sends by %s',
    async (mode) => {
      const given = ['simulate', '--mode', mode, '--site', mode, '--machines', 'press-1', '--for', '3'];
      const { code, stdout, stderr } = await platform.command('--json', ...given);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      const { devices } = JSON.parse(stdout) as { devices: Record<string, { acknowledged: number }> };
      expect(Object.values(devices)[0]?.acknowledged).toBeGreaterThan(0);
    },
    TIMEOUT_MS,
  );

  it(
    'takes a recording that is replayed to it, each value at its time',
    async () => {
      const folder = mkdtempSync(join(tmpdir(), 'tribo-recordings-'));
      const times = Array.from({ length: 50 }, (_, i) => 1_700_000_000_000 + i * 1000);
      writeFileSync(join(folder, 'lathe-1.csv'), `t,x\n${times.map((ts, i) => `${ts},${i}`).join('\n')}\n`);
      const mapping = join(folder, 'mapping.yaml');
      const columns = 'columns: { x: { metric: x, unit: "1" } }';
      writeFileSync(mapping, `timestamp: { column: t, format: epoch-ms }\nmachine: "{file}"\n${columns}\n`);
      const given = [
        'replay',
        folder,
        '--format',
        'csv',
        '--mapping',
        mapping,
        '--site',
        'replayed',
        '--times',
        'keep',
      ];
      const { code, stdout } = await platform.command('--json', ...given);
      rmSync(folder, { recursive: true });
      expect(code).toBe(0);
      expect(JSON.parse(stdout)).toMatchObject({ items: 50, ledger: { exact: true } });
      const path = `/v1/machines/lathe-1/series?site=replayed&metric=x&from=${times[0]!}&to=${times[49]! + 1}`;
      const { ts, columns: stored } = await platform.api.request<Series>('GET', path);
      expect({ ts, value: stored['value'] }).toEqual({ ts: times, value: times.map((_, i) => i) });
    },
    TIMEOUT_MS,
  );

  it(
    'has its demo plant sending, and nothing for the doctor to find',
    async () => {
      await until('the demo plant is there', async () => isSeen(platform, 'pump-1'));
      const { stdout, code } = await platform.command('--json', 'doctor');
      expect(code).toBe(0);
      const names = (JSON.parse(stdout) as { name: string }[]).map(({ name }) => name);
      expect(names).toEqual(expect.arrayContaining(['certificate', 'certificate names', 'certificate in use']));
      expect(await platform.ledger()).toMatchObject({ exact: true });
    },
    TIMEOUT_MS,
  );

  it(
    'presents a renewed certificate after SIGHUP, and keeps the one it has when the files cannot be used',
    async () => {
      const renewed = selfSignedCertificate();
      const former = await presentedBy(platform);
      files.write({ ...renewed, key: selfSignedCertificate().key });
      process.kill(platform.pid, 'SIGHUP');
      await until('it says why not', async () => platform.log.includes('the former certificate stays in use'));
      expect(await presentedBy(platform)).toEqual(former);

      files.write(renewed);
      process.kill(platform.pid, 'SIGHUP');
      await until('both servers present it', async () => presents(platform, renewed));
      expect(await platform.command('doctor')).toMatchObject({ code: 0 });
      const { accepted } = await platform.ledger();
      await until('the demo plant goes on', async () => (await platform.ledger()).accepted > accepted);
      expect((await platform.stop()).code).toBe(0);
    },
    TIMEOUT_MS,
  );
});

describe('a platform with --split, a public name and a certificate of an authority of the plant', () => {
  const files = new CertificateFiles();
  const authority = certificateAuthority();
  const names = ['localhost', 'tribo.plant.example'];
  let platform: PlatformProcess;
  beforeAll(async () => {
    writeFileSync(files.authority, authority.cert);
    files.write(issuedCertificate(authority, { names }));
    const env = {
      ...files.env,
      TRIBO_TLS_CA_FILE: files.authority,
      TRIBO_PUBLIC_URL: 'https://tribo.plant.example:8443',
      TRIBO_SPLIT: 'true',
    };
    platform = await PlatformProcess.start({ env, demo: true });
  }, TIMEOUT_MS);
  afterAll(async () => {
    await platform[Symbol.asyncDispose]();
    files[Symbol.dispose]();
  });

  it(
    'shows people and devices the public name, and is reached by commands under the one that loopback has',
    async () => {
      expect(platform.signInLink).toMatch(/^https:\/\/tribo\.plant\.example:8443\/sign-in\?code=/);
      const { stdout } = await platform.command('device', 'add', 'press-7');
      const trusted = `'${files.authority}'`;
      expect(stdout).toContain(`mosquitto_pub -h tribo.plant.example -p ${platform.mqttPort} --cafile ${trusted} `);
      expect(stdout).toContain(`curl -sS --cacert ${trusted} https://tribo.plant.example:8443/v1/telemetry `);
      const { servers } = await platform.api.request<{ servers: object }>('GET', '/asyncapi.json');
      expect(servers).toMatchObject({
        mqtt: { host: `tribo.plant.example:${platform.mqttPort}`, protocol: 'secure-mqtt' },
        http: { host: 'tribo.plant.example:8443', protocol: 'https' },
      });
      const link = await platform.command('token', 'sign-in', 'ada');
      expect(link.stdout).toMatch(/^https:\/\/tribo\.plant\.example:8443\//);
    },
    TIMEOUT_MS,
  );

  it(
    'has its demo plant sending, and presents a renewed certificate in each process after SIGHUP',
    async () => {
      await until('the demo plant is there', async () => isSeen(platform, 'pump-1'));
      const renewed = issuedCertificate(authority, { names });
      files.write(renewed);
      const outdated = await platform.command('doctor');
      expect(outdated).toMatchObject({ code: 70, stdout: expect.stringContaining('kill -HUP') });
      process.kill(platform.pid, 'SIGHUP');
      await until('both servers present it', async () => presents(platform, renewed));
      await until('the doctor finds nothing', async () => (await platform.command('doctor')).code === 0);
      expect(await platform.ledger()).toMatchObject({ exact: true });
    },
    TIMEOUT_MS,
  );
});

async function isSeen(platform: PlatformProcess, machine: string): Promise<boolean> {
  const path = `/v1/machines/${machine}?site=${SITE}`;
  return (await platform.api.request<MachineDetail>('GET', path)).lastSeenMs !== undefined;
}

/** Fingerprints of what the API and the broker present; whether it is trusted is not the question. */
async function presentedBy({ api, mqttPort }: PlatformProcess): Promise<readonly string[]> {
  return Promise.all(
    [Number(new URL(api.url).port), mqttPort].map(async (port) => {
      const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false });
      await once(socket, 'secureConnect');
      const { fingerprint256 = '' } = socket.getPeerX509Certificate() ?? {};
      socket.destroy();
      return fingerprint256;
    }),
  );
}

async function presents(platform: PlatformProcess, { cert }: TestCertificate): Promise<boolean> {
  const { fingerprint256 } = new X509Certificate(cert);
  return (await presentedBy(platform)).every((each) => each === fingerprint256);
}

function isOnPath(program: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
