import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { expectAccessible, launchChromium } from '#test/support/chromium.ts';
import { PlatformProcess } from '#test/support/platform-process.ts';
import { OidcProvider } from '../oidc-provider.ts';
import { freePort } from '../peer-process.ts';

/** The machine may be busy: it only bounds what would wait for ever. */
const APPEARS_WITHIN_MS = 60_000;

let provider: OidcProvider;
let folder: string;
let platform: PlatformProcess;
let browser: Browser;
let context: BrowserContext;
let page: Page;
let pageUrl: string;

beforeAll(async () => {
  [provider, browser] = await Promise.all([OidcProvider.start(), launchChromium()]);
  const port = await freePort();
  // Another site than the issuer's, 127.0.0.1, to a browser: its rules for cookies of other sites apply, as they will for a company's issuer.
  pageUrl = `http://localhost:${port}`;
  await provider.setSignedOutUris(`${pageUrl}/`);
  await provider.setRedirectUris(`${pageUrl}/v1/sign-in/company/callback`);
  const signIn = { id: 'company', name: 'Example Corp', clientId: 'page', clientSecretName: 'company-sign-in' };
  const identityVerifiers = { adapter: 'oidc', issuer: provider.endpoint, audience: 'api://tribo', signIn };
  folder = mkdtempSync(join(tmpdir(), 'tribo-ports-'));
  const portsFile = join(folder, 'ports.json');
  writeFileSync(portsFile, JSON.stringify({ identityVerifiers }));
  platform = await PlatformProcess.start({
    env: {
      ...{ TRIBO_PORTS_FILE: portsFile, TRIBO_HTTP_PORT: String(port), TRIBO_PUBLIC_URL: pageUrl },
      TRIBO_LOG_LEVEL: 'silent',
    },
    prepare: (dataDir) => {
      mkdirSync(join(dataDir, 'secrets'), { recursive: true, mode: 0o700 });
      writeFileSync(join(dataDir, 'secrets', 'company-sign-in'), 'secret-of-page\n', { mode: 0o600 });
    },
  });
}, 300_000);

beforeEach(async () => {
  context = await browser.newContext();
  context.setDefaultTimeout(APPEARS_WITHIN_MS);
  page = await context.newPage();
});
afterEach(() => context.close());

afterAll(async () => {
  await browser.close();
  await platform[Symbol.asyncDispose]();
  await provider[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

const wayIn = () => page.getByRole('link', { name: 'Sign in with Example Corp' });

/** Through the issuer's own forms: who it is, then that the page may know it. */
async function signInAs(person: string): Promise<void> {
  await wayIn().click();
  await page.locator('input[name=login]').fill(person);
  await page.locator('input[name=password]').fill('any');
  await page.getByRole('button', { name: 'Sign-in' }).click();
  await page.getByRole('button', { name: 'Continue' }).click();
  await page.waitForURL((url) => url.origin === pageUrl);
}

it('lets a person in by the company’s issuer, back to where they were, until they sign out', async () => {
  await page.goto(`${pageUrl}/#/alarms`);
  await wayIn().waitFor();
  await expectAccessible(page);
  await signInAs('maria');
  await page.getByRole('heading', { name: 'Alarms' }).waitFor();
  expect(page.url()).toBe(`${pageUrl}/#/alarms`);
  await page.reload();
  await page.getByRole('heading', { name: 'Alarms' }).waitFor();
});

it('ends the session at the issuer too when somebody signs out, and comes back', async () => {
  await page.goto(pageUrl);
  await signInAs('maria');
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.waitForURL((url) => url.origin === provider.endpoint);
  await page.getByRole('button', { name: 'Yes, sign me out' }).click();
  await wayIn().waitFor();
  expect(page.url()).toBe(`${pageUrl}/`);
  expect((await context.cookies(pageUrl)).map(({ name }) => name)).not.toContain('tribo_session');
  // Who still had a session there would not be asked who they are.
  await wayIn().click();
  await page.locator('input[name=login]').waitFor();
});

it('tells who has no role here what to do, without a session', async () => {
  await page.goto(pageUrl);
  await signInAs('guest');
  await page.getByRole('alert').getByText('has no role at this platform').waitFor();
  await page.getByText('Ask whoever runs the platform').waitFor();
  await expectAccessible(page);
  expect((await context.cookies(pageUrl)).map(({ name }) => name)).not.toContain('tribo_session');
});
