import { describe, expect, it } from '@jest/globals';
import { checkWaivers, runContractCase, type Contract, type ContractCase } from './contract.ts';

const passing: ContractCase<object> = { name: 'keeps order', run: async () => undefined };
const failing: ContractCase<object> = {
  name: 'keeps order',
  run: async () => {
    throw new Error('out of order');
  },
};
const waiver = { case: 'keeps order', reason: 'the service keeps none' };

function harness() {
  let disposed = 0;
  const make = async () => ({
    [Symbol.asyncDispose]: async () => {
      disposed += 1;
    },
  });
  return { make, disposals: () => disposed };
}

describe('a contract case', () => {
  it('passes or fails as its run does', async () => {
    await expect(runContractCase(passing, harness().make)).resolves.toBeUndefined();
    await expect(runContractCase(failing, harness().make)).rejects.toThrow('out of order');
  });

  it('may fail where it is waived', async () => {
    await expect(runContractCase(failing, harness().make, waiver)).resolves.toBeUndefined();
  });

  it('fails where its waiver has become unnecessary', async () => {
    await expect(runContractCase(passing, harness().make, waiver)).rejects.toThrow(
      'the waiver of "keeps order" is unnecessary: the case passes. Remove it.',
    );
  });

  it.each([
    ['passes', passing, undefined],
    ['fails', failing, undefined],
    ['is waived', failing, waiver],
  ])('disposes of its harness when it %s', async (_what, contractCase, waived) => {
    const { make, disposals } = harness();
    await runContractCase(contractCase, make, waived).catch(() => undefined);
    expect(disposals()).toBe(1);
  });

  it('cannot be waived by a name that is none of the contract', () => {
    const contract: Contract<object> = { port: 'event-stream', cases: [passing] };
    expect(() => checkWaivers(contract, [{ case: 'keeps odrer', reason: 'none' }])).toThrow(
      'event-stream: no such case to waive: keeps odrer',
    );
    expect(() => checkWaivers(contract, [waiver])).not.toThrow();
  });
});
