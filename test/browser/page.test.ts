import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import type { AlarmView } from '#services/api-gateway/schemas/alarms.ts';
import type { Fleet } from '#services/api-gateway/schemas/machines.ts';
import { expectAccessible, launchChromium } from '#test/support/chromium.ts';
import { PlatformProcess, until } from '#test/support/platform-process.ts';

const TIMEOUT_MS = 300_000;
/** The machine may be busy: it only bounds what would wait for ever. */
const APPEARS_WITHIN_MS = 60_000;
const ALARM_WITHIN_MS = 180_000;
const ALL_STATES =
  'normal,unacknowledged,acknowledged,rtn-unacknowledged,latched,shelved,suppressed-by-design,out-of-service';

let platform: PlatformProcess;
let browser: Browser;
let context: BrowserContext;
let page: Page;

beforeAll(async () => {
  [platform, browser] = await Promise.all([
    PlatformProcess.start({ demo: true, env: { TRIBO_DEMO_SPEED: '3' } }),
    launchChromium(),
  ]);
  context = await browser.newContext();
  context.setDefaultTimeout(APPEARS_WITHIN_MS);
  page = await context.newPage();
}, TIMEOUT_MS);

afterAll(async () => {
  await browser.close();
  await platform[Symbol.asyncDispose]();
}, TIMEOUT_MS);

// In order: each test goes on in the session that the first one began.
describe('the page', () => {
  it(
    'signs in by the one-time link, which works once',
    async () => {
      await page.goto(platform.signInLink);
      await page.getByRole('heading', { name: 'Fleet' }).waitFor();
      expect(page.url()).not.toContain('code=');

      const stranger = await browser.newContext();
      const second = await stranger.newPage();
      await second.goto(platform.signInLink);
      await second.getByRole('alert').waitFor({ timeout: APPEARS_WITHIN_MS });
      expect(await second.getByRole('heading', { name: 'Fleet' }).count()).toBe(0);
      await stranger.close();
    },
    TIMEOUT_MS,
  );

  it(
    'shows every machine of the fleet',
    async () => {
      const { items } = await platform.api.request<Fleet>('GET', '/v1/machines?limit=500');
      expect(items.length).toBeGreaterThan(0);
      for (const { site, machine } of items)
        await page
          .getByRole('row')
          .filter({ hasText: `${site}/${machine}` })
          .first()
          .waitFor();
      await expectAccessible(page);
    },
    TIMEOUT_MS,
  );

  it(
    'shows the charts and the spectrum of a machine',
    async () => {
      const { site, machine } = await machineWithWaveforms();
      await page.goto(`${platform.url}/#/`);
      await page
        .getByRole('row')
        .filter({ hasText: `${site}/${machine}` })
        .getByRole('link')
        .click();
      await page.getByRole('region', { name: 'Readings' }).locator('canvas').first().waitFor();
      const spectrum = page.getByRole('region', { name: 'Spectrum' });
      await spectrum.locator('canvas').first().waitFor();
      expect(await spectrum.textContent()).toContain('Envelope spectrum');
      await spectrum.getByText(/^(Zone [A-D] of|No zone by) ISO 20816-3:$/).waitFor();
      await expectAccessible(page);
    },
    TIMEOUT_MS,
  );

  it(
    'shows the history of a machine, to which a person adds a note',
    async () => {
      const history = page.getByRole('region', { name: 'Machine history' });
      await history.getByText('Nothing was noted yet.').waitFor();
      await history.getByLabel('What was done').selectOption('note');
      await history.getByLabel('Details').fill('listened to it');
      await history.getByRole('button', { name: 'Add to the history' }).click();
      await history.getByRole('listitem').filter({ hasText: 'Note' }).waitFor();
      expect(await history.getByRole('listitem').textContent()).toMatch(/by admin: listened to it$/);
      await expectAccessible(page);
    },
    TIMEOUT_MS,
  );

  it(
    'shows that a machine is under maintenance, until a person ends it',
    async () => {
      const history = page.getByRole('region', { name: 'Machine history' });
      await history.getByLabel('What was done').selectOption('maintenance-start');
      await history.getByRole('button', { name: 'Add to the history' }).click();
      const maintenance = page.getByRole('region', { name: 'Maintenance' });
      await maintenance.getByText(/noted by admin.*It ends by itself at/).waitFor();
      await page.getByText('under maintenance', { exact: true }).waitFor();
      await expectAccessible(page);
      await maintenance.getByRole('button', { name: 'End maintenance' }).click();
      await maintenance.waitFor({ state: 'detached' });
      await history.getByRole('listitem').filter({ hasText: 'Maintenance ends' }).waitFor();
    },
    TIMEOUT_MS,
  );

  it(
    'shows the ledger, which is exact, and that the platform is well',
    async () => {
      await page.getByRole('link', { name: 'Ledger and health' }).click();
      await page.getByText('exact', { exact: true }).waitFor();
      expect(await page.getByText('not exact').count()).toBe(0);
      await page.getByRole('row', { name: 'accepted' }).first().waitFor();
      await page.getByRole('region', { name: 'Health' }).getByText('ok', { exact: true }).first().waitFor();
      await expectAccessible(page);
    },
    TIMEOUT_MS,
  );

  it(
    'shows an alarm of the demo plant with its reason, and a person acknowledges it there',
    async () => {
      await page.getByRole('link', { name: 'Alarms', exact: true }).click();
      await page.getByRole('heading', { name: 'Alarms' }).waitFor();
      await page.getByText(/^Last 24 hours: \d+ calls/).waitFor();
      const acknowledge = page.getByRole('button', { name: 'Acknowledge' }).first();
      await acknowledge.waitFor({ timeout: ALARM_WITHIN_MS });
      await expectAccessible(page);
      // With those back to normal: the machine's may have returned by the time it is looked at.
      await page.getByLabel('also those back to normal').check();
      const alarm = page.getByRole('article').filter({ has: page.getByRole('button', { name: 'Acknowledge' }) });
      expect(await alarm.first().getByRole('listitem').first().textContent()).toMatch(/version \d+/);
      await alarm.first().getByRole('textbox').fill('seen by the browser test');
      await alarm.first().getByRole('button', { name: 'Acknowledge' }).click();
      await page.getByText(/^Acknowledged by \S+: seen by the browser test$/).waitFor();
      const { items } = await platform.api.request<{ items: AlarmView[] }>(
        'GET',
        `/v1/alarms?limit=500&state=${ALL_STATES}`,
      );
      expect(items.filter(({ comment }) => comment === 'seen by the browser test')).toHaveLength(1);
      await expectAccessible(page);
    },
    TIMEOUT_MS,
  );

  it(
    'says why the platform is not ready while its store hangs, and recovers by itself',
    async () => {
      const store = platform.runningPid('timeseries-service');
      process.kill(store, 'SIGSTOP');
      try {
        const notice = page.getByRole('alert').filter({ hasText: 'The platform is not ready.' });
        await notice.getByText(/^time-series-store: .*(answer|went away)/).waitFor();
        await expectAccessible(page);
      } finally {
        process.kill(store, 'SIGCONT');
      }
      await page.getByText('The platform is not ready.').waitFor({ state: 'hidden' });
    },
    TIMEOUT_MS,
  );

  it.each(['Fleet', 'Ledger and health'])(
    'says on the page "%s" that the platform is away, and shows no numbers',
    async (title) => {
      if (platform.processes().length > 0) await platform.kill();
      await page.getByRole('link', { name: title }).click();
      await page.getByRole('heading', { name: title }).waitFor();
      await page.getByText(/^Disconnected since/).waitFor();
      await page
        .getByText(/^Cannot show/)
        .first()
        .waitFor();
      expect(await page.locator('main table').count()).toBe(0);
      await expectAccessible(page);
    },
    TIMEOUT_MS,
  );
});

async function machineWithWaveforms(): Promise<{ readonly site: string; readonly machine: string }> {
  let found: { site: string; machine: string } | undefined;
  await until('a machine has a waveform', async () => {
    const { items } = await platform.api.request<Fleet>('GET', '/v1/machines?limit=500');
    for (const { site, machine } of items) {
      const { items: waveforms } = await platform.api.request<{ items: unknown[] }>(
        'GET',
        `/v1/machines/${machine}/waveforms?site=${site}&limit=1`,
      );
      if (waveforms.length > 0) found = { site, machine };
    }
    return found !== undefined;
  });
  return found as { site: string; machine: string };
}
