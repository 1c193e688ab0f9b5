import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Series } from '#services/api-gateway/schemas/machines.ts';
import type { IsoVerdict, WaveformFeaturesView, WaveformList } from '#services/api-gateway/schemas/waveforms.ts';
import type { ReplayVerdict } from '#services/platform/cli/replay-report.ts';
import { PlatformProcess, until } from '#test/support/platform-process.ts';

const TIMEOUT_MS = 300_000;
const CLI = fileURLToPath(new URL('../../services/platform/bin/tribo.js', import.meta.url));
const EXAMPLE = fileURLToPath(new URL('../../environments/replay-mapping.yaml', import.meta.url));
const MACHINES = ['lathe-1', 'lathe-2', 'lathe-3'];
const ROWS = 15_000;
const INTERRUPTED = 130;

interface ReplayOutput {
  readonly resumed: boolean;
  readonly items: number;
  readonly report: readonly ReplayVerdict[];
  readonly ledger: { readonly exact: boolean; readonly stored: number; readonly pending: number };
}

let platform: PlatformProcess;
let folder: string;
let site = '';
let runs = 0;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tribo-recordings-'));
  for (const machine of MACHINES) {
    const rows = Array.from({ length: ROWS }, (_, i) => `${1_700_000_000_000 + i * 10},${i}`);
    writeFileSync(join(folder, `${machine}.csv`), `t,x\n${rows.join('\n')}\n`);
  }
  writeFileSync(
    join(folder, 'mapping.yaml'),
    'timestamp: { column: t, format: epoch-ms }\nmachine: "{file}"\ncolumns: { x: { metric: x, unit: "1" } }\n',
  );
  platform = await PlatformProcess.start();
}, TIMEOUT_MS);

afterAll(async () => {
  await platform[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

describe('a replay through a running platform', () => {
  it.each(['SIGINT', 'SIGKILL'] as const)(
    'that was ended by %s goes on with the same command, and every reading is stored once',
    async (signal) => {
      nextSite();
      const before = await platform.drainedLedger();
      const first = startReplay();
      await until('a part of it is stored', async () => (await storedSince(before.stored)) > 2000);
      const exit = once(first, 'exit');
      first.kill(signal);
      const [code] = (await exit) as [number | null];
      expect(code).toBe(signal === 'SIGINT' ? INTERRUPTED : null);
      expect(await storedSince(before.stored)).toBeLessThan(MACHINES.length * ROWS);

      const { code: goneOn, stdout } = await platform.command('--json', ...replayCommand());
      expect(goneOn).toBe(0);
      expect(JSON.parse(stdout)).toMatchObject({ resumed: true, ledger: { exact: true, pending: 0 } });
      expect(await storedSince(before.stored)).toBe(MACHINES.length * ROWS);
      await expectEachOnce();
    },
    TIMEOUT_MS,
  );

  it(
    'waits for a platform that is killed and started again in the middle, and every reading is stored once',
    async () => {
      nextSite();
      const before = await platform.drainedLedger();
      const running = startReplay();
      let stdout = '';
      running.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text));
      await until('a part of it is stored', async () => (await storedSince(before.stored)) > 2000);
      const exit = once(running, 'exit');
      await platform.kill();
      await platform.startAgain();
      const [code] = (await exit) as [number | null];
      expect(code).toBe(0);
      const output = JSON.parse(stdout) as ReplayOutput;
      expect(output).toMatchObject({ items: MACHINES.length * ROWS, ledger: { exact: true, pending: 0 } });
      expect(await storedSince(before.stored)).toBe(MACHINES.length * ROWS);
      await expectEachOnce();
    },
    TIMEOUT_MS,
  );
});

describe('a newcomer’s own recording', () => {
  it(
    'is replayed by the example mapping that ships, and its alarms and rates are told',
    async () => {
      const own = mkdtempSync(join(tmpdir(), 'tribo-own-'));
      cpSync(EXAMPLE, join(own, 'mapping.yaml'));
      const second = (i: number) =>
        new Date(Date.UTC(2025, 2, 4, 10, 0, i)).toISOString().slice(0, 19).replace('T', ' ');
      const rows = Array.from({ length: 100 }, (_, i) => `${second(i)};7;${2 + i / 100};61;anna`);
      writeFileSync(join(own, 'march.csv'), `time;unit;Vib [mm/s];Temp [C];operator\n${rows.join('\n')}\n`);
      const given = ['replay', '--format', 'csv', '--mapping', join(own, 'mapping.yaml'), '--site', 'own', own];
      const { code, stdout, stderr } = await platform.command(...given, '--report');
      // On a slow machine it says how far it is.
      expect({ code, stderr: stderr.replaceAll(/^\d+% \|.*\n/gm, '') }).toEqual({ code: 0, stderr: '' });
      expect(stdout).toContain('100 messages (200 items) of 1 machine in ');
      expect(stdout).toContain('press-7');
      writeFileSync(
        join(own, 'april.csv'),
        'time;unit;Vib [mm/s];Temp [C];operator\n2025-04-04 10:00:00;7;broken;61;anna\n',
      );
      const refused = await platform.command(...given);
      expect(refused.code).toBe(65);
      expect(refused.stderr).toContain(`${join(own, 'april.csv')}:2 column "Vib [mm/s]": "broken" is no number`);
      rmSync(own, { recursive: true });
    },
    TIMEOUT_MS,
  );
});

describe('records of 0.1 s from a small rig, as PRONOSTIA’s are', () => {
  it(
    'get no verdict by ISO 20816-3 through the platform, whose API says why, and raise no alarm of a zone',
    async () => {
      const own = mkdtempSync(join(tmpdir(), 'tribo-rig-'));
      const rig = { rpm: 1800, fs: 25_600, samplesPerSnapshot: 2560, intervalSeconds: 10, scale: 0.002 };
      writeFileSync(join(own, 'manifest.json'), JSON.stringify([{ file: 'Rig1.i16', snapshots: 12, ...rig }]));
      writeFileSync(
        join(own, 'Rig1.i16'),
        Int16Array.from({ length: 12 * 2560 }, (_, i) => 300 * Math.sin(i / 40) + (i % 97)),
      );
      const given = ['--json', 'replay', '--format', 'pronostia', '--report', own];
      const { code, stdout } = await platform.command(...given);
      rmSync(own, { recursive: true });
      expect(code).toBe(0);
      const { report, ledger } = JSON.parse(stdout) as ReplayOutput;
      expect(ledger.exact).toBe(true);
      expect(report).toMatchObject([{ machine: 'pronostia-Rig1', lifeS: 110, raisedAfterS: [], reasons: [] }]);
      let verdicts: readonly IsoVerdict[] = [];
      await until('the features of all records are computed', async () => {
        verdicts = await isoVerdicts('pronostia', 'pronostia-Rig1');
        return !verdicts.some((each) => each.verdict === 'none' && each.codes.includes('no_features'));
      });
      expect(verdicts.length).toBe(12);
      for (const verdict of verdicts) {
        expect(verdict).toMatchObject({
          verdict: 'none',
          codes: ['power_out_of_scope', 'unknown_support', 'record_too_short'],
          reason: expect.stringContaining('lasts 0.1 s; resolving 10 Hz takes at least 0.4 s'),
        });
      }
    },
    TIMEOUT_MS,
  );
});

/** What the API says of ISO 20816-3 for each waveform of a machine. */
async function isoVerdicts(at: string, machine: string): Promise<readonly IsoVerdict[]> {
  const list = `/v1/machines/${machine}/waveforms?site=${at}&limit=100`;
  const { items } = await platform.api.request<WaveformList>('GET', list);
  const features = items.map(({ id }) =>
    platform.api.request<WaveformFeaturesView>('GET', `/v1/waveforms/${encodeURIComponent(id)}/features`),
  );
  return (await Promise.all(features)).map(({ isoZone }) => isoZone);
}

/** A site of its own for each test: the same recordings are a new replay there. */
function nextSite(): void {
  runs += 1;
  site = `site-${runs}`;
}

/** At its own speed times 20, so that there is a middle to end it in. */
function replayCommand(): string[] {
  const mapping = join(folder, 'mapping.yaml');
  return ['replay', folder, '--format', 'csv', '--mapping', mapping, '--site', site, '--speed', '20'];
}

function startReplay(): ChildProcess {
  return spawn(process.execPath, [CLI, '--json', ...replayCommand(), '--data-dir', platform.dataDir], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
}

async function storedSince(before: number): Promise<number> {
  return (await platform.ledger()).stored - before;
}

/** What is stored of each machine is each value of its recording, once. */
async function expectEachOnce(): Promise<void> {
  for (const machine of MACHINES) {
    const query = new URLSearchParams({
      site,
      metric: 'x',
      from: '0',
      to: String(Date.now() + 60_000),
      limit: '20000',
    });
    const series = await platform.api.request<Series>('GET', `/v1/machines/${machine}/series?${query.toString()}`);
    expect(series.columns['value']).toEqual(Array.from({ length: ROWS }, (_, i) => i));
  }
}
