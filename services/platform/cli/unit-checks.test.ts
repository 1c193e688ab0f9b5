import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { until } from '#core/contracts/until.ts';
import { GatewayPlatform } from '#test/support/gateway-platform.ts';
import { apiClient, type ApiClient } from './api-client.ts';
import { unitsCheck } from './unit-checks.ts';

describe('the check of units', () => {
  let platform: GatewayPlatform;
  let client: ApiClient;
  beforeAll(async () => {
    platform = await GatewayPlatform.start();
    client = apiClient({ url: platform.gateway.url, token: await platform.token('viewer'), dataDir: '/nowhere' });
  });
  afterAll(() => platform[Symbol.asyncDispose]());

  it('is well where every reading converts', async () => {
    await platform.send([{ ts: Date.now(), metrics: { temperature: { value: 95, unit: '°C' } } }]);
    expect(await unitsCheck(client)).toMatchObject({ name: 'units', ok: true, detail: 'known in 1 machines' });
  });

  it('names the rules that do not judge a reading, and why an operating state is not known', async () => {
    const rule = { kind: 'threshold', id: 'hot', text: 'Hot', metric: 'temperature', direction: 'above', limit: 80 };
    await platform.call('engineer', 'PUT', '/v1/rules/hot', { body: { ...rule, unit: 'Cel' } });
    const operatingState = { from: 'threshold', metric: 'rpm', runningAbove: 100 };
    const body = { id: 'press-7', class: 'press', operatingState };
    await platform.call('engineer', 'PUT', '/v1/machines/press-7', { body, headers: { 'if-match': '"1"' } });
    await platform.send([
      { ts: Date.now(), metrics: { temperature: { value: 95, unit: 'C' }, rpm: { value: 25, unit: 'rev' } } },
    ]);
    // What is stored is known at once; the operating state comes with what is seen live.
    await until(async () => (await unitsCheck(client)).detail.includes('operating state'));
    const check = await unitsCheck(client);
    expect(check.ok).toBe(false);
    expect(check.detail.split('; ')).toEqual([
      'akron/press-7: its operating state is not known: the reading rpm = 25 rev is left out: rev does not convert to /min',
      'akron/press-7: rule hot does not judge temperature, whose C does not convert to Cel',
    ]);
  });
});
