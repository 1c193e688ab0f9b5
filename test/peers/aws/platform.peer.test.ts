import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { S3 } from '@aws-sdk/client-s3';
import { request } from '#test/support/edge-requests.ts';
import { PlatformProcess, runCommand, SITE, until } from '#test/support/platform-process.ts';
import { Moto } from '../moto.ts';

const TIMEOUT_MS = 120_000;
const BUCKET = 'tribo-platform';
const REGION = 'eu-central-1';
const MACHINE = 'm-0';
const SAMPLES = 4096;

let moto: Moto;
let s3: S3;
let folder: string;
let platform: PlatformProcess;

beforeAll(async () => {
  moto = await Moto.start();
  const { S3 } = await import('@aws-sdk/client-s3');
  s3 = new S3({ region: REGION, endpoint: moto.endpoint, forcePathStyle: true });
  await s3.createBucket({ Bucket: BUCKET, CreateBucketConfiguration: { LocationConstraint: REGION } });
  const objectStore = {
    ...{ adapter: 's3-object-store', bucket: BUCKET, region: REGION, prefix: 'plant/' },
    ...{ endpoint: moto.endpoint, forcePathStyle: true, timeoutMs: 2000 },
  };
  folder = mkdtempSync(join(tmpdir(), 'tribo-ports-'));
  const portsFile = join(folder, 'ports.json');
  writeFileSync(portsFile, JSON.stringify({ objectStore }));
  platform = await PlatformProcess.start({ env: { TRIBO_PORTS_FILE: portsFile, TRIBO_LOG_LEVEL: 'silent' } });
  await platform.addDevices([MACHINE], 1);
}, 300_000);

afterAll(async () => {
  await platform[Symbol.asyncDispose]();
  s3.destroy();
  await moto[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

function sendWaveform(id: string) {
  const samples = Int16Array.from({ length: SAMPLES }, (_, i) => 1000 * Math.sin(i / 4));
  const query = {
    ...{ site: SITE, machine: MACHINE, sensor: 'de', id, ts: String(Date.now()) },
    ...{ sampleRateHz: '25600', unit: 'g', encoding: 'i16le', scale: '0.001', rpm: '1480' },
  };
  return request(platform, `/v1/waveforms?${new URLSearchParams(query).toString()}`, {
    method: 'POST',
    headers: { 'content-type': 'application/octet-stream' },
    body: new Uint8Array(samples.buffer),
  });
}

async function keysInBucket(): Promise<readonly string[]> {
  const { Contents = [] } = await s3.listObjectsV2({ Bucket: BUCKET });
  return Contents.map(({ Key = '' }) => Key);
}

describe('a platform whose objects are in a bucket', () => {
  it(
    'keeps a waveform there and nowhere else, and makes its features and its spectrum of it',
    async () => {
      expect(await sendWaveform('w-1')).toMatchObject({ status: 202 });
      const waveforms = `/v1/machines/${MACHINE}/waveforms?site=${SITE}`;
      const listed = async () => (await platform.api.request<{ items: { id: string }[] }>('GET', waveforms)).items;
      await until('the waveform is listed', async () => (await listed()).length === 1);
      const id = (await listed())[0]!.id;
      const features = () => platform.api.request('GET', `/v1/waveforms/${id}/features`).catch(() => undefined);
      await until('its features are there', async () => (await features()) !== undefined);
      const spectrum = await platform.api.request<object>('GET', `/v1/waveforms/${id}/spectrum`);
      expect(spectrum).toMatchObject({ waveform: { id, sampleCount: SAMPLES } });
      expect(await keysInBucket()).toEqual([expect.stringMatching(/^plant\/.*\.waveform$/)]);
      const local = join(platform.dataDir, 'objects');
      expect(existsSync(local) ? readdirSync(local) : []).toEqual([]);
    },
    TIMEOUT_MS,
  );

  it(
    'acknowledges no waveform while the bucket does not answer, and says why',
    async () => {
      moto.pause();
      try {
        expect(await sendWaveform('w-2')).toMatchObject({ status: 504, problem: { remedy: expect.any(String) } });
      } finally {
        moto.goOn();
      }
      await until('waveforms are taken again', async () => (await sendWaveform('w-2')).status === 202);
      expect(await platform.drainedLedger()).toMatchObject({ exact: true, stored: 2 });
    },
    TIMEOUT_MS,
  );
});

it(
  'says of a backup that the objects are not in it, as it is taken and as it is checked',
  async () => {
    const backup = join(folder, 'backup');
    const notInIt = expect.stringContaining('NOT in it, as the site has it elsewhere: objectStore (s3-object-store).');
    expect(await platform.command('backup', backup)).toMatchObject({ code: 0, stdout: notInIt });
    expect(await platform.command('restore', '--check', backup)).toMatchObject({ code: 0, stdout: notInIt });
  },
  TIMEOUT_MS,
);

it(
  'says what is missing of the bucket, and starts nothing',
  async () => {
    const file = join(folder, 'wrong.yaml');
    writeFileSync(file, 'objectStore: { adapter: s3-object-store, bucket: b }');
    const { code, stderr } = await runCommand(['start', '--ports-file', file, '--data-dir', join(folder, 'data')]);
    expect(code).toBe(78);
    expect(stderr).toContain(`${file}:1: objectStore.bucket is wrong: `);
    expect(stderr).toContain(`${file}:1: objectStore.region is missing: `);
  },
  TIMEOUT_MS,
);
