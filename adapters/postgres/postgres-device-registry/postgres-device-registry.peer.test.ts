import { afterAll, beforeAll } from '@jest/globals';
import { systemClock } from '#core/clock.ts';
import { deviceRegistryContract } from '#core/contracts/device-registry.contract.ts';
import type { TenantId } from '#core/domain/ids.ts';
import { Postgres } from '#test/peers/postgres.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import { postgresDeviceRegistryConfigSchema } from './config.ts';
import { PostgresDeviceRegistry } from './postgres-device-registry.ts';

let postgres: Postgres;
beforeAll(async () => {
  postgres = await Postgres.start();
}, 300_000);
afterAll(() => postgres[Symbol.asyncDispose]());

describeContract(deviceRegistryContract, 'PostgreSQL', async () => {
  const { store: registry, ...opened } = await postgres.openInSchema((connection) =>
    PostgresDeviceRegistry.open(postgresDeviceRegistryConfigSchema.parse(connection), systemClock),
  );
  return { ...opened, registry, tenants: ['north' as TenantId, 'south' as TenantId] as const, suffix: 'a' };
});
