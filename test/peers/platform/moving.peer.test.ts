import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { FileObjectStore } from '#adapters/embedded/file-object-store/file-object-store.ts';
import type { AlarmView } from '#services/api-gateway/schemas/alarms.ts';
import type { LedgerView } from '#services/api-gateway/schemas/ledger.ts';
import { untilAnalysed } from '#services/platform/cli/analysed.ts';
import { request } from '#test/support/edge-requests.ts';
import {
  PlatformProcess,
  runCommand,
  SITE,
  spawnCli,
  until,
  type DeviceLogin,
} from '#test/support/platform-process.ts';
import { signalGroup } from '#test/support/process-group.ts';
import { siteChecksums } from '#test/support/site-parts.ts';
import { postgresSite, type BucketSite } from './postgres-site.ts';

const INSTALLS_WITHIN_MS = 900_000;
const TIMEOUT_MS = 240_000;
const QUIET = { TRIBO_LOG_LEVEL: 'error' };
/** So many that a command which moves them can be killed meanwhile. */
const OBJECTS = 400;
const MESSAGES = 20;
const RULE = { kind: 'threshold', id: 'hot', text: 'Too hot', metric: 'heat', direction: 'above', limit: 200 };
const SAMPLES = Float32Array.from({ length: 1024 }, (_, at) => Math.sin(at));

interface Sample {
  readonly id: string;
  readonly ts: number;
  readonly metrics: { readonly heat: number };
}

/** Steps, each after the one before. */
describe('a site that moves to PostgreSQL and S3, and back', () => {
  const opened = new AsyncDisposableStack();
  const beganMs = Date.now() - 60_000;
  let root: string;
  let away: BucketSite;
  let awayEnv: Record<string, string>;
  let device: DeviceLogin;
  let first: PlatformProcess;
  let second: PlatformProcess;
  let waveformId: string;
  let known: unknown;
  let ledger: Settled;
  const sent: Sample[] = [];
  const folder = (name: string) => join(root, name);
  const step = (what: string, run: () => Promise<void>) => it(what, run, TIMEOUT_MS);

  beforeAll(async () => {
    root = mkdtempSync(join(tmpdir(), 'tribo-moving-'));
    opened.defer(() => rmSync(root, { recursive: true }));
    away = opened.use(await postgresSite());
    awayEnv = { ...QUIET, TRIBO_PORTS_FILE: join(root, 'ports.json') };
    writeFileSync(awayEnv['TRIBO_PORTS_FILE']!, JSON.stringify(away.ports));
    first = opened.use(await PlatformProcess.start({ env: QUIET }));
    [device] = (await first.addDevices(['oven', 'pump'], 1)) as [DeviceLogin];
  }, INSTALLS_WITHIN_MS);
  afterAll(() => opened.disposeAsync());

  const authorization = () => `Basic ${Buffer.from(`${device.device}:${device.secret}`).toString('base64')}`;
  const send = async (to: PlatformProcess, sample: Sample): Promise<void> => {
    const headers = { authorization: authorization(), 'content-type': 'application/json' };
    const body = JSON.stringify({ site: SITE, machine: 'oven', messages: [sample] });
    expect((await request(to, '/v1/telemetry', { method: 'POST', headers, body })).status).toBe(202);
  };
  const sendNew = async (to: PlatformProcess): Promise<void> => {
    const sample = { id: `heat-${sent.length}`, ts: Date.now(), metrics: { heat: 250 + (sent.length % 7) } };
    sent.push(sample);
    await send(to, sample);
  };
  const hotAlarms = async (of: PlatformProcess) => {
    const path = `/v1/alarms?machine=oven&site=${SITE}`;
    const { items } = await of.api.request<{ items: readonly AlarmView[] }>('GET', path);
    return items.filter(({ parts }) => parts.some(({ source }) => source.id === RULE.id));
  };
  /** What people see of what was before the move. */
  const answers = async (of: PlatformProcess): Promise<unknown> => {
    const [alarm] = await hotAlarms(of);
    const paths = [
      `/v1/machines/oven/series?site=${SITE}&metric=heat&from=${beganMs}&to=${beganMs + 3_600_000}`,
      `/v1/plant?site=${SITE}`,
      `/v1/machines/pump/waveforms?site=${SITE}&from=${beganMs}&to=${beganMs + 3_600_000}`,
      `/v1/waveforms/${waveformId}/spectrum`,
      `/v1/waveforms/${waveformId}/features`,
      '/v1/rules/hot/history',
      `/v1/alarms/${alarm!.id}/journal`,
    ];
    const bodies = await Promise.all(paths.map((path) => of.api.request('GET', path)));
    const { id, state, acknowledged, active, raisedMs } = alarm!;
    return [{ id, state, acknowledged, active, raisedMs }, ...bodies];
  };

  step(
    'has readings, a waveform with its features, a rule with a history and an alarm that somebody has seen',
    async () => {
      await first.api.request('PUT', '/v1/rules/hot', RULE, { 'if-none-match': '*' });
      await first.api.request('PUT', '/v1/rules/hot', { ...RULE, limit: 220 }, { 'if-match': '"1"' });
      const form = `site=${SITE}&machine=pump&sensor=de&sampleRateHz=1024&unit=g&encoding=f32le&ts=${Date.now()}`;
      const headers = { authorization: authorization(), 'content-type': 'application/octet-stream' };
      const body = Buffer.from(SAMPLES.buffer);
      expect((await request(first, `/v1/waveforms?${form}`, { method: 'POST', headers, body })).status).toBe(202);
      for (let count = 0; count < MESSAGES; count++) await sendNew(first);
      await until('the alarm is raised', async () => {
        await sendNew(first);
        return (await hotAlarms(first)).length > 0;
      });
      const [alarm] = await hotAlarms(first);
      await first.api.request('POST', `/v1/alarms/${alarm!.id}/acknowledge`, { comment: 'seen' });
      await send(first, sent[0]!);
      const path = `/v1/machines/pump/waveforms?site=${SITE}&from=${beganMs}&to=${beganMs + 3_600_000}`;
      await until('the features are there', async () => {
        const { items } = await first.api.request<{ items: readonly { readonly id: string }[] }>('GET', path);
        waveformId = items[0]?.id ?? '';
        const features = `/v1/waveforms/${waveformId}/features`;
        return first.api.request('GET', features).then(
          () => true,
          () => false,
        );
      });
      ledger = settledOf((await untilAnalysed(first.api)).ledger);
      expect(ledger).toMatchObject({ exact: true, stored: sent.length + 1, duplicate: 1 });
      expect(alarm).toMatchObject({ state: 'unacknowledged' });
      known = await answers(first);
      expect(await first.stop()).toMatchObject({ code: 0 });
      const objects = new FileObjectStore({ directory: join(first.dataDir, 'objects') });
      for (let at = 0; at < OBJECTS; at++) await objects.put(`kept/${at}`, Buffer.from(`object ${at}`));
    },
  );

  step('is exported, on after a kill -9', async () => {
    const parts = join(folder('out'), 'parts.ndjson');
    const given = ['site', 'export', folder('out'), '--data-dir', first.dataDir];
    await kill(given, QUIET, async () => existsSync(parts) && readFileSync(parts).includes('\n'));
    expect(existsSync(join(folder('out'), 'complete.json'))).toBe(false);
    expect(await runCommand(given, QUIET)).toMatchObject({ code: 0, stderr: '' });
  });

  step('is imported, on after a kill -9, and its export is the same by its checksums', async () => {
    const prepare = async (dataDir: string): Promise<void> => {
      const given = ['site', 'import', folder('out'), '--data-dir', dataDir];
      await kill(given, awayEnv, async () => !(await away.isBucketEmpty()));
      expect(await runCommand(given, awayEnv)).toMatchObject({ code: 0, stderr: '' });
      const again = ['site', 'export', folder('again'), '--data-dir', dataDir];
      expect(await runCommand(again, awayEnv)).toMatchObject({ code: 0, stderr: '' });
    };
    second = opened.use(await PlatformProcess.start({ env: awayEnv, prepare }));
    expect(await siteChecksums(folder('again'))).toEqual(await siteChecksums(folder('out')));
  });

  step('is there what it was: ledger, alarms, rules, waveforms', async () => {
    expect(settledOf(await second.drainedLedger())).toEqual(ledger);
    expect(await answers(second)).toEqual(known);
  });

  step('recognises what devices sent to the old site, and goes on', async () => {
    for (const sample of sent) await send(second, sample);
    await sendNew(second);
    const { accepted, stored, duplicate } = ledger;
    ledger = {
      ...ledger,
      accepted: accepted + sent.length,
      stored: stored + 1,
      duplicate: duplicate + sent.length - 1,
    };
    expect(settledOf((await untilAnalysed(second.api)).ledger)).toEqual(ledger);
    known = await answers(second);
    expect(await second.stop()).toMatchObject({ code: 0 });
  });

  step('comes back the same way, and is what it was there', async () => {
    expect(await second.command('site', 'export', folder('home'))).toMatchObject({ code: 0, stderr: '' });
    const prepare = async (dataDir: string): Promise<void> => {
      for (const given of [
        ['import', folder('home')],
        ['export', folder('home-again')],
      ])
        expect(await runCommand(['site', ...given, '--data-dir', dataDir], QUIET)).toMatchObject({
          code: 0,
          stderr: '',
        });
    };
    await using third = await PlatformProcess.start({ env: QUIET, prepare });
    expect(await siteChecksums(folder('home-again'))).toEqual(await siteChecksums(folder('home')));
    expect(settledOf(await third.drainedLedger())).toEqual(ledger);
    expect(await answers(third)).toEqual(known);
    for (const sample of sent) await send(third, sample);
    const { accepted, duplicate } = ledger;
    expect(settledOf(await third.drainedLedger())).toEqual({
      ...ledger,
      accepted: accepted + sent.length,
      duplicate: duplicate + sent.length,
    });
  });
});

type Settled = Pick<
  LedgerView,
  'accepted' | 'stored' | 'duplicate' | 'rejected' | 'deadLettered' | 'pending' | 'lost' | 'exact'
>;

function settledOf(ledger: LedgerView): Settled {
  const { accepted, stored, duplicate, rejected, deadLettered, pending, lost, exact } = ledger;
  return { accepted, stored, duplicate, rejected, deadLettered, pending, lost, exact };
}

/** Ends a command by -9 as soon as something holds, which is while it is at work. */
async function kill(
  given: readonly string[],
  env: Readonly<Record<string, string>>,
  isUnderWay: () => Promise<boolean>,
): Promise<void> {
  const command = spawnCli(given, env);
  const exit = once(command, 'exit') as Promise<[number | null, string | null]>;
  let said = '';
  for (const stream of [command.stdout, command.stderr]) stream?.on('data', (text: Buffer) => (said += String(text)));
  while (command.exitCode === null && !(await isUnderWay())) await sleep(1);
  signalGroup(command.pid ?? 0, 'SIGKILL');
  expect([said, ...(await exit)]).toEqual([said, null, 'SIGKILL']);
}
