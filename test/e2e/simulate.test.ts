import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { AddedDevice } from '#services/api-gateway/schemas/devices.ts';
import type { Series } from '#services/api-gateway/schemas/machines.ts';
import type { SimulatorStats } from '#services/edge-simulator/simulator.ts';
import { PlatformProcess, until } from '#test/support/platform-process.ts';

const TIMEOUT_MS = 300_000;
const CLI = fileURLToPath(new URL('../../services/platform/bin/tribo.js', import.meta.url));
const TWO_MACHINES = ['--machines', 'pump-1,press-1'];

let platform: PlatformProcess;

beforeAll(async () => {
  platform = await PlatformProcess.start();
}, TIMEOUT_MS);

afterAll(async () => {
  await platform[Symbol.asyncDispose]();
});

describe('tribo simulate', () => {
  it.each(['mqtt', 'http'] as const)(
    'registers its machines, sends by %s, stops cleanly, and every acknowledged message is stored',
    async (mode) => {
      const before = await platform.drainedLedger();
      const given = ['simulate', '--mode', mode, '--site', `by-${mode}`, ...TWO_MACHINES, '--for', '8'];
      const { code, stdout } = await platform.command('--json', ...given);
      expect(code).toBe(0);
      const { devices, machines } = JSON.parse(stdout) as SimulatorStats;
      expect(Object.keys(machines).toSorted()).toEqual(['press-1', 'pump-1']);
      const [device] = Object.values(devices);
      expect(device).toMatchObject({ dropped: 0, refused: 0 });
      expect(device?.acknowledged).toBeGreaterThan(4);
      const after = await platform.drainedLedger();
      expect(after.exact).toBe(true);
      // What was under way when it stopped may have been stored without its acknowledgement.
      expect(after.stored - before.stored).toBeGreaterThanOrEqual(device?.acknowledged ?? Infinity);
      expect(after.rejected).toBe(before.rejected);
    },
    TIMEOUT_MS,
  );

  it(
    'keeps what it cannot deliver while the platform is away, goes on when it is back, and tells the gap that its bound left',
    async () => {
      const running = simulate('--site', 'away', ...TWO_MACHINES, '--queue-mib', '0.1');
      let [stdout, stderr] = ['', ''];
      running.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text));
      running.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
      await until('it has sent something', async () => ((await latest('velocity_rms'))?.length ?? 0) > 0);
      await platform.stop();
      await until('its queue is full', async () => stderr.includes('the queue is full'));
      await platform.startAgain();
      // What the bound drops first may be of either machine alone: a waveform fills a segment by itself.
      const told = async () => (await gapTold('pump-1')) + (await gapTold('press-1'));
      await until('it tells of the gap', async () => (await told()) > 0);
      const exit = once(running, 'exit');
      running.kill('SIGINT');
      expect(await exit).toEqual([0, null]);
      expect(stderr).toContain('not delivered; messages are kept and sent later');
      const stats = JSON.parse(stdout) as SimulatorStats;
      expect(await told()).toBeLessThanOrEqual(stats.devices['simulator-away']?.dropped ?? 0);
      expect(await platform.drainedLedger()).toMatchObject({ exact: true, deadLettered: 0 });
    },
    TIMEOUT_MS,
  );

  it.each([
    {
      what: 'a machine that it does not know',
      given: ['--machines', 'pump-1,pmup-2'],
      code: 64,
      says: ['there is no simulated machine pmup-2', 'fan-1'],
    },
    {
      what: 'a device without its secret',
      given: ['--device', 'd'],
      code: 64,
      says: ['--device d needs its --secret'],
    },
    {
      what: 'a device that is not there',
      given: ['--device', 'nobody', '--secret', 's'],
      code: 66,
      says: ['there is no device nobody', 'tribo device list'],
    },
    { what: 'a speed of 0', given: ['--speed', '0'], code: 64, says: ['--speed must be a number above 0'] },
  ])(
    'refuses $what before it sends anything',
    async ({ given, code, says }) => {
      const { stderr, ...refused } = await platform.command('simulate', '--site', 'refused', ...given);
      expect(refused.code).toBe(code);
      for (const text of says) expect(stderr).toContain(text);
    },
    TIMEOUT_MS,
  );

  it(
    'sends as a device that was made before, and says which machine that may not speak for',
    async () => {
      await platform.api.request('PUT', '/v1/machines/pump-1?site=own', { id: 'pump-1', class: 'pump' });
      const machines = [{ site: 'own', machine: 'pump-1' }];
      const { secret } = await platform.api.request<AddedDevice>('POST', '/v1/devices', { id: 'gateway-1', machines });
      const asDevice = ['simulate', '--site', 'own', '--device', 'gateway-1', '--secret', secret, '--for', '5'];
      const sent = await platform.command('--json', ...asDevice, '--machines', 'pump-1');
      expect(sent.code).toBe(0);
      expect((JSON.parse(sent.stdout) as SimulatorStats).devices['gateway-1']?.acknowledged).toBeGreaterThan(0);
      const refused = await platform.command(...asDevice, ...TWO_MACHINES);
      expect(refused.code).toBe(77);
      expect(refused.stderr).toContain('device gateway-1 may not speak for own/press-1');
      expect(refused.stderr).toContain('npx tribo device bind gateway-1');
    },
    TIMEOUT_MS,
  );
});

function simulate(...given: readonly string[]): ChildProcess {
  return spawn(process.execPath, [CLI, '--json', 'simulate', ...given, '--data-dir', platform.dataDir], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

/** Messages of a machine at the site `away` that it says were dropped. */
async function gapTold(machine: string): Promise<number> {
  return Math.max(0, ...((await latest('gap_count', machine)) ?? []));
}

/** Values of a metric at the site `away`; undefined while the machine is not there. */
async function latest(metric: string, machine = 'pump-1'): Promise<readonly number[] | undefined> {
  const query = new URLSearchParams({ site: 'away', metric, from: '0', to: String(Date.now() + 60_000) });
  const path = `/v1/machines/${machine}/series?${query.toString()}`;
  const series = await platform.api.request<Series>('GET', path).catch(() => undefined);
  return series?.columns['value'];
}
