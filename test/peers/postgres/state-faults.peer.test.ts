import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { postgresAlarmJournalConfigSchema } from '#adapters/postgres/postgres-alarm-journal/config.ts';
import { PostgresAlarmJournal } from '#adapters/postgres/postgres-alarm-journal/postgres-alarm-journal.ts';
import { postgresCheckpointStoreConfigSchema } from '#adapters/postgres/postgres-checkpoint-store/config.ts';
import { PostgresCheckpointStore } from '#adapters/postgres/postgres-checkpoint-store/postgres-checkpoint-store.ts';
import { postgresRuleStoreConfigSchema } from '#adapters/postgres/postgres-rule-store/config.ts';
import { PostgresRuleStore } from '#adapters/postgres/postgres-rule-store/postgres-rule-store.ts';
import { systemClock } from '#core/clock.ts';
import { sampleActivation } from '#core/contracts/sample-alarm.ts';
import { retry } from '#core/delivery/retry.ts';
import type { AlarmTransition } from '#core/domain/alarm.ts';
import type { MachineKey, RuleId, TenantId } from '#core/domain/ids.ts';
import { ruleSchema } from '#core/domain/rule.ts';
import { codeOf, isRetryable } from '#core/errors.ts';
import { STREAM_DESTINATION } from '#core/ports/alarm-journal.ts';
import { PostgresOnAWire } from '../postgres-on-a-wire.ts';

const AGAIN = { maxAttempts: 100, firstDelayMs: 10, longestDelayMs: 200 };
const TENANT = 'north' as TenantId;
const ROUNDS = 40;
/** What a call sends goes out in a few packets: so many bytes more are let through at each. */
const STEP_BYTES = 130;
let postgres: PostgresOnAWire;

beforeAll(async () => {
  postgres = await PostgresOnAWire.start();
}, 300_000);

afterAll(() => postgres[Symbol.asyncDispose]());

/** Calls once for each place where the connection is cut, and resolves with how many calls failed. */
async function cutEverywhere(
  call: (round: number) => Promise<unknown>,
  mayPass: (error: unknown) => boolean = isRetryable,
): Promise<number> {
  let failures = 0;
  for (let round = 0; round < ROUNDS; round++) {
    postgres.wire.cutAfter(round * STEP_BYTES);
    await retry(() => call(round), AGAIN, { onRetry: () => failures++, mayPass });
  }
  postgres.wire.cutAfter(Infinity);
  return failures;
}

describe('state in PostgreSQL behind a bad network', () => {
  it('has each transition of an alarm once in the journal and once to be told, wherever the connection is cut', async () => {
    const config = postgresAlarmJournalConfigSchema.parse(postgres.freshConnection());
    const journal = await PostgresAlarmJournal.open(config, systemClock);
    try {
      const failures = await cutEverywhere((round) => journal.record([alternating(round)]));
      expect(failures).toBeGreaterThan(10);
      const [alarm] = await journal.list({ tenant: TENANT, limit: 10 });
      const entries = await journal.journal(alarm!.id, { afterSequence: 0, limit: 1_000 });
      expect(entries.map(({ transition }) => transition.id)).toEqual(
        Array.from({ length: ROUNDS }, (_, round) => alternating(round).id),
      );
      const told = await journal.pendingMessages({ destination: STREAM_DESTINATION, nowMs: Date.now(), limit: 1_000 });
      expect(new Set(told.map(({ id }) => id)).size).toBe(told.length);
      expect(told).toHaveLength(ROUNDS);
    } finally {
      await journal.close();
    }
  });

  it('has one version of a rule for each change that its writer made, wherever the connection is cut', async () => {
    const rules = await PostgresRuleStore.open(
      postgresRuleStoreConfigSchema.parse(postgres.freshConnection()),
      systemClock,
    );
    try {
      const failures = await cutEverywhere(async (round) => {
        const current = await rules.get(TENANT, 'hot' as RuleId);
        // An answer that was lost: the change is there.
        if (current?.rule.text === textOf(round)) return;
        await rules.put(TENANT, ruleOf(round), { by: 'maria', expectedVersion: current?.version ?? 0 });
      });
      expect(failures).toBeGreaterThan(10);
      const history = await rules.history(TENANT, 'hot' as RuleId, { limit: 1_000 });
      expect(history.map(({ rule }) => rule?.text).reverse()).toEqual(
        Array.from({ length: ROUNDS }, (_, round) => textOf(round)),
      );
    } finally {
      await rules.close();
    }
  });

  it('gives a lease to one holder at a time, with a higher fence each time, wherever the connection is cut', async () => {
    const config = postgresCheckpointStoreConfigSchema.parse(postgres.freshConnection());
    const store = await PostgresCheckpointStore.open(config, systemClock);
    try {
      const fences: number[] = [];
      const failures = await cutEverywhere(
        async (round) => {
          const lease = await store.acquireLease('store', 'worker-1', 60_000);
          fences.push(lease!.fence);
          const state = (await store.load('state')) ?? { version: 0, state: Buffer.from('[]') };
          const rounds = JSON.parse(Buffer.from(state.state).toString()) as number[];
          if (!rounds.includes(round))
            await store.save('state', Buffer.from(JSON.stringify([...rounds, round])), state.version);
          await store.releaseLease(lease!);
        },
        (error) => isRetryable(error) || codeOf(error) === 'failed_precondition',
      );
      expect(failures).toBeGreaterThan(10);
      expect(fences).toEqual([...new Set(fences)].sort((left, right) => left - right));
      const { state } = (await store.load('state'))!;
      expect(JSON.parse(Buffer.from(state).toString())).toEqual(Array.from({ length: ROUNDS }, (_, round) => round));
    } finally {
      await store.close();
    }
  });
});

/** A condition that comes and goes. */
function alternating(round: number): AlarmTransition {
  const machine = 'north/akron/press-7' as MachineKey;
  const atMs = Date.UTC(2026, 10, 21) + round * 1000;
  const activation = sampleActivation({ machine, atMs });
  if (round % 2 === 0) return activation;
  const returned = { type: 'return', cause: 'condition', replayed: false, partKey: activation.part.key } as const;
  return { ...returned, id: `${machine} return ${round}`, machine, atMs };
}

function textOf(round: number): string {
  return `Hot, in its version ${round}`;
}

function ruleOf(round: number) {
  const limits = { metric: 'temperature', direction: 'above', limit: 80 } as const;
  return ruleSchema.parse({ kind: 'threshold', id: 'hot', text: textOf(round), ...limits });
}
