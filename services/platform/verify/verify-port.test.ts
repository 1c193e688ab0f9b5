import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import {
  beginOf,
  deployedContract,
  newRun,
  Unchecked,
  VERIFICATION_MARK,
  wasLeft,
  type Verification,
} from '#core/contracts/verification.ts';
import { PortError } from '#core/errors.ts';
import { verifyPort } from './verify-port.ts';

const NOW = Date.UTC(2026, 10, 22, 0, 15, 30);
const RUN = newRun(NOW);

type Work = () => unknown;

/** A port whose cases do what they are named after, and what is left of which runs. */
function portOf(
  cases: Readonly<Record<string, Work>>,
  {
    left = new Set<string>(),
    waived = [],
    ...others
  }: { left?: Set<string>; waived?: string[] } & Partial<Verification> = {},
) {
  const contract = {
    port: 'thing',
    cases: Object.entries(cases).map(([name, work]) => ({
      name,
      run: async () => {
        await work();
      },
    })),
  };
  const makeHarness = async () => ({
    [Symbol.asyncDispose]: async () => undefined,
  });
  const leftOut = waived.map((name) => ({ case: name, reason: 'a site may not' }));
  const verification: Verification = {
    makes: 'things',
    needs: 'thing:Make',
    contracts: [deployedContract(contract, makeHarness, leftOut)],
    sweep: async (isOver) => {
      const over = [...left].filter((name) => wasLeft(name, isOver));
      for (const name of over) left.delete(name);
      return over.length;
    },
    close: async () => undefined,
    ...others,
  };
  return { port: 'thing', adapter: 'cloud-thing', open: async () => verification };
}

const verify = (port: Parameters<typeof verifyPort>[0], signal = new AbortController().signal) =>
  verifyPort(port, RUN, { signal, onCase: () => undefined });

const refuse = () => {
  throw new PortError('permission_denied', 'put x: denied');
};

describe('the verdict of a port', () => {
  it('is good where all cases pass but those that are left out by name', async () => {
    const verdict = await verify(portOf({ a: () => 1, b: () => 1, c: refuse }, { waived: ['c'] }));
    expect(verdict).toMatchObject({ ok: true, passed: 2, failed: [], notRun: 0, problems: [] });
    expect(verdict.leftOut).toEqual([{ contract: 'thing', case: 'c', reason: 'a site may not' }]);
  });

  it.each([
    ['the adapter has no verification', { port: 'thing', adapter: 'cloud-thing' }, 'nothing runs the contract of'],
    ['every case is left out', portOf({ a: refuse }, { waived: ['a'] }), 'no case could be run'],
    ['the contract has no case', portOf({}), 'no case could be run'],
    [
      'it cannot be opened',
      { port: 'thing', adapter: 'cloud-thing', open: () => Promise.reject(new Error('no SDK')) },
      'no SDK',
    ],
    [
      'what it made cannot be removed',
      portOf({ a: () => 1 }, { sweep: () => Promise.reject(new Error('denied')) }),
      'may still be there: denied',
    ],
  ])('is bad where %s', async (_where, port, problem) => {
    const verdict = await verify(port);
    expect(verdict).toMatchObject({ ok: false, failed: [], problems: [expect.stringContaining(problem)] });
  });

  it('tells by name what a case could not see, and how to see it by hand', async () => {
    const unseen = () => {
      throw new Unchecked('the emulator does not say', 'ask the cloud');
    };
    const { ok, passed, leftOut } = await verify(portOf({ a: () => 1, b: unseen }));
    expect({ ok, passed }).toEqual({ ok: true, passed: 1 });
    expect(leftOut).toEqual([
      {
        ...{ contract: 'thing', case: 'b' },
        reason: 'not checked, as the emulator does not say; by hand: ask the cloud',
      },
    ]);
  });

  it('says what to ask for where nothing is done unasked', async () => {
    const verdict = await verify(portOf({ a: refuse }, { waived: ['a'], asksFor: '--notify' }));
    expect(verdict).toMatchObject({ ok: true, passed: 0, asksFor: '--notify', problems: [] });
  });

  it('names the case, what was expected, and the permission that is missing', async () => {
    const { ok, failed } = await verify(portOf({ a: () => assert.equal('lost', 'kept'), b: refuse, c: () => 1 }));
    expect(ok).toBe(false);
    expect(failed).toEqual([
      {
        ...{ contract: 'thing', case: 'a', problem: expect.stringMatching(/lost[^]*kept/) },
        remedy: expect.stringContaining('do not run a site on it'),
      },
      {
        ...{ contract: 'thing', case: 'b', problem: 'permission_denied: put x: denied' },
        remedy: 'the role needs: thing:Make',
      },
    ]);
  });

  it('is good where a case, or the removal, fails once in a way that may pass', async () => {
    const onceUnavailable = () => {
      let calls = 0;
      return () => {
        if (calls++ === 0) throw new PortError('unavailable', 'socket hang up');
        return 0;
      };
    };
    const remove = onceUnavailable();
    const sweep = async () => remove();
    expect(await verify(portOf({ a: onceUnavailable() }, { sweep }))).toMatchObject({
      ok: true,
      passed: 1,
      problems: [],
    });
  });

  it('comes soon where the service refuses everything', async () => {
    const cases = Object.fromEntries(Array.from({ length: 20 }, (_, at) => [`case ${at}`, refuse]));
    expect(await verify(portOf(cases))).toMatchObject({ ok: false, passed: 0, notRun: 17 });
  });

  it('comes after what the run made was removed, though it was interrupted in a case', async () => {
    const interrupted = new AbortController();
    const left = new Set<string>();
    const work = async () => {
      interrupted.abort();
      await sleep(1);
      left.add(`${VERIFICATION_MARK}/${RUN}/1`);
    };
    const verdict = await verify(portOf({ a: () => 1, b: work, c: () => 1 }, { left }), interrupted.signal);
    expect(verdict).toMatchObject({ ok: false, passed: 1, notRun: 2 });
    expect([...left]).toEqual([]);
  });
});

describe('what runs left', () => {
  it('is removed by a later run once it is older than a day, whatever way the service writes names', async () => {
    const [young, old] = [newRun(Date.now() - 3_600_000), newRun(Date.now() - 90_000_000)];
    const names = (run: string) => [
      `${VERIFICATION_MARK}/${run}/1/key`,
      `tribo_verify_${run}_7`,
      `tribo-verify-${run}`,
    ];
    const left = new Set([...names(young), ...names(old), 'tribo-verify/x', 'waveforms/1']);
    expect(await verify(portOf({ a: () => 1 }, { left }))).toMatchObject({ ok: true, removedOfEarlier: 3 });
    expect([...left]).toEqual([...names(young), 'tribo-verify/x', 'waveforms/1']);
  });

  it('says by its name when its run began', () => {
    expect(RUN).toMatch(/^20261122t001530z[0-9a-f]{6}$/);
    expect(beginOf(RUN)).toBe(NOW);
  });
});
