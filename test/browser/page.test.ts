import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import type { AlarmView } from '#services/api-gateway/schemas/alarms.ts';
import type { Fleet } from '#services/api-gateway/schemas/machines.ts';
import { expectAccessible, launchChromium } from '#test/support/chromium.ts';
import { sendTelemetry } from '#test/support/edge-requests.ts';
import { PlatformProcess, SITE, until } from '#test/support/platform-process.ts';

const TIMEOUT_MS = 300_000;
/** The machine may be busy: it only bounds what would wait for ever. */
const APPEARS_WITHIN_MS = 60_000;
const ALARM_WITHIN_MS = 180_000;
const ALL_STATES =
  'normal,unacknowledged,acknowledged,rtn-unacknowledged,latched,shelved,suppressed-by-design,out-of-service';
/** The machine of the demo plant whose drive-end bearing fails first. */
const PUMP = 'pump-1';
/** What the model says of the sensor on that bearing, once it fails. */
const BEARING_WORDS = /The score of \S+ .*is above .*sensor de-radial/s;

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
    'shows the charts of a machine, which go on by themselves',
    async () => {
      await page
        .getByRole('row')
        .filter({ hasText: `${SITE}/${PUMP}` })
        .getByRole('link')
        .click();
      await page.getByRole('list', { name: 'Devices' }).getByText(`Device demo-${SITE}: connected since`).waitFor();
      const current = page
        .getByRole('region', { name: 'Readings' })
        .getByRole('img', { name: /^Current: .* [1-9]\d* points/ });
      await current.locator('canvas').first().waitFor();
      const points = async () => Number(/(\d+) points/.exec((await current.getAttribute('aria-label')) ?? '')?.[1]);
      for (const time of ['first', 'second']) {
        const before = await points();
        await until(`the chart advances for the ${time} time`, async () => (await points()) > before);
      }
      await expectAccessible(page);
    },
    TIMEOUT_MS,
  );

  it(
    'marks and names the defect frequencies of the pump’s bearing in its spectrum',
    async () => {
      const spectrum = page.getByRole('region', { name: 'Spectrum' });
      const envelope = spectrum.getByRole('img', { name: /^Envelope spectrum.*; marked: / });
      await envelope.locator('canvas').first().waitFor();
      const said = (await envelope.getAttribute('aria-label')) ?? '';
      for (const defect of ['BPFO', 'BPFI', '2xBSF', 'FTF']) {
        expect(said).toMatch(new RegExp(`[ ,]${defect} 1x at [1-9][\\d.,]* Hz`));
      }
      expect(await spectrum.textContent()).not.toContain('Not marked:');
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
      await expectAccessible(page);
    },
    TIMEOUT_MS,
  );

  it(
    'says which rule does not judge a reading because of its unit, and what to do',
    async () => {
      const machine = 'unit-of-its-own';
      await platform.api.request('PUT', `/v1/machines/${machine}?site=${SITE}`, { id: machine, class: 'pump' });
      const reading = { ts: Date.now(), metrics: { temperature_mean: { value: 95, unit: 'C' } } };
      expect(await sendTelemetry(platform, machine, [reading])).toMatchObject({ status: 202, body: { accepted: 1 } });
      await page.goto(`${platform.url}/#/machines/${SITE}/${machine}`);
      const notice = page.getByRole('status', { name: 'Not judged' });
      await notice.getByText('Rule temperature-mean-high does not judge temperature_mean').waitFor();
      expect(await notice.textContent()).toContain('Send the unit’s UCUM code');
      await expectAccessible(page);
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
    'shows the alarm of the pump’s bearing with its reason, and a person acknowledges it there',
    async () => {
      await page.getByRole('link', { name: 'Alarms', exact: true }).click();
      await page.getByRole('heading', { name: 'Alarms' }).waitFor();
      await page.getByText(/^Last 24 hours: \d+ calls/).waitFor();
      // With those back to normal: the machine's may have returned by the time it is looked at.
      await page.getByLabel('also those back to normal').check();
      const alarm = page
        .getByRole('article')
        .filter({ hasText: `${SITE}/${PUMP}` })
        .filter({ hasText: BEARING_WORDS })
        .filter({ has: page.getByRole('button', { name: 'Acknowledge' }) })
        .first();
      await alarm.waitFor({ timeout: ALARM_WITHIN_MS });
      await expectAccessible(page);
      expect(await alarm.getByRole('listitem').first().textContent()).toMatch(/version \d+/);
      await alarm.getByRole('textbox').fill('seen by the browser test');
      await alarm.getByRole('button', { name: 'Acknowledge' }).click();
      await page.getByText(/^Acknowledged by \S+: seen by the browser test$/).waitFor();
      const { items } = await platform.api.request<{ items: AlarmView[] }>(
        'GET',
        `/v1/alarms?limit=500&state=${ALL_STATES}`,
      );
      const acknowledged = items.filter(({ comment }) => comment === 'seen by the browser test');
      expect(acknowledged).toMatchObject([{ site: SITE, machine: PUMP }]);
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
