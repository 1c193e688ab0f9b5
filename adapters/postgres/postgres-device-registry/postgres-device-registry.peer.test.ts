import { afterAll, beforeAll } from '@jest/globals';
import { systemClock } from '#core/clock.ts';
import { deviceRegistryContract } from '#core/contracts/device-registry.contract.ts';
import { movableDeviceRegistryContract } from '#core/contracts/movable.contract.ts';
import { Postgres } from '#test/peers/postgres.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import { twoSites } from '#test/support/two-sites.ts';
import { deviceRegistryHarness } from '../contract-harnesses.ts';
import { postgresDeviceRegistryConfigSchema } from './config.ts';
import { PostgresDeviceRegistry } from './postgres-device-registry.ts';

let postgres: Postgres;
beforeAll(async () => {
  postgres = await Postgres.start();
}, 300_000);
afterAll(() => postgres[Symbol.asyncDispose]());

const open = () =>
  postgres.openInSchema((connection) =>
    PostgresDeviceRegistry.open(postgresDeviceRegistryConfigSchema.parse(connection), systemClock),
  );

describeContract(movableDeviceRegistryContract, 'PostgreSQL', () => twoSites(open, open));

describeContract(deviceRegistryContract, 'PostgreSQL', () =>
  deviceRegistryHarness(postgresDeviceRegistryConfigSchema.parse(postgres.freshConnection())),
);
