import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { postgresRuleStoreConfigSchema } from '#adapters/postgres/postgres-rule-store/config.ts';
import { PostgresRuleStore } from '#adapters/postgres/postgres-rule-store/postgres-rule-store.ts';
import { systemClock } from '#core/clock.ts';
import { until } from '#core/contracts/until.ts';
import type { TenantId } from '#core/domain/ids.ts';
import { ruleSchema } from '#core/domain/rule.ts';
import { PostgresOnAWire } from '../postgres-on-a-wire.ts';

const tenant = 'north' as TenantId;
let postgres: PostgresOnAWire;

beforeAll(async () => {
  postgres = await PostgresOnAWire.start();
}, 300_000);

afterAll(() => postgres[Symbol.asyncDispose]());

/** A store behind the wire that listens, and another process's beside the server. */
async function openListening() {
  const connection = postgres.freshConnection();
  const open = (port: number) =>
    PostgresRuleStore.open(postgresRuleStoreConfigSchema.parse({ ...connection, port }), systemClock);
  const [listening, other] = [await open(postgres.wire.port), await open(postgres.server.port)];
  const heard = { times: 0 };
  listening.onChange(() => heard.times++);
  // The first call says that from here on changes are heard.
  await until(() => heard.times === 1, 'listening');
  return { ...{ listening, other, heard }, [Symbol.asyncDispose]: () => other.close() };
}

function changed(store: PostgresRuleStore): Promise<unknown> {
  const limits = { metric: 'temperature', direction: 'above', limit: 80 } as const;
  const rule = ruleSchema.parse({ kind: 'threshold', id: 'hot', text: 'Hot', ...limits });
  return store.put(tenant, rule, { by: 'maria' });
}

describe('changes that PostgreSQL tells, behind a network that forgets connections and tells nobody', () => {
  it('are heard half a minute later at the latest, also those of meanwhile, and at once again from then on', async () => {
    await using site = await openListening();
    const { listening, other, heard } = site;
    postgres.wire.forget();
    await changed(other);
    await until(() => heard.times === 2, 'told of what may have been missed', 30_000);
    await changed(other);
    await until(() => heard.times === 3, 'told of the next change', 5_000);
    await listening.close();
  });

  it('are no longer waited for once their listener is closed', async () => {
    await using site = await openListening();
    postgres.wire.forget();
    const startedMs = performance.now();
    await site.listening.close();
    expect(performance.now() - startedMs).toBeLessThan(5_000);
  });
});
