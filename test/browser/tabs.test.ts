import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { launchChromium } from '#test/support/chromium.ts';
import { PlatformProcess, SITE, until } from '#test/support/platform-process.ts';

const TIMEOUT_MS = 300_000;
const APPEARS_WITHIN_MS = 60_000;
/** More than the six connections to one host that a browser opens over HTTP/1.1. */
const TABS = 8;
const MACHINE = 'pump-1';

let platform: PlatformProcess;
let browser: Browser;
let context: BrowserContext;

beforeAll(async () => {
  [platform, browser] = await Promise.all([PlatformProcess.start({ demo: true }), launchChromium()]);
  context = await browser.newContext();
  context.setDefaultTimeout(APPEARS_WITHIN_MS);
}, TIMEOUT_MS);

afterAll(async () => {
  await browser.close();
  await platform[Symbol.asyncDispose]();
}, TIMEOUT_MS);

describe(`${TABS} tabs of one browser`, () => {
  it(
    'all show live readings over one connection, which another tab takes over when its own is closed',
    async () => {
      const first = await context.newPage();
      await first.goto(platform.signInLink);
      await first.getByRole('heading', { name: 'Fleet' }).waitFor();
      // What is read again and again stands still, so that nothing moves but what comes live.
      const kept = new Map<string, string>();
      await context.route(new RegExp(`/v1/machines/${MACHINE}\\?`), async (route) => {
        const path = new URL(route.request().url()).pathname;
        const body = kept.get(path) ?? (await (await route.fetch()).text());
        kept.set(path, body);
        await route.fulfill({ body, contentType: 'application/json' });
      });
      const tabs = [first];
      while (tabs.length < TABS) tabs.push(await context.newPage());
      for (const tab of tabs) await tab.goto(`${platform.url}/#/machines/${SITE}/${MACHINE}`);
      await expectLive(tabs);
      await until('one connection is there for all', async () => (await connections()) === 1);

      await first.close();
      await expectLive(tabs.slice(1));
      await until('one other has taken its place', async () => (await connections()) === 1);
    },
    TIMEOUT_MS,
  );
});

async function expectLive(tabs: readonly Page[]): Promise<void> {
  for (const tab of tabs) {
    const chart = tab
      .getByRole('region', { name: 'Readings' })
      .getByRole('img', { name: /^Current: .* [1-9]\d* points/ });
    const points = async () => Number(/(\d+) points/.exec((await chart.getAttribute('aria-label')) ?? '')?.[1]);
    const before = await points();
    await until('the chart goes on', async () => (await points()) > before);
    expect(await tab.getByText('Disconnected').count()).toBe(0);
  }
}

async function connections(): Promise<number> {
  const metrics = await (await fetch(`${platform.url}/metrics`)).text();
  return Number(/^tribo_event_clients\S* (\d+)$/m.exec(metrics)?.[1]);
}
