import { describe, expect, it } from '@jest/globals';
import { systemClock } from '#core/clock.ts';
import type { TenantId } from '#core/domain/ids.ts';
import { IdempotencyStore } from './idempotency.ts';

const callerOf = (tenant: string) => ({
  kind: 'token' as const,
  subject: 'erp',
  tenant: tenant as TenantId,
  roles: [],
  expiresAtMs: Infinity,
});

/** Carries a write out through the store; resolves with whether it was answered from memory. */
async function isReplayed(store: IdempotencyStore, tenant: string, key: string, answer = 'done'): Promise<boolean> {
  let worked = false;
  const request = { key, principal: callerOf(tenant), target: 'POST /v1/x', body: new Uint8Array() };
  const reply = await store.once(request, async () => {
    worked = true;
    return { json: answer };
  });
  expect(reply).toMatchObject({ json: answer });
  return !worked;
}

describe('the idempotency store', () => {
  it('forgets the oldest answers of a tenant above its bytes, and none of others', async () => {
    const store = new IdempotencyStore(systemClock, { maxBytesPerTenant: 10_000 });
    await isReplayed(store, 'south', 'k');
    await isReplayed(store, 'north', 'first');
    for (let i = 0; i < 5; i++) await isReplayed(store, 'north', `large-${i}`, 'x'.repeat(1500));
    expect(await isReplayed(store, 'south', 'k')).toBe(true);
    expect(await isReplayed(store, 'north', 'large-4', 'x'.repeat(1500))).toBe(true);
    expect(await isReplayed(store, 'north', 'first')).toBe(false);
  });

  it('forgets the oldest answers of a tenant above their number', async () => {
    const store = new IdempotencyStore(systemClock, { maxEntriesPerTenant: 2 });
    for (const key of ['a', 'b', 'c']) await isReplayed(store, 'north', key);
    expect(await isReplayed(store, 'north', 'c')).toBe(true);
    expect(await isReplayed(store, 'north', 'a')).toBe(false);
  });

  it('above the bytes for all, takes from the tenant that has the most', async () => {
    const store = new IdempotencyStore(systemClock, { maxBytes: 20_000 });
    await isReplayed(store, 'south', 'k');
    for (let i = 0; i < 20; i++) await isReplayed(store, 'north', `large-${i}`, 'x'.repeat(1500));
    expect(await isReplayed(store, 'south', 'k')).toBe(true);
    expect(await isReplayed(store, 'north', 'large-0', 'x'.repeat(1500))).toBe(false);
  });

  it('keeps no answer that is larger than its bound', async () => {
    const store = new IdempotencyStore(systemClock, { maxBytesPerTenant: 2000 });
    await isReplayed(store, 'north', 'huge', 'x'.repeat(5000));
    expect(await isReplayed(store, 'north', 'huge', 'x'.repeat(5000))).toBe(false);
  });
});
