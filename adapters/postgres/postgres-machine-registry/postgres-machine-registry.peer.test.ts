import { afterAll, beforeAll } from '@jest/globals';
import { machineRegistryContract } from '#core/contracts/machine-registry.contract.ts';
import type { TenantId } from '#core/domain/ids.ts';
import { Postgres } from '#test/peers/postgres.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import { postgresMachineRegistryConfigSchema } from './config.ts';
import { PostgresMachineRegistry } from './postgres-machine-registry.ts';

let postgres: Postgres;
beforeAll(async () => {
  postgres = await Postgres.start();
}, 300_000);
afterAll(() => postgres[Symbol.asyncDispose]());

describeContract(machineRegistryContract, 'PostgreSQL', async () => {
  const { store: registry, ...opened } = await postgres.openInSchema((connection) =>
    PostgresMachineRegistry.open(postgresMachineRegistryConfigSchema.parse({ ...connection, maxQuarantined: 10 })),
  );
  return { ...opened, registry, tenants: ['north' as TenantId, 'south' as TenantId] as const, maxQuarantined: 10 };
});
