import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Browser, Page } from 'playwright-core';
import type { Series } from '#services/api-gateway/schemas/machines.ts';
import { launchChromium } from '#test/support/chromium.ts';
import { sendTelemetry } from '#test/support/edge-requests.ts';
import { PlatformProcess, SITE, until } from '#test/support/platform-process.ts';

const TIMEOUT_MS = 300_000;
const APPEARS_WITHIN_MS = 60_000;
const MACHINE = 'mixer-1';
const beginMs = Date.now() - 150_000;

let platform: PlatformProcess;
let browser: Browser;
let page: Page;

beforeAll(async () => {
  [platform, browser] = await Promise.all([PlatformProcess.start(), launchChromium()]);
  page = await (await browser.newContext()).newPage();
  page.setDefaultTimeout(APPEARS_WITHIN_MS);
  await page.goto(platform.signInLink);
  await page.getByRole('heading', { name: 'Fleet' }).waitFor();
}, TIMEOUT_MS);

afterAll(async () => {
  await browser.close();
  await platform[Symbol.asyncDispose]();
}, TIMEOUT_MS);

const path = `/v1/machines/${MACHINE}`;
const describeIt = (metrics: readonly object[], headers = {}) =>
  platform.api.request('PUT', `${path}?site=${SITE}`, { id: MACHINE, class: 'other', metrics }, headers);
const stored = async (metric: string) => {
  const query = new URLSearchParams({ site: SITE, metric, from: String(beginMs), to: String(Date.now()) });
  const { ts } = await platform.api.request<Series>('GET', `${path}/series?${query.toString()}`);
  return ts.length;
};

describe('the charts of a machine', () => {
  it(
    'are one a metric, in the unit of its newest value, whatever its windows have and was declared since',
    async () => {
      await describeIt([]);
      const readings = Array.from({ length: 15 }, (_, i) => {
        return { ts: beginMs + 10_000 * i, metrics: { temperature: 60 + i, velocity: { value: 1, unit: 'in/s' } } };
      });
      expect(await sendTelemetry(platform, MACHINE, readings)).toMatchObject({ status: 202, body: { accepted: 30 } });
      await until('the readings are stored', async () => (await stored('velocity')) === 15);
      await until('a window is stored', async () => (await stored('temperature:mean')) > 0);
      await describeIt([{ name: 'velocity', unit: 'mm/s' }], { 'if-match': '"1"' });

      await page.goto(`${platform.url}/#/machines/${SITE}/${MACHINE}`);
      const charts = page.getByRole('region', { name: 'Readings' }).getByRole('img', { name: /: 15 points/ });
      await charts.nth(1).waitFor();
      const said = await Promise.all((await charts.all()).map((chart) => chart.getAttribute('aria-label')));
      expect(said.toSorted()).toEqual([
        expect.stringMatching(/^Temperature: 74 in .*from 60\.0 to 74\.0, last 74\.0$/),
        expect.stringMatching(/^Velocity: 1 .*in\S*\/s in .*from 1\.00 to 1\.00, last 1\.00$/),
      ]);
      expect(await page.getByRole('region', { name: 'Readings' }).locator('figure').count()).toBe(2);
    },
    TIMEOUT_MS,
  );
});
