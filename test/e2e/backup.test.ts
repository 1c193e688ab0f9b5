import { appendFileSync, cpSync, existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { DeviceView } from '#services/api-gateway/schemas/devices.ts';
import { processOf } from '#services/shared/process/process-mark.ts';
import { publishAddress } from '#services/shared/process/service-address.ts';
import { PlatformProcess, runCommand, SITE, TENANT, type DeviceLogin } from '#test/support/platform-process.ts';

const TIMEOUT_MS = 240_000;
/** What of a data folder is no data: marks of the processes that run, what can be rebuilt, and the simulated devices' own queues. */
const NO_DATA =
  /^(platform\.(pid|json)|run|edge-simulator|time-series\/(temp|.*\.wal)|.*-(wal|shm))(\/|$)|\.lock(-journal)?$|\/lock\.mdb$|\/writer$/;

describe('backup, restore and export of a platform that runs', () => {
  let folder: string;
  let platform: PlatformProcess;
  let device: DeviceLogin;
  const ts = Date.now() - 60_000;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'tribo-e2e-backup-'));
    platform = await PlatformProcess.start({ env: { TRIBO_LOG_LEVEL: 'error' } });
    [device] = (await platform.addDevices(['press-1', 'pump-1'], 1)) as [DeviceLogin];
    await send('press-1', [1, 2, 3]);
    await send('pump-1', [10]);
    const waveform = Buffer.from(new Float32Array(1024).map((_, i) => Math.sin(i)).buffer);
    const address = `/v1/waveforms?site=${SITE}&machine=pump-1&sensor=de&sampleRateHz=1024&unit=g&encoding=f32le&ts=${ts}`;
    const headers = { authorization: authorization(), 'content-type': 'application/octet-stream' };
    const sent = await fetch(new URL(address, platform.url), { method: 'POST', headers, body: waveform });
    expect(sent.status).toBe(202);
    await platform.drainedLedger();
  }, TIMEOUT_MS);
  afterAll(async () => {
    await platform[Symbol.asyncDispose]();
    for (const name of readdirSync(tmpdir()))
      if (join(tmpdir(), name).startsWith(`${platform.dataDir}.`)) rmSync(join(tmpdir(), name), { recursive: true });
    rmSync(folder, { recursive: true, force: true });
  });

  it(
    'a backup has every file of the data folder, is readable by its owner alone, and is checked against its checksums',
    async () => {
      const backup = join(folder, 'whole');
      expect(await platform.command('backup', backup)).toMatchObject({ code: 0, stderr: '' });
      const held = filesBelow(join(backup, 'data'));
      const kept = filesBelow(platform.dataDir).filter((path) => !NO_DATA.test(path));
      expect(kept.filter((path) => !held.includes(path))).toEqual([]);
      expect(held).toContainEqual(expect.stringMatching(/^secrets\/local-identity\.keys\../));
      for (const path of held) expect(statSync(join(backup, 'data', path)).mode & 0o077).toBe(0);
      expect(statSync(backup).mode & 0o077).toBe(0);
      expect(await platform.command('--json', 'restore', '--check', backup)).toMatchObject({
        code: 0,
        stdout: expect.stringContaining(`"files":${held.length}`),
      });
      expect(await platform.command('backup', backup)).toMatchObject({
        code: 65,
        stderr: expect.stringContaining('is there already'),
      });
    },
    TIMEOUT_MS,
  );

  it.each([
    [
      'a changed file',
      (at: string) => appendFileSync(join(at, 'data', 'registry.db'), 'x'),
      'data/registry.db is not what was backed up',
    ],
    ['a missing file', (at: string) => rmSync(join(at, 'data', 'alarms.db')), 'data/alarms.db is missing'],
    ['no manifest, as one that was cut off', (at: string) => rmSync(join(at, 'manifest.ndjson')), 'not a whole backup'],
  ])(
    'a backup with %s is refused, and the platform goes on',
    async (what, damage, message) => {
      const damaged = join(folder, what.replaceAll(/\W/g, '-'));
      cpSync(join(folder, 'whole'), damaged, { recursive: true });
      damage(damaged);
      const restored = await platform.command('restore', '--force', damaged);
      expect(restored).toMatchObject({ code: 65, stderr: expect.stringContaining(message) });
      expect(existsSync(`${platform.dataDir}.restoring`)).toBe(false);
      expect(await platform.ledger()).toMatchObject({ exact: true, accepted: 5 });
    },
    TIMEOUT_MS,
  );

  it(
    'a restore without --force is refused and names the process',
    async () => {
      expect(await platform.command('restore', join(folder, 'whole'))).toMatchObject({
        code: 73,
        stderr: expect.stringContaining(`a platform (process ${platform.pid}) runs on ${platform.dataDir}`),
      });
    },
    TIMEOUT_MS,
  );

  it(
    'a restore with --force brings the platform back, in the same process, to what it was at the backup, and keeps what it had since',
    async () => {
      await send('press-1', [4]);
      expect(await platform.command('device', 'add', 'fan-1')).toMatchObject({ code: 0 });
      expect(await platform.drainedLedger()).toMatchObject({ accepted: 6, stored: 6 });
      const { code, stdout, stderr } = await platform.command('--json', 'restore', '--force', join(folder, 'whole'));
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      const { url, aside } = JSON.parse(stdout) as { url: string; aside: string };
      expect(platform.processes().map(({ pid }) => pid)).toContain(platform.pid);
      expect(platform.api.url).toBe(url);

      expect(await platform.drainedLedger()).toMatchObject({ exact: true, accepted: 5, stored: 5 });
      const { items } = await platform.api.request<{ items: DeviceView[] }>('GET', '/v1/devices');
      expect(items.map(({ id }) => id)).toEqual([device.device]);
      expect(await values(url, 'press-1')).toEqual([1, 2, 3]);
      expect(filesBelow(aside)).toContain('time-series/timeseries.duckdb');

      await send('press-1', [3, 4], url);
      expect(await platform.drainedLedger()).toMatchObject({ exact: true, stored: 6, duplicate: 1 });
      expect(await values(url, 'press-1')).toEqual([1, 2, 3, 4]);
    },
    TIMEOUT_MS,
  );

  it(
    'an export has the readings of the machine and range, as DuckDB reads them from Parquet',
    async () => {
      const exported = join(folder, 'exported');
      const range = ['--from', String(ts), '--to', String(ts + 3)];
      const { code, stderr } = await platform.command('export', exported, '--machine', 'press-1', ...range);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      const row = (value: number) => [TENANT, SITE, 'press-1', 'rpm', ts - 1 + value, value, 'good'];
      expect(await parquetRows(exported)).toEqual([row(1), row(2), row(3)]);
      const all = join(folder, 'exported-all');
      expect(await platform.command('export', all, ...range)).toMatchObject({ code: 0 });
      expect(await parquetRows(all)).toHaveLength(4);
      const none = ['--from', '2001-01-01', '--to', '2001-01-03'];
      expect(await platform.command('export', join(folder, 'none'), ...none)).toMatchObject({ code: 66 });
      expect(await platform.command('export', join(folder, 'none'), '--machine', 'nobody')).toMatchObject({
        code: 66,
        stderr: expect.stringContaining('There is no machine nobody.'),
      });
    },
    TIMEOUT_MS,
  );

  it(
    'a stopped platform is backed up and restored as well',
    async () => {
      await platform.stop();
      const backup = join(folder, 'stopped');
      expect(await platform.command('backup', backup)).toMatchObject({ code: 0 });
      expect(await platform.command('restore', backup)).toMatchObject({
        code: 73,
        stderr: expect.stringContaining('is not empty'),
      });
      expect(await platform.command('restore', '--force', backup)).toMatchObject({ code: 0 });
      await platform.startAgain();
      expect(await platform.drainedLedger()).toMatchObject({ exact: true, stored: 6, duplicate: 1 });
    },
    TIMEOUT_MS,
  );

  function authorization(): string {
    return `Basic ${Buffer.from(`${device.device}:${device.secret}`).toString('base64')}`;
  }

  /** One reading a message, a millisecond apart; the id is the value. */
  async function send(machine: string, readings: readonly number[], url = platform.url): Promise<void> {
    const messages = readings.map((rpm) => ({ id: `${machine}-${rpm}`, ts: ts + ((rpm - 1) % 9), metrics: { rpm } }));
    const response = await fetch(new URL('/v1/telemetry', url), {
      method: 'POST',
      headers: { authorization: authorization(), 'content-type': 'application/json' },
      body: JSON.stringify({ site: SITE, machine, messages }),
    });
    expect(response.status).toBe(202);
  }

  async function values(url: string, machine: string): Promise<unknown> {
    expect(platform.api.url).toBe(url);
    const path = `/v1/machines/${machine}/series?site=${SITE}&metric=rpm&from=${ts}&to=${ts + 1000}`;
    return (await platform.api.request<{ columns: { value: number[] } }>('GET', path)).columns.value;
  }
});

describe('a restore into a folder that services run on without a platform', () => {
  it(
    'is refused with their names, also with --force, and leaves the folder alone',
    async () => {
      const dataDir = mkdtempSync(join(tmpdir(), 'tribo-e2e-backup-'));
      try {
        const operationUrl = 'http://127.0.0.1:9';
        publishAddress(dataDir, 'alert-engine', { pid: 999_999_999, operationUrl });
        publishAddress(dataDir, 'feature-service', { ...processOf(process.pid), pid: process.pid, operationUrl });
        const services = `services run on ${dataDir}: feature-service (process ${process.pid})\n`;
        expect(await runCommand(['restore', 'any-backup', '--force', '--data-dir', dataDir])).toMatchObject({
          code: 73,
          stderr: expect.stringContaining(services),
        });
        expect(readdirSync(dataDir)).toEqual(['run']);
      } finally {
        rmSync(dataDir, { recursive: true });
      }
    },
    TIMEOUT_MS,
  );
});

async function parquetRows(folder: string): Promise<unknown[][]> {
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  try {
    const rows = await connection.runAndReadAll(`
      SELECT tenant, site, machine, metric, epoch_ms(ts), value, quality
      FROM read_parquet('${folder}/*.parquet') WHERE metric = 'rpm' ORDER BY ts, machine`);
    return rows.getRows().map((row) => row.map((value) => (typeof value === 'bigint' ? Number(value) : value)));
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1));
}
