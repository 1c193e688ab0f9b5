import { afterAll, beforeAll } from '@jest/globals';
import { machineRegistryContract } from '#core/contracts/machine-registry.contract.ts';
import { movableMachineRegistryContract } from '#core/contracts/movable.contract.ts';
import { Postgres } from '#test/peers/postgres.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import { twoSites } from '#test/support/two-sites.ts';
import { machineRegistryHarness } from '../contract-harnesses.ts';
import { postgresMachineRegistryConfigSchema } from './config.ts';
import { PostgresMachineRegistry } from './postgres-machine-registry.ts';

let postgres: Postgres;
beforeAll(async () => {
  postgres = await Postgres.start();
}, 300_000);
afterAll(() => postgres[Symbol.asyncDispose]());

const open = () =>
  postgres.openInSchema((connection) =>
    PostgresMachineRegistry.open(postgresMachineRegistryConfigSchema.parse(connection)),
  );

describeContract(movableMachineRegistryContract, 'PostgreSQL', () => twoSites(open, open));

describeContract(machineRegistryContract, 'PostgreSQL', () =>
  machineRegistryHarness(postgresMachineRegistryConfigSchema.parse(postgres.freshConnection())),
);
