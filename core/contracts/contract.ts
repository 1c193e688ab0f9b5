/**
 * A port's executable contract: a table of named cases that every adapter passes. Cases assert with node:assert, so that the same table
 * runs under a test runner and against deployed resources.
 */
export interface Contract<Harness> {
  /** Base name of the port, for example `event-stream`. */
  readonly port: string;
  /** The extra power that it is about, by the name of its interface; absent where every adapter of the port must pass. */
  readonly capability?: string;
  readonly cases: readonly ContractCase<Harness>[];
}

export interface ContractCase<Harness> {
  /** A specification in words; waivers name it. */
  readonly name: string;
  run(harness: Harness): Promise<void>;
}

/** Makes what one case needs: fresh, uniquely named, and disposed of whatever happens. */
export type MakeHarness<Harness> = () => Promise<Harness & AsyncDisposable>;

/** A case that a provider cannot pass, by name, with a reason that an engineer of that cloud would accept. */
export interface Waiver {
  readonly case: string;
  readonly reason: string;
}

/** Runs one case. A waived case must fail: a waiver that has become unnecessary is an error. */
export async function runContractCase<Harness>(
  contractCase: ContractCase<Harness>,
  makeHarness: MakeHarness<Harness>,
  waiver?: Waiver,
): Promise<void> {
  await using harness = await makeHarness();
  if (!waiver) {
    await contractCase.run(harness);
    return;
  }
  const failure = await contractCase.run(harness).then(
    () => undefined,
    (error: unknown) => ({ error }),
  );
  if (!failure) throw new Error(`the waiver of "${contractCase.name}" is unnecessary: the case passes. Remove it.`);
}

/** Throws where a waiver names no case of the contract. */
export function checkWaivers<Harness>(contract: Contract<Harness>, waivers: readonly Waiver[]): void {
  const names = new Set(contract.cases.map((each) => each.name));
  const unknown = waivers.filter((waiver) => !names.has(waiver.case));
  if (unknown.length > 0)
    throw new Error(`${contract.port}: no such case to waive: ${unknown.map((each) => each.case).join('; ')}`);
}
