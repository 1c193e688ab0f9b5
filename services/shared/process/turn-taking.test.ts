import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { PortError, throwIfAborted } from '#core/errors.ts';
import type { CheckpointStore } from '#core/ports/checkpoint-store.ts';
import { checkpointsInFolder } from '#test/support/checkpoints-in-folder.ts';
import { HeldClock } from '#test/support/held-clock.ts';
import type { KeptLease } from './kept-lease.ts';
import { TurnTaking, type Turn } from './turn-taking.ts';

const LEASE_MS = 90;

/** One that tells what is done with it, and begins for as long as it is held up. */
class ToldTurn implements Turn {
  readonly kept: KeptLease;
  readonly began = Promise.withResolvers<undefined>();
  readonly mayBegin = Promise.withResolvers<undefined>();
  isClosed = false;

  constructor(kept: KeptLease) {
    this.kept = kept;
  }

  async begin(signal: AbortSignal): Promise<void> {
    this.began.resolve(undefined);
    signal.addEventListener('abort', () => this.mayBegin.resolve(undefined));
    await this.mayBegin.promise;
    throwIfAborted(signal);
  }

  problem(): undefined {
    return undefined;
  }

  close(): Promise<void> {
    this.isClosed = true;
    return Promise.resolve();
  }
}

let folder: Awaited<ReturnType<typeof checkpointsInFolder>>;
let store: CheckpointStore;
let clock: HeldClock;
let renewals: number;
/** While set, what renewals fail with. */
let renewalFails: Error | undefined;
let asked: number;
const closing: (() => Promise<void>)[] = [];

beforeEach(async () => {
  clock = new HeldClock(Date.now());
  folder = await checkpointsInFolder(clock);
  store = folder.store;
  renewals = 0;
  asked = 0;
  renewalFails = undefined;
});

afterEach(async () => {
  for (const close of closing.splice(0)) await close();
  await folder[Symbol.asyncDispose]();
});

/** A process that takes turns; each of its turns may begin at once but where it is told otherwise. */
function aProcess({ heldUp = false, waiting }: { readonly heldUp?: boolean; readonly waiting?: string } = {}) {
  const turns: ToldTurn[] = [];
  const problems: string[] = [];
  const checkpoints: Pick<CheckpointStore, 'acquireLease' | 'renewLease' | 'releaseLease'> = {
    acquireLease: (...given) => {
      asked++;
      return store.acquireLease(...given);
    },
    renewLease: async (...given) => {
      if (renewalFails) throw renewalFails;
      await store.renewLease(...given);
      renewals++;
    },
    releaseLease: (...given) => store.releaseLease(...given),
  };
  const taking = new TurnTaking({
    checkpoints,
    lease: 'pump',
    leaseMs: LEASE_MS,
    ...(waiting !== undefined && { waiting }),
    makeTurn: (kept) => {
      const turn = new ToldTurn(kept);
      turns.push(turn);
      if (!heldUp) turn.mayBegin.resolve(undefined);
      return turn;
    },
    onProblem: (doing, error) => problems.push(`${doing}: ${String(error)}`),
  });
  closing.push(() => taking.close());
  return { taking, turns, problems };
}

async function until(met: () => boolean): Promise<void> {
  while (!met()) await new Promise((resolve) => setTimeout(resolve, 5));
}

describe('a process that takes its turn', () => {
  it('keeps the lease while it begins, for however long that is', async () => {
    const [first, second] = [aProcess({ heldUp: true }), aProcess({ waiting: 'another has it' })];
    const started = first.taking.start();
    await until(() => first.turns.length === 1);
    await second.taking.start();
    for (let lease = 0; lease < 4; lease++) {
      const before = { renewals, asked };
      await until(() => renewals > before.renewals);
      clock.advance(LEASE_MS * 0.8);
      await until(() => asked > before.asked);
    }
    first.turns[0]!.mayBegin.resolve(undefined);
    await started;
    expect(first.taking.turn).toBe(first.turns[0]);
    expect([second.turns, second.taking.problem()]).toEqual([[], 'another has it']);
  });

  it('ends the beginning where its lease was lost meanwhile, and begins anew when it is free', async () => {
    const { taking, turns } = aProcess({ heldUp: true, waiting: 'another has it' });
    const started = taking.start();
    await until(() => turns.length === 1);
    clock.advance(LEASE_MS + 1);
    const between = await store.acquireLease('pump', 'another', 1000);
    await started;
    expect([turns[0]!.isClosed, taking.turn, taking.problem()]).toEqual([true, undefined, 'another has it']);
    await store.releaseLease(between!);
    await until(() => turns.length === 2);
    turns[1]!.mayBegin.resolve(undefined);
    await until(() => taking.turn === turns[1]);
  });

  it('that is told to end while it begins ends the beginning, and gives the lease back', async () => {
    const { taking, turns } = aProcess({ heldUp: true });
    const started = taking.start();
    await until(() => turns.length === 1);
    await turns[0]!.began.promise;
    const refused = expect(started).rejects.toMatchObject({ code: 'cancelled' });
    await taking.close();
    await refused;
    expect(turns.map(({ isClosed }) => isClosed)).toEqual([true]);
    expect(await store.acquireLease('pump', 'another', 1000)).toBeDefined();
  });

  it('ends it when another has the lease, and begins anew when that one is gone', async () => {
    const { taking, turns } = aProcess({ waiting: 'another has it' });
    await taking.start();
    clock.advance(LEASE_MS + 1);
    const between = await store.acquireLease('pump', 'another', 60_000);
    await until(() => taking.turn === undefined);
    expect([turns[0]!.isClosed, taking.problem()]).toEqual([true, 'another has it']);
    await expect(turns[0]!.kept.keep()).rejects.toMatchObject({ code: 'unavailable' });
    await store.releaseLease(between!);
    await until(() => taking.turn !== undefined);
    expect(turns).toHaveLength(2);
    expect(turns[1]!.kept.lease.fence).toBeGreaterThan(between!.fence);
  });

  it('tells why its lease is not renewed, until it is', async () => {
    const { taking, turns, problems } = aProcess();
    await taking.start();
    renewalFails = new PortError('unavailable', 'the database is away');
    await until(() => taking.problem() !== undefined);
    expect(taking.problem()).toBe('cannot keep its lease: the database is away');
    expect(problems[0]).toMatch(/^keep its lease: .*the database is away/);
    renewalFails = undefined;
    await until(() => taking.problem() === undefined);
    expect(taking.turn).toBe(turns[0]);
  });

  it('asks for the lease again at its start where a connection broke', async () => {
    const { taking, turns } = aProcess();
    const acquire = store.acquireLease.bind(store);
    let attempts = 0;
    store.acquireLease = (...given) =>
      ++attempts < 3 ? Promise.reject(new PortError('unavailable', 'read ECONNRESET')) : acquire(...given);
    await taking.start();
    expect([attempts, taking.turn === turns[0]]).toEqual([3, true]);
  });
});
