import { describe, it } from '@jest/globals';
import {
  checkWaivers,
  runContractCase,
  type Contract,
  type MakeHarness,
  type Waiver,
} from '#core/contracts/contract.ts';

/** Runs every case of a port's contract against an adapter, as tests named `<port or capability> contract: <adapter>`. */
export function describeContract<Harness>(
  contract: Contract<Harness>,
  adapter: string,
  makeHarness: MakeHarness<Harness>,
  waivers: readonly Waiver[] = [],
): void {
  checkWaivers(contract, waivers);
  describe(`${contract.capability ?? contract.port} contract: ${adapter}`, () => {
    it.each(contract.cases.map((each) => [each.name, each] as const))('%s', async (name, contractCase) => {
      await runContractCase(
        contractCase,
        makeHarness,
        waivers.find((waiver) => waiver.case === name),
      );
    });
  });
}
