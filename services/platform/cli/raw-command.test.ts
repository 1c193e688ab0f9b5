import { expect, it } from '@jest/globals';
import { GatewayPlatform } from '#test/support/gateway-platform.ts';
import { runCommand } from '#test/support/platform-process.ts';

it('tribo raw says on standard error that nothing is archived, and what archives', async () => {
  await using platform = await GatewayPlatform.start();
  const given = ['--url', platform.gateway.url, '--token', await platform.token('engineer')];
  const { code, stdout, stderr } = await runCommand(['raw', 'press-7', ...given]);
  expect([code, stdout.trim()]).toEqual([0, '']);
  expect(stderr).toContain('TRIBO_RAW_ARCHIVE=on');
});
