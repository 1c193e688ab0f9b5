import { appendFileSync, existsSync, mkdtempSync, rmSync, statSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { request } from '#test/support/edge-requests.ts';
import { PlatformProcess, runCommand, SITE, TENANT, type DeviceLogin } from '#test/support/platform-process.ts';
import { siteChecksums, sitePartsOf } from '#test/support/site-parts.ts';

const TIMEOUT_MS = 240_000;
const env = { TRIBO_LOG_LEVEL: 'error' };
const RULE = { kind: 'threshold', id: 'hot', text: 'Too hot', metric: 'heat', direction: 'above', limit: 200 };

describe('a site that moves to another data folder', () => {
  const opened = new AsyncDisposableStack();
  let root: string;
  let folder: string;
  let platform: PlatformProcess;
  let device: DeviceLogin;

  beforeAll(async () => {
    root = mkdtempSync(join(tmpdir(), 'tribo-e2e-moving-'));
    folder = join(root, 'site');
    opened.defer(() => rmSync(root, { recursive: true }));
    platform = opened.use(await PlatformProcess.start({ env }));
    [device] = (await platform.addDevices(['press-1'], 1)) as [DeviceLogin];
    await platform.api.request('PUT', '/v1/rules/hot', RULE, { 'if-none-match': '*' });
    await platform.api.request('PUT', '/v1/rules/hot', { ...RULE, limit: 220 }, { 'if-match': '"1"' });
    await send(platform, 70);
    await platform.drainedLedger();
  }, TIMEOUT_MS);
  afterAll(() => opened.disposeAsync());

  const send = async (to: PlatformProcess, value: number): Promise<void> => {
    const messages = [{ id: `heat-${value}`, ts: Date.now(), metrics: { heat: value } }];
    const authorization = `Basic ${Buffer.from(`${device.device}:${device.secret}`).toString('base64')}`;
    const sent = await request(to, '/v1/telemetry', {
      method: 'POST',
      headers: { authorization, 'content-type': 'application/json' },
      body: JSON.stringify({ site: SITE, machine: 'press-1', messages }),
    });
    expect(sent.status).toBe(202);
  };
  const step = (what: string, run: () => Promise<void>) => it(what, run, TIMEOUT_MS);

  step('is not exported while it runs', async () => {
    expect(await platform.command('site', 'export', folder)).toMatchObject({
      code: 78,
      stderr: expect.stringContaining('is in use by another Tribo'),
    });
    expect(existsSync(folder)).toBe(false);
  });

  step('is told before how large it is, how long it takes and what it costs, which writes nothing', async () => {
    await platform.stop();
    const { stdout } = await platform.command('--json', 'site', 'export', folder, '--dry-run', '--egress-per-gb', '2');
    const { kinds, bytes, egressCost } = JSON.parse(stdout) as {
      kinds: readonly { readonly kind: string; readonly bytes: number }[];
      bytes: number;
      egressCost: number;
    };
    for (const kind of ['history', 'machines', 'devices', 'rules'])
      expect(kinds.find((each) => each.kind === kind)?.bytes).toBeGreaterThan(0);
    expect(egressCost).toBeCloseTo((2 * bytes) / 1e9);
    expect(existsSync(folder)).toBe(false);
  });

  step('is exported once, however often', async () => {
    const first = await platform.command('--json', 'site', 'export', folder);
    expect(first).toMatchObject({ code: 0, stderr: '' });
    expect(await platform.command('--json', 'site', 'export', folder)).toEqual(first);
    expect(await runCommand(['--json', 'site', 'import', folder, '--check'])).toMatchObject({ code: 0 });
  });

  step('is not imported under another name, nor into a site that ran', async () => {
    const other = ['--data-dir', join(root, 'other')];
    expect(await runCommand([...other, 'site', 'import', folder], { TRIBO_SITE: 'plant-2' })).toMatchObject({
      code: 78,
      stderr: expect.stringContaining(`set TRIBO_TENANT=${TENANT} and TRIBO_SITE=${SITE}`),
    });
    expect(existsSync(join(root, 'other'))).toBe(false);
    expect(await platform.command('site', 'import', folder)).toMatchObject({ code: 73 });
  });

  step('is there what it was, and goes on', async () => {
    const back = join(root, 'back');
    const prepare = async (dataDir: string): Promise<void> => {
      const at = ['--data-dir', dataDir];
      expect(await runCommand(['site', 'import', folder, ...at])).toMatchObject({ code: 0, stderr: '' });
      expect(await runCommand(['site', 'import', folder, ...at])).toMatchObject({ code: 0, stderr: '' });
      expect(await runCommand(['site', 'export', back, ...at])).toMatchObject({ code: 0, stderr: '' });
    };
    await using moved = await PlatformProcess.start({ env, prepare });
    expect(await siteChecksums(back)).toEqual(await siteChecksums(folder));
    expect(await moved.api.request('GET', '/v1/rules/hot')).toMatchObject({ version: 2, rule: { limit: 220 } });
    await send(moved, 71);
    expect(await moved.drainedLedger()).toMatchObject({
      exact: true,
      accepted: 2,
      stored: 2,
      duplicate: 0,
      imported: 1,
    });
  });

  step('is not imported where a part was changed', async () => {
    const [first] = await sitePartsOf(folder);
    appendFileSync(join(folder, first!.path), ' ');
    for (const given of [['--check'], ['--data-dir', join(root, 'damaged')]])
      expect(await runCommand(['site', 'import', folder, ...given])).toMatchObject({
        code: 65,
        stderr: expect.stringContaining(`${first!.path} in ${folder} is not what was exported`),
      });
  });

  step('is neither started, exported nor backed up where a part of it alone was imported', async () => {
    const at = ['--data-dir', join(root, 'damaged')];
    const into = join(root, 'of-a-part');
    for (const given of [
      ['start', '--no-demo', '--mqtt-port', '0', '--http-port', '0'],
      ['site', 'export', into],
      ['backup', into],
    ])
      expect(await runCommand([...given, ...at])).toMatchObject({
        code: 78,
        stderr: expect.stringContaining(`let the import go on (npx tribo site import ${folder})`),
      });
    expect(existsSync(into)).toBe(false);
    const { path } = (await sitePartsOf(folder))[0]!;
    truncateSync(join(folder, path), statSync(join(folder, path)).size - 1);
    expect(await runCommand(['site', 'import', folder, ...at])).toMatchObject({ code: 0, stderr: '' });
    expect(await runCommand(['site', 'export', into, ...at])).toMatchObject({ code: 0, stderr: '' });
    expect(await siteChecksums(into)).toEqual(await siteChecksums(folder));
  });
});
