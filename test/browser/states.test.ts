import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { expectAccessible, launchChromium } from '#test/support/chromium.ts';
import { sendTelemetry } from '#test/support/edge-requests.ts';
import { PlatformProcess, SITE, until } from '#test/support/platform-process.ts';

const TIMEOUT_MS = 300_000;
/** The machine may be busy: it only bounds what would wait for ever. */
const APPEARS_WITHIN_MS = 60_000;
const MACHINE = 'feed-pump';

/** What each page says in the states that are no data; none of it holds a digit. */
const PAGES = [
  { title: 'fleet', hash: '#/', what: 'the fleet', shown: 'never' },
  { title: 'machine', hash: `#/machines/${SITE}/${MACHINE}`, what: `machine ${MACHINE}`, shown: 'No readings yet.' },
  { title: 'alarms', hash: '#/alarms', what: 'the alarms', shown: 'No alarm calls for anything.' },
  { title: 'ledger', hash: '#/ledger', what: 'the ledger', shown: 'Outside the sum' },
] as const;

let platform: PlatformProcess;
let browser: Browser;
let context: BrowserContext;
let page: Page;
/** One of each page, left alone while things happen. */
let tabs: readonly { readonly tab: Page; readonly what: string; readonly title: string }[] = [];

beforeAll(async () => {
  [platform, browser] = await Promise.all([
    PlatformProcess.start({ env: { TRIBO_SPLIT: 'true', TRIBO_STALE_AFTER_S: '5' } }),
    launchChromium(),
  ]);
  context = await browser.newContext();
  context.setDefaultTimeout(APPEARS_WITHIN_MS);
  page = await context.newPage();
  await page.goto(platform.signInLink);
  await page.getByRole('heading', { name: 'Fleet' }).waitFor();
}, TIMEOUT_MS);

afterAll(async () => {
  await browser.close();
  await platform[Symbol.asyncDispose]();
}, TIMEOUT_MS);

// In order: from an empty platform to one that is away and comes back.
describe('the pages of an empty platform', () => {
  it.each([
    ['fleet', '#/', 'No machines yet.', 'npx tribo device add press-7'],
    ['alarms', '#/alarms', 'No alarm calls for anything.', 'npx tribo rule list'],
    ['ledger', '#/ledger', 'Nothing was received yet.', 'npx tribo device add press-7'],
  ])(
    '%s says that there is nothing, and what to do next',
    async (_title, hash, says, command) => {
      await page.goto(`${platform.url}/${hash}`);
      await page.getByText(says).waitFor();
      await page.getByText(command, { exact: true }).waitFor();
      await expectAccessible(page);
    },
    TIMEOUT_MS,
  );

  it(
    'fleet shows a machine as soon as it is made, and its page how to send the first readings',
    async () => {
      await page.goto(`${platform.url}/#/`);
      await page.getByText('No machines yet.').waitFor();
      await platform.api.request('PUT', `/v1/machines/${MACHINE}?site=${SITE}`, { id: MACHINE, class: 'pump' });
      const row = page.getByRole('row').filter({ hasText: MACHINE });
      await row.getByText('Nothing was ever received').waitFor();
      await row.getByText(`npx tribo device add ${MACHINE}`).waitFor();
      await row.getByRole('link').click();
      await page.getByText('No readings yet.').waitFor();
      await page.getByText(`npx tribo device add ${MACHINE}`, { exact: true }).waitFor();
      await page.getByText('No waveform yet.').waitFor();
      await page.getByText('No alarm calls for anything at this machine.').waitFor();
      await expectAccessible(page);
    },
    TIMEOUT_MS,
  );
});

describe('a page whose data has not come yet', () => {
  it.each(PAGES)(
    '$title says that it is loading, without a number',
    async ({ hash, what, shown }) => {
      const { promise: released, resolve: release } = Promise.withResolvers<undefined>();
      const isData = ({ pathname }: URL) =>
        pathname === '/health/ready' || (pathname.startsWith('/v1/') && !/^\/v1\/(session|events)$/.test(pathname));
      await page.route(isData, async (route) => {
        await released;
        await route.continue();
      });
      await page.goto(`${platform.url}/${hash}`);
      await page.reload();
      await page.getByText(`Loading ${what}…`).waitFor();
      expect(await showsNumber(page)).toBe(false);
      await expectAccessible(page);
      release(undefined);
      await page.getByText(shown).first().waitFor();
      await page.unrouteAll({ behavior: 'wait' });
    },
    TIMEOUT_MS,
  );
});

describe('a page that is open while things happen', () => {
  beforeAll(async () => {
    const storageState = await context.storageState();
    tabs = await Promise.all(
      PAGES.map(async ({ hash, what, title, shown }) => {
        const own = await browser.newContext({ storageState });
        own.setDefaultTimeout(APPEARS_WITHIN_MS);
        const tab = await own.newPage();
        await tab.goto(`${platform.url}/${hash}`);
        await tab.getByText(shown).first().waitFor();
        return { tab, what, title };
      }),
    );
  }, TIMEOUT_MS);

  const tabOf = (wanted: string) => tabs.find(({ title }) => title === wanted)!.tab;

  it(
    'says how long a machine is silent though the event stream is connected, until it sends again',
    async () => {
      const send = () => sendTelemetry(platform, MACHINE, [{ ts: Date.now(), metrics: { temperature: 61.2 } }]);
      expect(await send()).toMatchObject({ status: 202 });
      const [machine, fleet] = [tabOf('machine'), tabOf('fleet')];
      await machine.getByText('Temperature: 61.2').waitFor();
      await machine.getByText(/^Silent for \d+ s\.$/).waitFor();
      const row = fleet.getByRole('row').filter({ hasText: MACHINE });
      await row.getByText('Nothing received for too long').waitFor();
      await row.getByText('silent', { exact: true }).waitFor();
      for (const tab of [machine, fleet]) {
        expect(await tab.getByText(/^Disconnected/).count()).toBe(0);
        await expectAccessible(tab);
      }
      const gone = machine.getByText(/^Silent for/).waitFor({ state: 'hidden' });
      expect(await send()).toMatchObject({ status: 202 });
      await gone;
    },
    TIMEOUT_MS,
  );

  it(
    'says why the platform is not ready',
    async () => {
      process.kill(platform.runningPid('feature-service'), 'SIGSTOP');
      try {
        for (const { tab } of tabs) {
          const notice = tab.getByRole('alert').filter({ hasText: 'The platform is not ready.' });
          await notice.getByText(/^feature-service: it does not answer/).waitFor();
          await expectAccessible(tab);
        }
        const health = tabOf('ledger').getByRole('region', { name: 'Health' });
        const check = health.getByRole('listitem').filter({ hasText: 'feature-service' });
        await check.getByText('not ok', { exact: true }).waitFor();
        await check.getByText(/it does not answer/).waitFor();
      } finally {
        process.kill(platform.runningPid('feature-service'), 'SIGCONT');
      }
      for (const { tab } of tabs) await tab.getByText('The platform is not ready.').waitFor({ state: 'hidden' });
    },
    TIMEOUT_MS,
  );

  it(
    'says how old its data is while the platform does not answer, then that it does not, and recovers',
    async () => {
      const gateway = platform.runningPid('api-gateway');
      process.kill(gateway, 'SIGSTOP');
      try {
        await Promise.all(
          tabs.map(async ({ tab, what }) => {
            await tab.getByText(new RegExp(`^This is how ${what} stood \\d+ s ago`)).waitFor();
            await expectAccessible(tab);
          }),
        );
        await Promise.all(tabs.map(({ tab, what }) => expectAway(tab, what)));
      } finally {
        process.kill(gateway, 'SIGCONT');
      }
      await expectRecovered();
    },
    TIMEOUT_MS,
  );

  it(
    'says that the platform is away, shows no number, and recovers when it is back',
    async () => {
      await platform.kill();
      for (const { tab, what } of tabs) {
        await tab.getByText(/^Disconnected since/).waitFor();
        await expectAway(tab, what);
        await expectAccessible(tab);
      }
      await platform.startAgain();
      await expectRecovered();
      for (const { tab } of tabs) await tab.getByText(/^Disconnected since/).waitFor({ state: 'hidden' });
    },
    TIMEOUT_MS,
  );
});

async function expectAway(tab: Page, what: string): Promise<void> {
  await tab.getByText(`Cannot show ${what}.`).waitFor();
  await tab.getByText(/^This is how/).waitFor({ state: 'hidden' });
  await until('no number is shown', async () => !(await showsNumber(tab)));
}

/** Nobody has touched the pages meanwhile. */
async function expectRecovered(): Promise<void> {
  for (const { tab, what, title } of tabs) {
    await tab.getByText(`Cannot show ${what}.`).waitFor({ state: 'hidden' });
    const { shown } = PAGES.find((each) => each.title === title)!;
    const seen = title === 'machine' ? 'Temperature: 61.2' : title === 'fleet' ? MACHINE : shown;
    await tab.getByText(seen).first().waitFor();
  }
}

async function showsNumber(shown: Page): Promise<boolean> {
  return /\d/.test(await shown.locator('main').innerText());
}
